# SPDX-License-Identifier: Apache-2.0
"""Machines with several network interfaces, and on IPv6."""

from __future__ import annotations

import ipaddress
import shlex
import socket
import typing

from tests.functional import base, devcloud, servers


class InterfacesTest(base.FunctionalTest):
    def test_fixed_ip_and_own_port(self) -> None:
        name = self.name('nics')
        network = devcloud.connect('devcloud').network
        port = self._port_elsewhere(name)
        # Once used, the server must go first.
        self.addCleanup(devcloud.clean, 'devcloud', name)
        own = port.fixed_ips[0]['ip_address']
        wanted = _far_address('private')
        machine = self.create(
            name,
            *('--port', port.name),
            *('--nic', f'net-id=private,v4-fixed-ip={wanted}'),
        ).json
        self.assertIn(machine['address'], machine['addresses'])
        self.assertEqual(
            {own, wanted, machine['address']}, {*machine['addresses']}
        )
        shown = devcloud.in_guest(machine['id'], 'ip', '-br', '-4', 'addr')
        for address, device in ((own, 'eth0'), (wanted, 'eth1')):
            self.assertRegex(shown, rf'{device}\S* +UP +{address}/')
        self._grouped(machine, port)
        self.here.docker('--context', name, 'ps')
        checked = self.here.machine('check', name, '-f', 'json').json
        self.assertEqual({True}, {link['Holds'] for link in checked}, checked)
        self._refused_while_used(port, wanted)
        self.here.machine('delete', name)
        self.assertNothingLeft(name)
        left = network.get_port(port.id)
        self.assertEqual(('', [own]), (left.device_id, _fixed(left)))

    def _port_elsewhere(self, name: str) -> typing.Any:
        """A port of the user's, on a network without a gateway."""
        api = devcloud.connect('devcloud').network
        network = api.create_network(name=f'{name}-net')
        self.addCleanup(api.delete_network, network)
        api.create_subnet(
            network_id=network.id,
            ip_version=4,
            # Not what another test, or another devcloud, has.
            cidr=f'192.168.{(devcloud.PORT // 5 + 128) % 256}.0/24',
            gateway_ip=None,
            is_dhcp_enabled=False,
        )
        port = api.create_port(network_id=network.id, name=f'{name}-port')
        self.addCleanup(api.delete_port, port)
        return port

    def _grouped(
        self, machine: dict[str, typing.Any], port: typing.Any
    ) -> None:
        """Assert that our group is on our port, and the user's untouched."""
        ours = machine['owned']['security_group_id']
        for found in devcloud.connect().network.ports(device_id=machine['id']):
            groups = found.security_group_ids
            if found.id == port.id:
                self.assertEqual(port.security_group_ids, groups)
            else:
                self.assertEqual([ours], groups)

    def _refused_while_used(self, port: typing.Any, taken: str) -> None:
        image = ('--image', base.DOCKER_IMAGE)
        said = self.refused('create', 'other', '--port', port.id, *image)
        self.assertIn('is in use by', said)
        nic = f'net-id=private,v4-fixed-ip={taken}'
        said = self.refused('create', 'other', '--nic', nic, *image)
        self.assertIn(f"{taken} of network 'private' is taken", said)
        nic = 'net-id=private,v4-fixed-ip=192.0.2.9'
        said = self.refused('create', 'other', '--nic', nic, *image)
        self.assertIn('192.0.2.9 is in no subnet', said)


def _fixed(port: typing.Any) -> list[str]:
    return [f['ip_address'] for f in port.fixed_ips]


def _far_address(network: str) -> str:
    """An address that Neutron does not give by itself for a long time."""
    subnet = devcloud.connect().network.find_subnet(f'{network}-subnet')
    return str(ipaddress.ip_network(subnet.cidr)[-20])


class IPv6OnlyTest(base.FunctionalTest):
    """A machine that has no IPv4 address; all is done with one."""

    def test_ipv6_only(self) -> None:
        self.machine = self.name('six')
        gateway = _subnet('ipv6-subnet').gateway_ip
        self.shown = self.create(
            self.machine,
            *('--network', 'ipv6', '--allow-cidr', f'{gateway}/128'),
        ).json
        self.address = self.shown['address']
        self.assertEqual([self.address], self.shown['addresses'])
        self.assertEqual(6, ipaddress.ip_address(self.address).version)
        self._listens()
        self._said()
        self._docker()
        self._ssh()
        self._closed_to_others()
        self._well()
        self._another_address()
        self.here.machine('delete', self.machine)
        self.assertNothingLeft(self.machine)

    def _line(self, *command: str) -> str:
        return self.here.machine(*command, self.machine).out.strip()

    def _listens(self) -> None:
        """The engine has one socket, for both versions of IP."""
        shown = devcloud.in_guest(self.shown['id'], 'ss', '-Hltn')
        self.assertRegex(shown, r'\*:2376')

    def _said(self) -> None:
        url = f'tcp://[{self.address}]:2376'
        self.assertEqual(url, self._line('url'))
        self.assertEqual(self.address, self._line('ip'))
        self.assertEqual(url, self.here.contexts()[self.machine])
        self.assertIn(f'-H={url}', self._line('config'))

    def _docker(self) -> None:
        self.run_container(self.machine)
        env = self._line('env', '--no-proxy')
        script = f'{env}\necho $DOCKER_HOST $NO_PROXY; docker ps'
        said = self.here.run('sh', '-euc', script).out
        self.assertIn(f'tcp://[{self.address}]:2376 ', said)
        self.assertIn(f'{self.address}\n', said)

    def _ssh(self) -> None:
        there = self.machine
        done = self.here.machine('ssh', there, '--', 'cat', stdin=b'through')
        self.assertEqual('through', done.out)
        (self.here.home / 'a file').write_text('content')
        self.here.machine('scp', 'a file', f'{there}:/tmp/b c')
        self.here.machine('scp', f'{there}:/tmp/b c', 'back')
        self.assertEqual('content', (self.here.home / 'back').read_text())

    def _closed_to_others(self) -> None:
        """Another address of this host is as good as a stranger's."""
        own = _subnet('ipv6-subnet').gateway_ip
        other = _subnet('dual-subnet-v6').gateway_ip
        for port in (22, 2376):
            self.assertTrue(_reaches(self.address, port, own))
            self.assertFalse(_reaches(self.address, port, other))

    def _well(self) -> None:
        checked = self.here.machine('check', self.machine, '-f', 'json').json
        self.assertEqual({True}, {link['Holds'] for link in checked}, checked)
        self.here.machine('cert', 'renew', self.machine, '--server')
        self.here.docker('--context', self.machine, 'ps')

    def _another_address(self) -> None:
        """It is noticed and, with the keys known from before, followed."""
        new = str(ipaddress.ip_address(self.address) + 0x10000)
        port = self.shown['owned']['port_id']
        network = devcloud.connect('devcloud').network
        network.update_port(port, fixed_ips=[{'ip_address': new}])
        devcloud.in_guest(
            self.shown['id'],
            *('sh', '-euc', f'ip addr add {new}/64 dev eth0 nodad; '),
        )
        devcloud.wait_for(
            'Nova knows the address', lambda: new in self._addresses()
        )
        said = self.here.machine('check', self.machine, '-f', 'json', code=1)
        self.assertIn('provision', said.out)
        self.here.machine('provision', self.machine)
        self.assertEqual(f'tcp://[{new}]:2376', self._line('url'))
        self.here.docker('--context', self.machine, 'ps')
        self.assertEqual('ok', self._line_of_ssh('echo ok'))

    def _line_of_ssh(self, command: str) -> str:
        done = self.here.machine('ssh', self.machine, '--', command)
        return done.out.strip()

    def _addresses(self) -> str:
        compute = devcloud.connect('devcloud').compute
        return str(compute.get_server(self.shown['id']).addresses)


class BothVersionsTest(base.FunctionalTest):
    def test_ipv6_where_there_is_ipv4(self) -> None:
        name = self.name('both')
        machine = self.create(
            name, '--network', 'dual', '--ip-version', '6'
        ).json
        self.assertIn(':', machine['address'])
        self.assertEqual(2, len(machine['addresses']))
        self.here.docker('--context', name, 'ps')
        (four,) = {*machine['addresses']} - {machine['address']}
        self._certificate_names(machine, four, name)
        names = self.here.machine('cert', 'show', name, '-f', 'json').out
        for address in machine['addresses']:
            self.assertIn(address, names)

    def _certificate_names(
        self, machine: dict[str, typing.Any], four: str, name: str
    ) -> None:
        """Assert that Docker gets there by the other address, too."""
        config = self.here.machine('config', name).out
        other = config.replace(f'[{machine["address"]}]', four)
        self.assertNotEqual(config, other)
        options = shlex.split(other)
        self.here.docker(*options, 'ps')


class AdoptTest(servers.ServerTest):
    def test_ipv6_only(self) -> None:
        server = self.boot('adopt6', network='ipv6')
        self.assertIn(':', server.address)
        before = server.groups()
        machine = self.adopt(server).json
        self.assertEqual(f'tcp://[{server.address}]:2376', machine['url'])
        self.here.docker('--context', server.name, 'ps')
        # By its address, in another way to write it.
        address = ipaddress.IPv6Address(server.address).exploded.upper()
        again = self.here.machine(
            *('adopt', address, '--ssh-user', 'debian', '--dry-run'),
            *('--ssh-key', str(server.key)),
        )
        self.assertIn('nothing', again.err + again.out)
        self.here.machine('delete', server.name)
        self.assertEqual(before, server.groups())


def _subnet(name: str) -> typing.Any:
    return devcloud.connect().network.find_subnet(name, ignore_missing=False)


def _reaches(address: str, port: int, source: str) -> bool:
    try:
        socket.create_connection((address, port), 2, (source, 0)).close()
    except TimeoutError:
        return False
    return True
