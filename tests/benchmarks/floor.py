#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The least that a server with a TLS engine can cost on a cloud.

    floor.py CLOUD IMAGE

Everything is known beforehand, nothing is checked, nobody logs in: the port
and its address come first, so that the certificate can name the address; keys
and certificates go in the user data (where a real tool must not put them);
the engine starts once, with TLS. Prints JSON: seconds since the start of the
program at each stage, the last being a verified answer of the engine.
"""

from __future__ import annotations

import time

_BEGAN = time.monotonic()

import argparse  # noqa: E402
import base64  # noqa: E402
import concurrent.futures  # noqa: E402
import datetime  # noqa: E402
import http.client  # noqa: E402
import io  # noqa: E402
import ipaddress  # noqa: E402
import json  # noqa: E402
import pathlib  # noqa: E402
import ssl  # noqa: E402
import tarfile  # noqa: E402
import tempfile  # noqa: E402
import typing  # noqa: E402
import uuid  # noqa: E402

import openstack  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import (  # noqa: E402
    ExtendedKeyUsageOID,
    NameOID,
)

FLAVOR, NETWORK, EXTERNAL = 'm1.small', 'private', 'public'
PORT = 2376
TIMEOUT = 300.0

_DROPIN = """\
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:2376 \
--containerd=/run/containerd/containerd.sock --tlsverify \
--tlscacert=/etc/docker/ca.pem --tlscert=/etc/docker/server.pem \
--tlskey=/etc/docker/server-key.pem
"""
_INSTALL = (
    'export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && '
    'apt-get -qq -o Dpkg::Options::=--force-unsafe-io install -y '
    '--no-install-recommends docker.io iptables'
)


class Floor:
    """One server, and when it had come how far."""

    def __init__(self, cloud: str, image: str) -> None:
        self.group = ''
        self.at: dict[str, float] = {}
        self._mark('program and SDK loaded')
        self._cloud = openstack.connect(cloud=cloud)
        self._image = image
        self._name = f'floor-{uuid.uuid4().hex[:6]}'
        self._made: list[typing.Callable[[], object]] = []

    def _mark(self, stage: str) -> None:
        self.at[stage] = round(time.monotonic() - _BEGAN, 3)

    def remove(self) -> None:
        """Remove all that was made."""
        for remove in reversed(self._made):
            remove()

    def make(self) -> None:
        """Make it, and wait for the engine."""
        found = self._look_up()
        self._mark('looked up')
        network = self._cloud.network
        port = network.create_port(
            network_id=found['network'].id,
            security_group_ids=[self.group],
        )
        self._made.append(lambda: network.delete_port(port))
        address = network.create_ip(
            floating_network_id=found['external'].id, port_id=port.id
        )
        self._made.append(lambda: network.delete_ip(address))
        self._mark('port and address')
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            data = _user_data(folder, address.floating_ip_address, self._image)
            self._mark('certificates')
            self._server(found, port.id, data)
            self._mark('server asked for')
            _wait_for_engine(folder, address.floating_ip_address)
        self._mark('engine answers')

    def _look_up(self) -> dict[str, typing.Any]:
        cloud = self._cloud
        questions = {
            'network': lambda: cloud.network.find_network(NETWORK),
            'external': lambda: cloud.network.find_network(EXTERNAL),
            'image': lambda: cloud.image.find_image(self._image),
            'flavor': lambda: cloud.compute.find_flavor(FLAVOR),
        }
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            waiting = {k: pool.submit(ask) for k, ask in questions.items()}
            return {k: answer.result() for k, answer in waiting.items()}

    def make_group(self) -> str:
        """Make the security group of all, whose id goes into `group`."""
        network = self._cloud.network
        group = network.create_security_group(name=self._name)
        network.create_security_group_rule(
            security_group_id=group.id,
            direction='ingress',
            protocol='tcp',
            port_range_min=PORT,
            port_range_max=PORT,
        )
        return str(group.id)

    def remove_group(self) -> None:
        """Remove the group, when nobody is in it any more."""
        self._cloud.network.delete_security_group(self.group)

    def _server(
        self, found: dict[str, typing.Any], port_id: str, data: str
    ) -> None:
        compute = self._cloud.compute
        server = compute.create_server(
            name=self._name,
            image_id=found['image'].id,
            flavor_id=found['flavor'].id,
            networks=[{'port': port_id}],
            user_data=data,
        )

        def remove() -> None:
            compute.delete_server(server)
            compute.wait_for_delete(server, interval=0.2)

        self._made.append(remove)


# ------------------------------------------------------------ certificates


def _issue(
    folder: pathlib.Path,
    name: str,
    issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None,
    *extensions: x509.ExtensionType,
) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
    """Write NAME.pem and NAME-key.pem; without an issuer it is a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by, by_key = issuer or (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(issuer is None, None), True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    pem = serialization.Encoding.PEM
    (folder / f'{name}.pem').write_bytes(
        builder.sign(by_key, hashes.SHA256()).public_bytes(pem)
    )
    (folder / f'{name}-key.pem').write_bytes(
        key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return subject, key


def _user_data(folder: pathlib.Path, address: str, image: str) -> str:
    ca = _issue(folder, 'ca', None)
    names = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(address))]
    )
    _issue(folder, 'server', ca, names)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    _issue(folder, 'client', ca, usage)
    files = {
        f'etc/docker/{name}.pem': (folder / f'{name}.pem').read_bytes()
        for name in ('ca', 'server', 'server-key')
    }
    files['etc/systemd/system/docker.service.d/tls.conf'] = _DROPIN.encode()
    # It runs before the engine of the image starts.
    early = (
        f'echo {_archive(files)} | base64 -d | tar -xz -C / && '
        'systemctl daemon-reload'
    )
    config: dict[str, typing.Any] = {
        'bootcmd': [['sh', '-c', early]],
        'ssh_genkeytypes': ['ecdsa', 'ed25519'],
    }
    if not image.endswith('-docker'):
        config['runcmd'] = [['sh', '-c', _INSTALL]]
    text = '#cloud-config\n' + json.dumps(config)
    return base64.b64encode(text.encode()).decode()


def _archive(files: dict[str, bytes]) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w:gz') as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return base64.b64encode(buffer.getvalue()).decode()


def _wait_for_engine(folder: pathlib.Path, address: str) -> None:
    context = ssl.create_default_context(cafile=str(folder / 'ca.pem'))
    context.load_cert_chain(folder / 'client.pem', folder / 'client-key.pem')
    while True:
        connection = http.client.HTTPSConnection(
            address, PORT, context=context, timeout=2
        )
        try:
            connection.request('GET', '/version')
            json.load(connection.getresponse())
        except OSError:
            if time.monotonic() - _BEGAN > TIMEOUT:
                raise
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('cloud')
    parser.add_argument('image')
    parser.add_argument('--count', type=int, default=1, help='at once')
    arguments = parser.parse_args()
    each = range(arguments.count)
    floors = [Floor(arguments.cloud, arguments.image) for _ in each]
    group = floors[0].make_group()
    for floor in floors:
        floor.group = group
    with concurrent.futures.ThreadPoolExecutor(arguments.count) as pool:
        try:
            list(pool.map(Floor.make, floors))
        finally:
            list(pool.map(Floor.remove, floors))
            floors[0].remove_group()
    # All of them have come to a stage when the last one has.
    stages = list(floors[0].at)
    print(json.dumps({s: max(f.at[s] for f in floors) for s in stages}))


if __name__ == '__main__':
    main()
