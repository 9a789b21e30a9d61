# SPDX-License-Identifier: Apache-2.0
"""Machines with several interfaces, and on IPv6."""

import io
import tarfile

from dockermachine_osc import errors, pki
from dockermachine_osc.nics import Nic
from tests.unit import workbench


class NetworksTestCase(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.backend = self.fake.add_network('backend', subnets=[])
        self.fake.add_subnet(self.backend, '10.21.0.0/24', gateway_ip=None)

    def names(self):
        """Give the names in the certificate that the host was given."""
        _, stdin = self.guest.parcels[-1]
        with tarfile.open(fileobj=io.BytesIO(stdin)) as archive:
            return pki.facts(archive.extractfile('server.pem').read()).names


class TestInterfaces(NetworksTestCase):
    def setUp(self):
        super().setUp()
        storage = self.fake.add_network('storage', subnets=[])
        self.fake.add_subnet(storage, '10.22.0.0/24')
        fixed = [{'ip_address': '10.22.0.9'}]
        self.mine = self.fake.add_port(storage, name='p', fixed_ips=fixed)
        self.before = self.fake.holds()
        self.nics = (
            Nic('backend', v4_fixed_ip='10.21.0.5', tag='back'),
            Nic(port='p'),
            Nic('private'),
        )

    def made(self):
        """Give the ports that were made, by network."""
        before = self.before['ports']
        return {
            port['network_id']: port
            for port in self.fake.things['ports'].values()
            if port['id'] not in before
        }

    def test_server_has_them_in_order(self):
        server = self.create(nics=self.nics).server
        made = self.made()
        back, front = (made[n['id']] for n in (self.backend, self.private))
        (body,) = self.fake.booted
        self.assertEqual(
            [
                {'port': back['id'], 'tag': 'back'},
                {'port': self.mine['id']},
                {'port': front['id']},
            ],
            body['networks'],
        )
        self.assertEqual([{'ip_address': '10.21.0.5'}], back['fixed_ips'])
        self.assertEqual(front['id'], server.record.port_id)
        self.assertIn(server.record.address, server.floating)
        group = server.record.security_group_id
        for port in (back, front):
            self.assertEqual([group], port['security_groups'])
            self.assertIn(server.record.id, port['description'])
        self.assertEqual([], self.mine['security_groups'])

    def test_certificate_names_all_addresses(self):
        server = self.create(nics=self.nics).server
        self.assertEqual(4, len(server.addresses))
        self.assertLessEqual({*server.addresses}, {*self.names()})

    def test_delete_leaves_the_users_port(self):
        self.create(nics=self.nics)
        self.delete()
        self.assertHolds(self.before)

    def test_check_looks_at_the_interface_of_the_address(self):
        server = self.create(nics=self.nics).server
        opened = self.cloud.open_from(
            server.id, server.record.address, server.record.port_id, 2376
        )
        self.assertEqual(('0.0.0.0/0',), opened)
        for address in ('10.22.0.9', server.record.address):
            self.assertEqual(
                (),
                self.cloud.open_from(
                    server.id, address, self.mine['id'], 2376
                ),
            )

    def test_failure_on_the_way(self):
        """Whatever is made by then is taken back."""
        for what in ('security-groups', 'ports', 'floatingips'):
            self.fake.refuse(f'POST network .*/{what}$', 403, 'Boom')
            self.assertBoomed()

    def test_failure_at_the_second_port(self):
        pattern = 'POST network .*/ports$'
        self.fake.on(pattern, lambda: self.fake.refuse(pattern, 403, 'Boom'))
        self.assertBoomed()
        self.assertIn(
            'DELETE network /v2.0/ports', ' '.join(self.fake.mutations())
        )

    def assertBoomed(self):
        error = self.assertRaises(
            errors.CloudFailure, self.create, nics=self.nics
        )
        self.assertIn('Boom', str(error))
        self.assertHolds(self.before)

    def test_address_that_another_project_has(self):
        """Only Neutron knows of it."""
        self.fake.refuse(
            'POST network .*/ports$',
            409,
            'IP address 10.21.0.5 already allocated in subnet x',
        )
        error = self.assertRaises(
            errors.CloudFailure, self.create, nics=self.nics
        )
        self.assertIn('already allocated', str(error))
        self.assertHolds(self.before)

    def test_group_that_goes_at_this_moment(self):
        """Whoever deleted the last machine took it along: it comes back."""

        def gone():
            self.fake.things['security-groups'].clear()

        self.fake.on('POST network .*/ports$', gone)
        group = self.create(nics=self.nics).server.record.security_group_id
        self.assertEqual([group], [*self.fake.things['security-groups']])
        for port in self.made().values():
            self.assertEqual([group], port['security_groups'])


class TestIPv6(NetworksTestCase):
    def setUp(self):
        super().setUp()
        self.six = self.fake.add_network('six', subnets=[])
        self.fake.add_subnet(self.six, '2001:db8:6::/64')
        self.dual = self.fake.add_network('dual', subnets=[])
        for cidr in ('10.22.0.0/24', '2001:db8:46::/64'):
            self.fake.add_subnet(self.dual, cidr)

    def test_only(self):
        machine = self.create(network='six')
        address = machine.server.record.address
        self.assertTrue(address.startswith('2001:db8:6::'), address)
        self.assertEqual(f'tcp://[{address}]:2376', machine.url)
        self.assertEqual({}, self.fake.things['floatingips'])
        self.assertIn(address, self.names())
        (group,) = self.fake.things['security-groups'].values()
        opened = [
            (rule['ethertype'], rule['remote_ip_prefix'])
            for rule in group['security_group_rules']
            if rule['direction'] == 'ingress'
        ]
        self.assertEqual([('IPv6', '::/0')] * 2, opened)
        for there, port in ((('::/0',), 22), ((), 80)):
            self.assertEqual(
                there,
                self.cloud.open_from(machine.server.id, address, '', port),
            )
        self.assertEqual(
            (), self.cloud.open_from(machine.server.id, '10.0.0.1', '', 22)
        )
        known = self.files.machine('web1').read('known_hosts').decode()
        self.assertTrue(known.startswith(f'{address} ssh-'), known)

    def test_either(self):
        for version, mark in ((6, ':'), (4, '.')):
            machine = self.create(
                f'web{version}',
                network='dual',
                ip_version=version,
                no_floating_ip=True,
            )
            server = machine.server
            self.assertIn(mark, server.record.address)
            self.assertEqual(2, len(server.addresses))
            self.assertLessEqual({*server.addresses}, {*self.names()})

    def test_cloud_that_gives_another_version(self):
        """What the subnets promise is Neutron's to keep."""
        before = self.fake.holds()
        subnets = self.fake.things['subnets']

        def change():
            for subnet in subnets.values():
                if subnet['network_id'] == self.six['id']:
                    subnet |= {'cidr': '10.23.0.0/24', 'ip_version': 4}

        self.fake.on('POST network .*/security-groups', change)
        error = self.assertRaises(
            errors.CloudFailure, self.create, network='six'
        )
        self.assertIn('has no IPv6 address', str(error))
        for kind in ('ports', 'servers', 'security-groups'):
            self.assertEqual(before[kind], self.fake.things[kind])
