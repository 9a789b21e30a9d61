# SPDX-License-Identifier: Apache-2.0
"""Servers that somebody has made without this program, to be adopted."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing

from tests.functional import base, devcloud
from tests.functional.workstation import Result, Workstation

# What adopting must never change, of the many things `docker info` says.
_SETTINGS = (
    'ID',
    'Driver',
    'LoggingDriver',
    'CgroupDriver',
    'LiveRestoreEnabled',
    'Labels',
    'DockerRootDir',
    'DefaultRuntime',
    'ServerVersion',
)
# key.json is the engine's own: packages leave it behind.
_HOST = """\
hostname; dpkg-query -W; cd /etc; find docker systemd/system/docker* -type f \\
! -name key.json -exec cksum {} + 2>/dev/null || :
"""
# Containers with the start of their first process, images, volumes.
_ENGINE = """\
docker info -f '{{json .}}'
docker inspect -f '{{.Id}} {{.Name}} {{.State.Status}} {{.State.StartedAt}} \\
{{.State.Pid}} {{.Config.Image}}' $(docker ps -aq --no-trunc | sort)
docker images --no-trunc -q
docker volume ls -q
"""
# Networks with a way out, of the one project and the other.
_ROUTED = ('private', 'tight-net')


@dataclasses.dataclass(frozen=True)
class Server:
    """A server, open for SSH and nothing else.

    :param key: the private key of its user `debian`.
    """

    id: str
    name: str
    address: str
    key: pathlib.Path

    def run(self, *command: str) -> str:
        """Run a command in it as root; gives what it prints."""
        return devcloud.in_guest(self.id, *command)

    def shell(self, script: str) -> str:
        """Run a shell script in it as root."""
        return self.run('sh', '-euc', script)

    def write(self, path: str, text: str) -> None:
        """Write a file in it, and the folders above."""
        self.run(
            *('sh', '-euc', 'mkdir -p "${1%/*}"; printf %s "$2" >"$1"'),
            *('sh', path, text),
        )

    def ssh(
        self, here: Workstation, command: str, stdin: bytes = b''
    ) -> Result:
        """Run a command in it over SSH, as its owner did so far."""
        return here.run(
            *('ssh', '-F', 'none', '-o', 'BatchMode=yes', '-o'),
            *(
                'StrictHostKeyChecking=no',
                '-o',
                'UserKnownHostsFile=/dev/null',
            ),
            *('-o', 'LogLevel=ERROR', '-i', str(self.key)),
            *(f'debian@{self.address}', command),
            stdin=stdin,
        )

    # ------------------------------------------------------------ its state

    def groups(self) -> list[str]:
        """The security groups of its only port."""
        (port,) = devcloud.connect().network.ports(device_id=self.id)
        return sorted(port.security_group_ids)

    def engine_start(self) -> str:
        """When the engine was started, to the microsecond."""
        return self.run(
            *('systemctl', 'show', '--value', '-p'),
            *('ExecMainStartTimestampMonotonic', 'docker.service'),
        ).strip()

    def host(self) -> set[str]:
        """What is the host's own: name, packages, units, settings."""
        return set(self.shell(_HOST).splitlines())

    def engine(self) -> dict[str, typing.Any]:
        """How the engine is set, and what it holds, by its own word."""
        info, held = self.shell(_ENGINE).split('\n', 1)
        said = json.loads(info)
        return {
            **{key: said[key] for key in _SETTINGS},
            'Mirrors': said['RegistryConfig']['Mirrors'],
            'holds': held,
        }


class ServerTest(base.FunctionalTest):
    """A test that boots servers of its own.

    :cvar cloud: in which project.
    :cvar open_ports: what their security group lets in.
    :cvar key_type: of the key to log in with.
    """

    cloud = 'devcloud'
    open_ports: typing.ClassVar[tuple[int, ...]] = (22,)
    key_type: typing.ClassVar[tuple[str, ...]] = ('-t', 'ed25519')

    def boot(
        self,
        prefix: str,
        image: str = base.DOCKER_IMAGE,
        network: str = 'private',
        *further: str,
    ) -> Server:
        """Boot a server, as somebody did long ago with `server create`.

        :param network: where no router is, the server has no floating
            IP; `ipv6` opens SSH to IPv6.
        :param further: networks that it has a port on, too.
        """
        name = self.name(prefix, self.cloud)
        connection = devcloud.connect(self.cloud)
        key = self._key(name)
        group = connection.network.create_security_group(name=name)
        self.addCleanup(connection.network.delete_security_group, group.id)
        for number in self.open_ports:
            connection.network.create_security_group_rule(
                security_group_id=group.id,
                direction='ingress',
                protocol='tcp',
                port_range_min=number,
                port_range_max=number,
                ether_type='IPv6' if network == 'ipv6' else 'IPv4',
            )
        ports = [self._port(n, group.id) for n in (network, *further)]
        address = ports[0].fixed_ips[0]['ip_address']
        if network in _ROUTED:
            address = self._floating_ip(ports[0])
        compute = connection.compute
        server = compute.create_server(
            name=name,
            image_id=_found(compute.find_image(image)),
            flavor_id=_found(compute.find_flavor('m1.small')),
            networks=[{'port': port.id} for port in ports],
            key_name=self.key_pair(name),
        )
        # Before its port goes.
        self.addCleanup(devcloud.clean, self.cloud, name)
        compute.wait_for_server(server, interval=0.3, wait=120)
        found = Server(server.id, name, address, key)
        devcloud.wait_for('cloud-init is done', lambda: _booted(found))
        return found

    def key_pair(self, name: str) -> str:
        """The name of a server's key pair."""
        return name

    def _port(self, network: str, group: str) -> typing.Any:
        neutron = devcloud.connect(self.cloud).network
        port = neutron.create_port(
            network_id=_found(neutron.find_network(network)),
            security_group_ids=[group],
        )
        self.addCleanup(neutron.delete_port, port.id)
        return port

    def _floating_ip(self, port: typing.Any) -> str:
        neutron = devcloud.connect(self.cloud).network
        address = neutron.create_ip(
            floating_network_id=_found(neutron.find_network('public')),
            port_id=port.id,
        )
        self.addCleanup(neutron.delete_ip, address.id)
        return str(address.floating_ip_address)

    def _key(self, name: str) -> pathlib.Path:
        file = self.here.home / name
        self.here.run(
            *('ssh-keygen', '-q', *self.key_type, '-N', '', '-f', str(file))
        )
        compute = devcloud.connect(self.cloud).compute
        public = file.with_suffix('.pub').read_text()
        pair = self.key_pair(name)
        compute.create_keypair(name=pair, public_key=public)
        self.addCleanup(compute.delete_keypair, pair)
        return file

    def assertUnchanged(self, before: set[str], server: Server) -> None:
        """Assert that a host is as it was."""
        self.assertEqual({}, differences(before, server.host()))

    def adopt(self, server: Server, *options: str) -> Result:
        """Adopt a server with the key that it was made with."""
        return self.here.machine(
            *('adopt', server.name, '--ssh-user', 'debian'),
            *('--ssh-key', str(server.key), *options, '-f', 'json'),
        )


def differences(before: set[str], after: set[str]) -> dict[str, set[str]]:
    """What of a host has come and gone; nothing is an empty dictionary."""
    found = {'gone': before - after, 'come': after - before}
    return {key: value for key, value in found.items() if value}


def _found(resource: typing.Any) -> str:
    """The id of what the devcloud was seeded with."""
    if resource is None:
        raise AssertionError('the devcloud lacks what it was seeded with')
    return str(resource.id)


def _booted(server: Server) -> bool:
    path = '/run/cloud-init/result.json'
    return server.shell(f'test -e {path} && echo yes || :') == 'yes\n'
