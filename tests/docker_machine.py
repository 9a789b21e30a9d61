# SPDX-License-Identifier: Apache-2.0
"""What Docker Machine 0.16.2 leaves on a workstation and on a host.

After libmachine/cert/cert.go, host/host.go and provision/systemd.go in its
repository; the certificates are as Go before 1.15 made them of its templates:
without key identifiers, which the strict checks of RFC 5280 want.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import ipaddress
import json
import pathlib
import typing
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Where the engine's files are put on a host.
DROP_IN = '/etc/systemd/system/docker.service.d/10-machine.conf'
REMOTE = '/etc/docker'
LIFETIME = datetime.timedelta(days=1080)


def drop_in(
    driver: str = 'openstack', port: int = 2376, more: str = ''
) -> str:
    """Give what the provisioner for Debian writes; it ends with a space."""
    return (
        '[Service]\nExecStart=\n'
        f'ExecStart=/usr/bin/dockerd -H tcp://0.0.0.0:{port} '
        '-H unix:///var/run/docker.sock --storage-driver overlay2 '
        f'--tlsverify --tlscacert {REMOTE}/ca.pem --tlscert '
        f'{REMOTE}/server.pem --tlskey {REMOTE}/server-key.pem '
        f'{more}--label provider={driver} \nEnvironment=\n'
    )


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """The one CA of a workstation."""

    def __init__(self, lifetime: datetime.timedelta = LIFETIME) -> None:
        self._key, self._lifetime = new_key(), lifetime
        self._name = _name('alice')
        made = self._signed(
            self._name,
            self._key,
            _usage(sign=True, encipher=True, authority=True),
            (),
            (),
        )
        self.pair = _pair(made, self._key)

    @functools.cached_property
    def shared_client(self) -> Pair:
        """What all machines of a workstation share."""
        return self.client()

    def client(self) -> Pair:
        """Issue another client certificate."""
        key = new_key()
        usage = _usage(sign=True, encipher=False, authority=False)
        purpose = (ExtendedKeyUsageOID.CLIENT_AUTH,)
        made = self._signed(
            _name('alice.<bootstrap>'), key, usage, purpose, ()
        )
        return _pair(made, key)

    def server(self, name: str, hosts: Sequence[str]) -> Pair:
        """Issue what a machine's engine shows."""
        key = shared_key()
        usage = _usage(sign=True, encipher=True, authority=False)
        purpose = (ExtendedKeyUsageOID.SERVER_AUTH,)
        names = (*hosts, 'localhost')
        made = self._signed(_name(f'alice.{name}'), key, usage, purpose, names)
        return _pair(made, key)

    def _signed(
        self,
        subject: x509.Name,
        key: rsa.RSAPrivateKey,
        usage: x509.KeyUsage,
        purpose: Sequence[x509.ObjectIdentifier],
        names: Sequence[str],
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        start = now - datetime.timedelta(minutes=5)
        if self._lifetime < datetime.timedelta():
            start = now + 2 * self._lifetime
        authority = x509.BasicConstraints(usage.key_cert_sign, None)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(now + self._lifetime)
            .add_extension(usage, critical=True)
            .add_extension(authority, critical=True)
        )
        if purpose:
            extended = x509.ExtendedKeyUsage(purpose)
            builder = builder.add_extension(extended, critical=False)
        if names:
            found = x509.SubjectAlternativeName(
                [_alternative(n) for n in names]
            )
            builder = builder.add_extension(found, critical=False)
        return builder.sign(self._key, hashes.SHA256())


class Tree:
    """The folder ~/.docker/machine.

    :ivar root: it.
    """

    def __init__(
        self, root: pathlib.Path, authority: Authority | None = None
    ) -> None:
        self.root = root
        self.authority = authority or shared_authority()
        client = self.authority.shared_client
        for folder in ('', 'certs', 'machines'):
            (root / folder).mkdir(mode=0o700, parents=True)
        root.chmod(0o755)
        self._certificates = {
            'ca.pem': self.authority.pair.certificate,
            'cert.pem': client.certificate,
            'key.pem': client.key,
        }
        for name, content in self._certificates.items():
            write(root / 'certs' / name, content)
        write(root / 'certs' / 'ca-key.pem', self.authority.pair.key)

    def add(
        self,
        name: str,
        driver: str,
        ssh_key: bytes | None = None,
        **fields: typing.Any,
    ) -> pathlib.Path:
        """Put a machine there, with fields of its driver."""
        folder = self.root / 'machines' / name
        folder.mkdir(mode=0o700)
        for filename, content in self._certificates.items():
            write(folder / filename, content)
        if ssh_key:
            write(folder / 'id_rsa', ssh_key)
            fields = {'SSHKeyPath': str(folder / 'id_rsa'), **fields}
        self.configure(name, config(self.root, name, driver, fields))
        return folder

    def configure(self, name: str, document: object) -> None:
        """Write a machine's config.json."""
        path = self.root / 'machines' / name / 'config.json'
        write(path, json.dumps(document, indent=4).encode())

    def contents(self) -> dict[str, tuple[int, bytes]]:
        """Give mode and content of all files, by path."""
        return {
            str(path): (path.stat().st_mode, path.read_bytes())
            for path in sorted(self.root.rglob('*'))
            if path.is_file()
        }


def config(
    root: pathlib.Path, name: str, driver: str, fields: dict[str, typing.Any]
) -> dict[str, typing.Any]:
    """Give a config.json of version 3, with all that Docker Machine writes."""
    folder, certs = root / 'machines' / name, root / 'certs'
    base = {
        'IPAddress': '',
        'MachineName': name,
        'SSHUser': 'root',
        'SSHPort': 22,
        'SSHKeyPath': '',
        'StorePath': str(root),
        'SwarmMaster': False,
        'SwarmHost': '',
        'SwarmDiscovery': '',
    }
    return {
        'ConfigVersion': 3,
        'Driver': base | _DRIVERS.get(driver, {}) | fields,
        'DriverName': driver,
        'HostOptions': {
            'Driver': '',
            'Memory': 0,
            'Disk': 0,
            'EngineOptions': {
                'ArbitraryFlags': [],
                'Dns': None,
                'Labels': [],
                'StorageDriver': 'overlay2',
                'TlsVerify': True,
                'InstallURL': 'https://get.docker.com',
            },
            'SwarmOptions': {'IsSwarm': False},
            'AuthOptions': {
                'CertDir': str(certs),
                'CaCertPath': str(certs / 'ca.pem'),
                'CaPrivateKeyPath': str(certs / 'ca-key.pem'),
                'CaCertRemotePath': f'{REMOTE}/ca.pem',
                'ServerCertPath': str(folder / 'server.pem'),
                'ServerKeyPath': str(folder / 'server-key.pem'),
                'ClientKeyPath': str(certs / 'key.pem'),
                'ServerCertRemotePath': f'{REMOTE}/server.pem',
                'ServerKeyRemotePath': f'{REMOTE}/server-key.pem',
                'ClientCertPath': str(certs / 'cert.pem'),
                'ServerCertSANs': [],
                'StorePath': str(folder),
            },
        },
        'Name': name,
    }


_DRIVERS: dict[str, dict[str, typing.Any]] = {
    'openstack': {
        'AuthUrl': '',
        'Insecure': False,
        'Username': 'demo',
        'Password': 'swordfish',
        'TenantId': '',
        'MachineId': '',
        'KeyPairName': '',
        'UserData': None,
        'SecurityGroups': None,
        'FloatingIpPool': '',
        'IpVersion': 4,
        'ExistingKey': False,
    },
    'generic': {'EnginePort': 2376, 'SSHKey': ''},
}


def write(path: pathlib.Path, content: bytes) -> None:
    """Write a file as Docker Machine does: all may read certificates."""
    path.write_bytes(content)
    public = path.suffix == '.pem' and not path.name.endswith('key.pem')
    path.chmod(0o644 if public else 0o600)


@functools.cache
def shared_authority() -> Authority:
    """Give the CA of all tests of a process: making one takes a while."""
    return Authority()


def new_key() -> rsa.RSAPrivateKey:
    """Make a key as Docker Machine does, for certificates and for SSH."""
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def shared_key() -> rsa.RSAPrivateKey:
    """Give a key for whatever is not compared: making one takes a while."""
    return new_key()


def key_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Give the PEM of PKCS #1."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _pair(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> Pair:
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return Pair(pem, key_pem(key))


def _name(organization: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, sign: bool, encipher: bool, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=encipher,
        key_cert_sign=authority,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
