# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates: one certificate authority a machine.

What is issued here passes the strict checks of RFC 5280 that Python 3.13
makes by default (``VERIFY_X509_STRICT``) and ``openssl verify -x509_strict``.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import TypeAlias

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dockermachine_osc import certnames
from dockermachine_osc.errors import InvalidRequest, StoreFailure

AUTHORITY_LIFETIME = datetime.timedelta(days=3652)
LEAF_LIFETIME = datetime.timedelta(days=1095)
#: Certificates are valid from a little before now: clocks differ, and the
#: clock of a server that has just booted may still be behind.
CLOCK_SKEW = datetime.timedelta(hours=1)

ORGANIZATION = 'OpenStack Docker Machine'
#: RFC 5280, appendix A.1, ub-common-name.
COMMON_NAME_LIMIT = 64

#: What signs. We make EC keys; an authority that was made by another
#: program, Docker Machine for one, may have an RSA key.
SigningKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclasses.dataclass(frozen=True)
class Issued:
    """A certificate (PEM) and its private key (PEM, PKCS #8, EC P-256)."""

    certificate: bytes
    key: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class CertificateFacts:
    """What there is to know of a certificate; the times are in UTC."""

    subject: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class SshKey:
    """An Ed25519 key: the OpenSSH private file and the public line."""

    private: bytes = dataclasses.field(repr=False)
    public: str


class Authority:
    """The certificate authority of one machine."""

    def __init__(self, certificate: x509.Certificate, key: SigningKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, machine: str) -> Authority:
        """Make the authority of a new machine."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(machine, ' CA')
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            _builder(name, name, key.public_key())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(True, 0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    key.public_key()
                ),
                critical=False,
            )
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Authority:
        """Read an authority back from PEM.

        :raises StoreFailure: one of the two is damaged, or they are not of
            one pair.
        """
        loaded = _load_certificate(certificate)
        try:
            signer = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as e:
            raise StoreFailure(
                f'The key of the authority is damaged: {e}'
            ) from e
        if not isinstance(signer, SigningKey):
            raise StoreFailure('The key of the authority is of unknown type.')
        if signer.public_key() != loaded.public_key():
            raise StoreFailure(
                "The authority's key and its certificate do not belong "
                'together.'
            )
        return cls(loaded, signer)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        """The authority's private key, PEM."""
        return _private_pem(self._key)

    def server(self, names: Sequence[str]) -> Issued:
        """Issue what the engine shows to its clients.

        :param names: DNS names and addresses under which clients reach the
            engine; localhost and 127.0.0.1 are always added.
        :raises InvalidRequest: a name is neither, or the authority expired.
        """
        alternatives = certnames.alternatives([*names, *certnames.LOCAL])
        return self._issue(
            _name(names[0] if names else 'localhost'),
            ExtendedKeyUsageOID.SERVER_AUTH,
            x509.SubjectAlternativeName(alternatives),
        )

    def client(self, common_name: str) -> Issued:
        """Issue what a client shows to the engine.

        :param common_name: the engine's authorization plugins take it for
            the user's name; cut at 64 bytes.
        :raises InvalidRequest: the authority has expired.
        """
        return self._issue(
            _name(common_name), ExtendedKeyUsageOID.CLIENT_AUTH, None
        )

    def _issue(
        self,
        subject: x509.Name,
        purpose: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
    ) -> Issued:
        now = datetime.datetime.now(datetime.UTC)
        last = self._certificate.not_valid_after_utc
        if last <= now:
            raise InvalidRequest(
                f'The certificate authority expired on {last:%Y-%m-%d}.'
            )
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self._certificate.subject, key.public_key())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(min(now + LEAF_LIFETIME, last))
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM),
            _private_pem(key),
        )

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        extensions = self._certificate.extensions
        try:
            subject = extensions.get_extension_for_class(
                x509.SubjectKeyIdentifier
            ).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(
                self._key.public_key()
            )
        from_subject = (
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier
        )
        return from_subject(subject)


def facts(certificate: bytes) -> CertificateFacts:
    """Read a certificate.

    :param certificate: PEM.
    :raises StoreFailure: it is damaged.
    """
    loaded = _load_certificate(certificate)
    return CertificateFacts(
        subject=loaded.subject.rfc4514_string(),
        names=certnames.of(loaded),
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
        fingerprint=loaded.fingerprint(hashes.SHA256()).hex(),
    )


def check_bundle(pem: bytes) -> None:
    """Check a file that is to hold certificates of CAs, and no secret.

    :raises InvalidRequest: it holds something else, or nothing.
    """
    if b'PRIVATE KEY' in pem:
        raise InvalidRequest('there is a private key in it')
    try:
        x509.load_pem_x509_certificates(pem)
    except ValueError as e:
        raise InvalidRequest(f'it holds no certificate in PEM: {e}') from e


def new_ssh_key(comment: str) -> SshKey:
    """Make an Ed25519 key pair for SSH.

    :param comment: the end of the public line, kept to one line.
    """
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    words = [public_ssh_key(private), *comment.split()]
    return SshKey(private, ' '.join(words))


def public_ssh_key(private: bytes) -> str:
    """Tell the public line, without a comment, of a private SSH key.

    :param private: OpenSSH's own format or PEM, of any type.
    :raises InvalidRequest: it is no private key or has a passphrase.
    """
    load = serialization.load_pem_private_key
    if b'BEGIN OPENSSH PRIVATE KEY' in private:
        load = serialization.load_ssh_private_key
    try:
        public = load(private, None).public_key()
        line = public.public_bytes(
            serialization.Encoding.OpenSSH,
            serialization.PublicFormat.OpenSSH,
        )
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as e:
        # One error or another, after the format and the library's release.
        if 'password' in str(e).lower():
            raise InvalidRequest(
                'The SSH key is protected by a passphrase.',
                'Load it into an SSH agent, or use a key without one.',
            ) from e
        raise InvalidRequest(f'This is no usable private SSH key: {e}') from e
    return line.decode('ascii')


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key), critical=False
        )
    )


def _name(common: str, suffix: str = '') -> x509.Name:
    room = COMMON_NAME_LIMIT - len(suffix)
    # The limit is of bytes in the libraries that check it; an empty name
    # is not allowed.
    cut = (common or '-').encode()[:room].decode(errors='ignore')
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, cut + suffix),
        ]
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _load_certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as e:
        raise StoreFailure(f'The certificate is damaged: {e}') from e


def _private_pem(key: SigningKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
