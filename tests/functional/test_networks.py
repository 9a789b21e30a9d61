# SPDX-License-Identifier: Apache-2.0
"""Machines with several network interfaces."""

from __future__ import annotations

import ipaddress
import typing

from tests.functional import base, devcloud


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
