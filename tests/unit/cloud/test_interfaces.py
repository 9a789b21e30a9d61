# SPDX-License-Identifier: Apache-2.0
"""Several interfaces, fixed IPs, and the version of the address."""

from dockermachine_osc import errors
from dockermachine_osc.nics import Nic
from dockermachine_osc.record import mark
from tests.unit.cloud.planning import PlanTestCase
from tests.unit.fakecloud import OTHER


class InterfacesTestCase(PlanTestCase):
    def setUp(self):
        super().setUp()
        self.backend = self.fake.add_network('backend', subnets=[])
        self.fake.add_subnet(self.backend, '10.21.0.0/24', gateway_ip=None)

    def networks(self, *nics, **options):
        """Give the networks planned, and that of the address."""
        plan = self.plan(nics=nics, **options)
        found = [i.network_id for i in plan.interfaces]
        return found, plan.main.network_id

    def refuses_nics(self, expected, *nics, error=errors.InvalidRequest):
        return self.refuses(expected, error, nics=nics)


class TestSeveral(InterfacesTestCase):
    def test_address_is_of_the_first_with_a_way_out(self):
        one, two = self.backend['id'], self.private['id']
        for first, second in ((one, two), (two, one)):
            found = self.networks(Nic(first), Nic(second))
            self.assertEqual(([first, second], two), found)
        plan = self.plan(nics=(Nic('backend'), Nic('private')))
        self.assertEqual(self.public['id'], plan.external.id)

    def test_without_floating_ip_it_is_of_the_first_with_a_gateway(self):
        found = self.networks(
            Nic('backend'), Nic('private'), no_floating_ip=True
        )
        self.assertEqual(self.private['id'], found[1])
        found = self.networks(Nic('backend'), no_floating_ip=True)
        self.assertEqual(self.backend['id'], found[1])

    def test_none_with_a_way_out(self):
        other = self.fake.add_network('other')
        self.refuses_nics(
            ["'backend' has no router"], Nic('backend'), Nic(other['id'])
        )

    def test_each_is_told(self):
        nics = (Nic('backend'), Nic('private'))
        notes = '\n'.join(self.plan(nics=nics).notes())
        self.assertIn('network: backend (as asked)', notes)
        self.assertIn('network: private (as asked)', notes)
        self.assertNotIn('gateways:', notes)

    def test_two_gateways(self):
        self.fake.add_network('second')
        self.assertNotes(
            'gateways: several',
            '--gateway none',
            nics=(Nic('private'), Nic('second')),
        )

    def test_network_twice(self):
        port = self.fake.add_port(self.private, name='p')
        by_id = Nic(self.private['id'])
        for other in (by_id, Nic(port='p')):
            self.refuses_nics(
                "Network 'private' is given twice", Nic('private'), other
            )
        self.refuses_nics(
            "Port '" + port['id'], Nic(port='p'), Nic(port=port['id'])
        )

    def test_ports_and_networks(self):
        port = self.fake.add_port(self.backend, name='p', description='mine')
        nics = (Nic(port='p', tag='storage'), Nic('private'))
        plan = self.plan(nics=nics)
        first, second = plan.interfaces
        self.assertEqual((port['id'], 'storage'), (first.port.id, first.tag))
        self.assertIs(second, plan.main)
        self.assertIsNotNone(plan.rules)
        self.assertIsNone(self.plan(nics=nics[:1]).rules)

    def test_port_with_a_floating_ip_has_the_address(self):
        other = self.fake.add_network('other')
        self.fake.add_router(self.public, other)
        port = self.fake.add_port(other, name='p')
        mine = self.fake.add_floating_ip(self.public, port_id=port['id'])
        plan = self.plan(nics=(Nic('private'), Nic(port='p')))
        self.assertEqual(port['id'], plan.port.id)
        self.assertEqual(mine['id'], plan.floating_ip.id)

    def test_port_of_another_project(self):
        self.fake.add_port(self.private, OTHER, name='p')
        self.fake.admin = True
        self.refuses_nics('belongs to another project', Nic(port='p'))

    def test_port_of_a_machine(self):
        """It would go with that machine."""
        text = mark('a' * 32, 'web9')
        self.fake.add_port(self.private, name='p', description=text)
        self.refuses_nics("was made for machine 'web9'", Nic(port='p'))

    def test_port_without_an_address(self):
        self.fake.add_port(self.private, name='p', fixed_ips=[])
        self.refuses_nics("Port 'p' has no address", Nic(port='p'))

    def test_port_in_use_that_names_a_server_strangely(self):
        self.fake.add_port(self.private, name='p', device_id='a\x1b[2Jb')
        error = self.refuses_nics('in use', Nic(port='p'))
        self.assertNotIn('\x1b', str(error))

    def test_quota_counts_all(self):
        self.fake.quota['port'] = 2
        nics = (Nic('private'), Nic('backend'))
        self.refuses(
            'ports: 2 needed, 1 of 2', errors.QuotaExceeded, nics=nics
        )
        self.fake.add_port(self.backend, name='p')
        self.plan(nics=(Nic(port='p'),))

    def test_how_it_asks(self):
        for name in ('p', 'q'):
            network = self.fake.add_network(f'of-{name}')
            self.fake.add_port(network, name=name)
        self.fake.log.clear()
        nics = [Nic(port='p'), Nic(port='q'), Nic('private')]
        nics.append(Nic('backend', v4_fixed_ip='10.21.0.5'))
        self.plan(nics=tuple(nics))
        asked = [x for x in self.fake.log if x.endswith('/v2.0/ports')]
        # Routers' legs, the ports that are named, who has the fixed IPs.
        self.assertEqual(3, len(asked), asked)


class TestFixedIps(InterfacesTestCase):
    def test_both_versions(self):
        self.fake.add_subnet(self.private, '2001:db8::/64')
        nic = Nic(
            'private', v4_fixed_ip='10.20.0.9', v6_fixed_ip='2001:DB8:0::9'
        )
        (found,) = self.plan(nics=(nic,)).interfaces
        self.assertEqual(('10.20.0.9', '2001:db8::9'), found.fixed_ips)
        self.assertEqual({4, 6}, found.versions)

    def test_in_no_subnet(self):
        for address in ('10.21.0.5', '192.0.2.1'):
            self.refuses_nics(
                [f'{address} is in no subnet', "'private': 10.20.0.0/24"],
                Nic('private', v4_fixed_ip=address),
            )
        self.refuses_nics(
            'in no subnet', Nic('private', v6_fixed_ip='2001:db8::1')
        )

    def test_not_for_servers(self):
        for address in ('10.20.0.0', '10.20.0.1', '10.20.0.255'):
            self.refuses_nics(
                f'{address} is no address for a server',
                Nic('private', v4_fixed_ip=address),
            )

    def test_taken(self):
        port = self.fake.add_port(
            self.private, fixed_ips=[{'ip_address': '10.20.0.77'}]
        )
        self.refuses_nics(
            ["10.20.0.77 of network 'private' is taken", port['id']],
            Nic('private', v4_fixed_ip='10.20.0.77'),
        )
        twin = self.fake.add_network('twin')
        self.fake.add_router(self.public, twin)
        self.plan(nics=(Nic('twin', v4_fixed_ip='10.20.0.77'),))

    def test_servers_make_their_own(self):
        for mode in ('slaac', 'dhcpv6-stateless'):
            network = self.fake.add_network(mode, subnets=[])
            self.fake.add_subnet(
                network, '2001:db8:1::/64', ipv6_address_mode=mode
            )
            self.refuses_nics(
                ['make their own addresses', mode],
                Nic(mode, v6_fixed_ip='2001:db8:1::9'),
            )

    def test_one_of_two_versions(self):
        """As `server create` does it: the port gets what is asked for."""
        self.fake.add_subnet(self.private, '2001:db8::/64')
        nic = Nic('private', v4_fixed_ip='10.20.0.9')
        self.refuses(
            'no IPv6 address', nics=(nic,), ip_version=6, no_floating_ip=True
        )
        self.fake.add_subnet(
            self.private, '2001:db8:1::/64', ipv6_address_mode='slaac'
        )
        self.assertEqual(6, self.plan(nics=(nic,), ip_version=6).ip_version)


class TestIpVersion(InterfacesTestCase):
    def setUp(self):
        super().setUp()
        self.six = self.fake.add_network('six', subnets=[])
        self.fake.add_subnet(self.six, '2001:db8:6::/64')
        self.dual = self.fake.add_network('dual', subnets=[])
        for cidr in ('10.22.0.0/24', '2001:db8:46::/64'):
            self.fake.add_subnet(self.dual, cidr)

    def test_default_is_4(self):
        plan = self.plan()
        self.assertEqual(self.private['id'], plan.main.network_id)
        self.assertEqual((4, ('0.0.0.0/0',)), self.version_and_cidrs())
        for version in (None, 4):
            found = self.version_and_cidrs(
                network='dual', no_floating_ip=True, ip_version=version
            )
            self.assertEqual((4, ('0.0.0.0/0',)), found)

    def version_and_cidrs(self, **options):
        plan = self.plan(**options)
        return plan.ip_version, plan.rules.cidrs

    def test_6_where_there_is_no_other(self):
        plan = self.plan(network='six')
        self.assertEqual((None, 6), (plan.external, plan.ip_version))
        self.assertEqual(('::/0',), plan.rules.cidrs)
        self.assertNotes('IPv6, without a floating IP', network='six')
        self.assertNotes('open: tcp 22, 2376 from ::/0 (', network='six')

    def test_6_although_there_is_4(self):
        self.assertEqual(
            (6, ('0.0.0.0/0', '::/0')),
            self.version_and_cidrs(network='dual', ip_version=6),
        )

    def test_6_chooses_among_its_networks(self):
        self.refuses(
            [self.six['id'], self.dual['id']], errors.Ambiguous, ip_version=6
        )
        del self.fake.things['networks'][self.dual['id']]
        self.assertChose(self.six, 'network', ip_version=6)

    def test_router_does_not_give_ipv6_a_floating_ip(self):
        self.fake.add_router(self.public, self.six)
        self.assertEqual(self.private['id'], self.plan().main.network_id)
        self.assertIsNone(self.plan(network='six').external)
        found = self.networks(Nic('six'), Nic('private'))
        self.assertEqual(self.private['id'], found[1])
        self.refuses(
            ['is IPv4', "'six' is IPv6 only", '--no-floating-ip'],
            network='six',
            external_network='public',
        )

    def test_first_of_that_version(self):
        nics = (Nic('private'), Nic('six'), Nic('dual'))
        self.assertEqual(self.six['id'], self.networks(*nics, ip_version=6)[1])

    def test_not_to_be_had(self):
        self.refuses(
            ['--ip-version 6', "'private'", '--ip-version 6'],
            network='private',
            ip_version=6,
        )
        self.refuses("no IPv4 address on 'six'", network='six', ip_version=4)
        for kind in ('dual', 'six'):
            del self.fake.things['networks'][getattr(self, kind)['id']]
        self.refuses(
            'no network with an IPv6 subnet', errors.NotFound, ip_version=6
        )

    def test_subnets_out_of_sight(self):
        hidden = self.fake.add_network('hidden', subnets=['x'])
        self.fake.add_router(self.public, hidden)
        self.assertEqual(4, self.plan(network='hidden').ip_version)
        self.assertEqual(
            6, self.plan(network='hidden', ip_version=6).ip_version
        )

    def test_cidrs_of_both_versions(self):
        cidrs = ('2001:DB8::/32', '192.0.2.0/24')
        for options in ({'network': 'private'}, {'network': 'six'}):
            plan = self.plan(allow_cidrs=cidrs, **options)
            self.assertEqual(
                ('192.0.2.0/24', '2001:db8::/32'), plan.rules.cidrs
            )
            types = {
                (rule['ethertype'], rule['remote_ip_prefix'])
                for rule in plan.rules.missing_from(self.group())
            }
            self.assertEqual(
                {('IPv4', '192.0.2.0/24'), ('IPv6', '2001:db8::/32')}, types
            )

    def group(self):
        self.fake.add_group('empty')
        return next(iter(self.cloud._connection.network.security_groups()))

    def test_cidrs_that_let_nobody_in(self):
        for network, cidr, version in (
            ('private', '2001:db8::/32', 4),
            ('six', '192.0.2.0/24', 6),
        ):
            self.refuses(
                [f'address is IPv{version}', 'nobody could reach it'],
                network=network,
                allow_cidrs=(cidr,),
            )

    def test_group_that_is_there_is_found(self):
        rules = self.plan(network='six').rules
        group = self.fake.add_group(
            rules.group_name,
            f'Made and removed by openstack docker machine: {rules}',
        )
        plan = self.plan(network='six')
        self.assertEqual([group['id']], [g.id for g in plan.known_groups])
        self.assertEqual((), self.plan().known_groups)
