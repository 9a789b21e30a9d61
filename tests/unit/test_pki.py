# SPDX-License-Identifier: Apache-2.0
"""The certificates are judged by Python's own TLS, in its strict mode."""

import datetime
import io
import ipaddress
import re
import ssl
from pathlib import Path
from unittest import mock

import fixtures
import hypothesis
import paramiko
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import strategies
from oslotest import base

from dockermachine_osc import errors, pki
from tests.unit import fuzz

SSH_FORMATS = (
    serialization.PrivateFormat.OpenSSH,
    serialization.PrivateFormat.PKCS8,
    serialization.PrivateFormat.TraditionalOpenSSL,
)
LONGEST = 'w' + '-' * 61 + '1'


def context(side, authority, issued, folder, *, strict=True):
    """Build a TLS context that demands a certificate of the other side."""
    made = ssl.SSLContext(side)
    made.verify_mode = ssl.CERT_REQUIRED
    if strict:
        made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(cadata=authority.certificate.decode())
    pair = Path(folder) / 'pair.pem'
    pair.write_bytes(issued.certificate + issued.key)
    made.load_cert_chain(pair)
    return made


def shake_hands(client, server, name):
    """Run a TLS handshake in memory; raises ssl.SSLError if one refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    # The server's verdict on the client comes after the client's part.
    try:
        ends[0].read(1)
    except ssl.SSLWantReadError:
        return ends[0].version()


class TestHandshake(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.authority = pki.Authority.create('web1')
        self.names = ['203.0.113.7', '2001:db8::7', 'web1.example.org']

    def shake(self, name, server=None, client=None, strict=True):
        server = server or self.authority.server(self.names)
        client = client or self.authority.client('ann')
        return shake_hands(
            context(
                ssl.PROTOCOL_TLS_CLIENT,
                self.authority,
                client,
                self.folder,
                strict=strict,
            ),
            context(
                ssl.PROTOCOL_TLS_SERVER,
                self.authority,
                server,
                self.folder,
                strict=strict,
            ),
            name,
        )

    def test_every_name_is_trusted(self):
        for name in (*self.names, 'localhost', '127.0.0.1'):
            self.assertEqual('TLSv1.3', self.shake(name), name)

    def test_another_name_is_not(self):
        for name in ('203.0.113.8', 'web2.example.org', 'web1'):
            self.assertRaises(ssl.SSLCertVerificationError, self.shake, name)

    def test_longest_machine_name(self):
        self.authority = pki.Authority.create(LONGEST)
        self.names = [f'{LONGEST}.{LONGEST}.example.org', LONGEST]
        self.assertEqual('TLSv1.3', self.shake(self.names[0]))

    def test_another_authority_is_refused(self):
        other = pki.Authority.create('web1')
        self.assertRaises(
            ssl.SSLError, self.shake, 'localhost', client=other.client('ann')
        )
        self.assertRaises(
            ssl.SSLError, self.shake, 'localhost', server=other.server([])
        )

    def test_each_purpose_its_own(self):
        self.assertRaises(
            ssl.SSLError,
            self.shake,
            'localhost',
            client=self.authority.server([]),
        )
        self.assertRaises(
            ssl.SSLError,
            self.shake,
            'localhost',
            server=self.authority.client('localhost'),
        )

    def test_authority_read_back(self):
        self.authority = pki.Authority.load(
            self.authority.certificate, self.authority.key
        )
        self.assertEqual('TLSv1.3', self.shake('localhost'))

    def test_authority_of_docker_machine(self):
        """RSA, no common name, no key identifiers: its files, imported."""
        self.authority = pki.Authority.load(*docker_machine_authority())
        # Strict checks demand what its certificate has not.
        self.assertEqual('TLSv1.3', self.shake('localhost', strict=False))


def docker_machine_authority():
    key = rsa.generate_private_key(65537, 2048)
    organization = x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, 'ann')
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([organization]))
        .issuer_name(x509.Name([organization]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1080))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
    )


class TestAuthority(base.BaseTestCase):
    def test_constraints(self):
        authority = pki.Authority.create('web1')
        certificate = x509.load_pem_x509_certificate(authority.certificate)
        found = {type(e.value): e for e in certificate.extensions}
        constraints = found[x509.BasicConstraints]
        self.assertTrue(constraints.critical)
        self.assertEqual(x509.BasicConstraints(True, 0), constraints.value)
        usage = found[x509.KeyUsage].value
        self.assertTrue(usage.key_cert_sign and usage.crl_sign)
        self.assertEqual(
            found[x509.SubjectKeyIdentifier].value.digest,
            found[x509.AuthorityKeyIdentifier].value.key_identifier,
        )

    def test_kinds_of_keys(self):
        authority = pki.Authority.create('web1')
        for pem in (
            authority.certificate,
            authority.server(['192.0.2.1']).certificate,
            authority.client('ann').certificate,
        ):
            found = x509.load_pem_x509_certificate(pem)
            self.assertEqual('secp256r1', found.public_key().curve.name)
            self.assertEqual('sha256', found.signature_hash_algorithm.name)
            # RFC 5280, section 4.1.2.2, and room that nobody can guess.
            self.assertTrue(2**64 < found.serial_number < 2**159)

    def test_lifetimes(self):
        authority = pki.Authority.create('web1')
        now = datetime.datetime.now(datetime.UTC)
        for pem, days in (
            (authority.certificate, 3652),
            (authority.server([]).certificate, 1095),
            (authority.client('ann').certificate, 1095),
        ):
            found = pki.facts(pem)
            self.assertLessEqual(
                found.not_before, now - datetime.timedelta(minutes=59)
            )
            self.assertEqual(days - 1, (found.not_after - now).days)

    def test_no_certificate_outlives_its_authority(self):
        short = datetime.timedelta(days=30)
        with mock.patch.object(pki, 'AUTHORITY_LIFETIME', short):
            authority = pki.Authority.create('web1')
        self.assertEqual(
            pki.facts(authority.certificate).not_after,
            pki.facts(authority.client('ann').certificate).not_after,
        )

    def test_expired(self):
        past = datetime.timedelta(minutes=-1)
        with mock.patch.object(pki, 'AUTHORITY_LIFETIME', past):
            authority = pki.Authority.create('web1')
        error = self.assertRaises(
            errors.InvalidRequest, authority.client, 'ann'
        )
        self.assertIn('expired on', str(error))

    def test_serial_numbers_differ(self):
        authority = pki.Authority.create('web1')
        serials = {
            x509.load_pem_x509_certificate(
                authority.client('ann').certificate
            ).serial_number
            for _ in range(5)
        }
        self.assertEqual(5, len(serials))

    def test_names_of_any_length_and_alphabet(self):
        for name in ('', 'x', LONGEST, 'é' * 63, '€' * 40, '\U0001f433' * 30):
            authority = pki.Authority.create(name)
            issued = authority.client(name)
            self.assertIn('CN=', pki.facts(issued.certificate).subject)

    def test_damaged_files(self):
        authority = pki.Authority.create('web1')
        other = pki.Authority.create('web2')
        foreign = pki.new_ssh_key('').private
        half = authority.key[:100]
        for certificate, key in (
            (b'', authority.key),
            (authority.certificate[:200], authority.key),
            (authority.certificate, b''),
            (authority.certificate, half),
            (authority.certificate, other.key),
            (authority.certificate, foreign),
            (authority.key, authority.certificate),
        ):
            self.assertRaises(
                errors.StoreFailure, pki.Authority.load, certificate, key
            )

    def test_keys_stay_out_of_logs(self):
        issued = pki.Authority.create('web1').client('ann')
        self.assertNotIn('PRIVATE', repr(issued))
        self.assertNotIn('PRIVATE', repr(pki.new_ssh_key('x')))


class TestNames(base.BaseTestCase):
    def names(self, *names):
        authority = pki.Authority.create('web1')
        return pki.facts(authority.server(names).certificate).names

    def test_typed_and_once_each(self):
        issued = pki.Authority.create('web1').server(
            ['192.0.2.1', 'A.example', '[2001:DB8::1]', 'a.example.', '::1']
        )
        certificate = x509.load_pem_x509_certificate(issued.certificate)
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
        self.assertEqual(
            ['a.example', 'localhost'],
            names.get_values_for_type(x509.DNSName),
        )
        self.assertEqual(
            [
                ipaddress.ip_address(text)
                for text in ('192.0.2.1', '2001:db8::1', '::1', '127.0.0.1')
            ],
            names.get_values_for_type(x509.IPAddress),
        )

    def test_written_as_certificates_have_it(self):
        for given, expected in (
            ('*.example.org', '*.example.org'),
            ('bücher.example', 'xn--bcher-kva.example'),
            ('with_underscore', 'with_underscore'),
            ('fe80::1%eth0', 'fe80::1'),
            (LONGEST, LONGEST),
        ):
            self.assertEqual(expected, self.names(given)[0])

    def test_neither_name_nor_address(self):
        for name in (
            '',
            ' ',
            '.',
            'a..b',
            '-a',
            'a-',
            'a b',
            'a\nb',
            'a/b',
            '256.1.1.1/8',
            'x' * 64,
            'a.*.b',
            'user@host',
            'https://a',
        ):
            error = self.assertRaises(errors.InvalidRequest, self.names, name)
            self.assertIn(repr(name), str(error))

    @fuzz.tries(50)
    @hypothesis.given(strategies.lists(strategies.text(max_size=80)))
    def test_never_crashes(self, names):
        authority = pki.Authority.create('web1')
        try:
            authority.server(names)
        except errors.InvalidRequest:
            return


class TestFacts(base.BaseTestCase):
    def test_facts(self):
        issued = pki.Authority.create('web1').server(['192.0.2.1'])
        found = pki.facts(issued.certificate)
        self.assertIn('CN=192.0.2.1', found.subject)
        self.assertEqual(('192.0.2.1', 'localhost', '127.0.0.1'), found.names)
        self.assertEqual(datetime.UTC, found.not_after.tzinfo)
        der = ssl.PEM_cert_to_DER_cert(issued.certificate.decode())
        digest = hashes.Hash(hashes.SHA256())
        digest.update(der)
        self.assertEqual(digest.finalize().hex(), found.fingerprint)

    def test_no_alternative_names(self):
        issued = pki.Authority.create('web1').client('ann')
        self.assertEqual((), pki.facts(issued.certificate).names)

    def test_damaged(self):
        self.assertRaises(errors.StoreFailure, pki.facts, b'no certificate')


class TestSshKey(base.BaseTestCase):
    def test_paramiko_reads_it(self):
        made = pki.new_ssh_key('web1')
        loaded = paramiko.Ed25519Key.from_private_key(
            io.StringIO(made.private.decode())
        )
        self.assertEqual(
            f'ssh-ed25519 {loaded.get_base64()} web1', made.public
        )

    def test_comment_stays_on_its_line(self):
        public = pki.new_ssh_key('two words\nssh-rsa AAAA evil').public
        self.assertEqual(['two', 'words'], public.split()[2:4])
        self.assertNotIn('\n', public)

    def test_public_of_private(self):
        made = pki.new_ssh_key('')
        self.assertEqual(made.public, pki.public_ssh_key(made.private))

    def test_every_common_format(self):
        key = rsa.generate_private_key(65537, 2048)
        lines = {
            pki.public_ssh_key(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    form,
                    serialization.NoEncryption(),
                )
            )
            for form in SSH_FORMATS
        }
        self.assertEqual(1, len(lines))
        self.assertTrue(re.fullmatch(r'ssh-rsa \S+', lines.pop()))

    def test_passphrase(self):
        key = rsa.generate_private_key(65537, 2048)
        for form in SSH_FORMATS:
            data = key.private_bytes(
                serialization.Encoding.PEM,
                form,
                serialization.BestAvailableEncryption(b'secret'),
            )
            error = self.assertRaises(
                errors.InvalidRequest, pki.public_ssh_key, data
            )
            self.assertIn('passphrase', str(error))

    def test_no_key(self):
        public = pki.new_ssh_key('').public.encode()
        for data in (
            b'',
            b'garbage',
            public,
            b'-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n'
            b'-----END OPENSSH PRIVATE KEY-----\n',
        ):
            self.assertRaises(errors.InvalidRequest, pki.public_ssh_key, data)
