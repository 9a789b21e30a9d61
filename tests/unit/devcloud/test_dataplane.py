# SPDX-License-Identifier: Apache-2.0
"""What is read of Neutron's database, and the rules that come of it."""

import dataclasses
import pathlib
import re
import sqlite3

import fixtures
from devcloud import settings
from devcloud.dataplane import daemon, database, model, nft
from devcloud.guest import errors
from oslotest import base

# The columns that are read, of the tables of Neutron's models.
SCHEMA = """
CREATE TABLE networks (id, mtu);
CREATE TABLE externalnetworks (network_id);
CREATE TABLE subnets (network_id, ip_version, cidr, gateway_ip);
CREATE TABLE ports (id, mac_address, network_id, admin_state_up,
                    device_owner);
CREATE TABLE portsecuritybindings (port_id, port_security_enabled);
CREATE TABLE ipallocations (port_id, ip_address);
CREATE TABLE securitygroupportbindings (port_id, security_group_id);
CREATE TABLE securitygrouprules (id, security_group_id, direction, protocol,
    port_range_min, port_range_max, remote_ip_prefix, remote_group_id,
    remote_address_group_id, ethertype);
CREATE TABLE address_associations (address_group_id, address);
CREATE TABLE routers (id, gw_port_id, enable_snat, admin_state_up);
CREATE TABLE routerports (router_id, port_id, port_type);
CREATE TABLE floatingips (floating_ip_address, fixed_ip_address,
                          floating_network_id, router_id);
"""
CLOUD = """
INSERT INTO networks VALUES ('net-in', 1400), ('net-out', 1500),
    ('net-bare', 1400);
INSERT INTO externalnetworks VALUES ('net-out');
INSERT INTO subnets VALUES ('net-in', 4, '10.1.0.0/24', '10.1.0.1'),
    ('net-in', 6, 'fd00::/64', 'fd00::1'),
    ('net-out', 4, '172.30.0.0/24', '172.30.0.1');
INSERT INTO ports VALUES
    ('guest', 'fa:16:3e:00:00:01', 'net-in', 1, 'compute:nova'),
    ('off', 'fa:16:3e:00:00:02', 'net-in', 0, 'compute:nova'),
    ('inner', 'fa:16:3e:00:00:03', 'net-in', 1, 'network:router_interface'),
    ('outer', 'fa:16:3e:00:00:04', 'net-out', 1, 'network:router_gateway');
INSERT INTO portsecuritybindings VALUES ('guest', 0);
INSERT INTO ipallocations VALUES ('guest', '10.1.0.5'), ('guest', 'fd00::5'),
    ('off', '10.1.0.6'), ('inner', '10.1.0.1'), ('outer', '172.30.0.9');
INSERT INTO securitygroupportbindings VALUES ('guest', 'web');
INSERT INTO securitygrouprules VALUES
    ('r1', 'web', 'ingress', 'tcp', 80, 80, NULL, NULL, NULL, 'IPv4'),
    ('r2', 'web', 'egress', NULL, NULL, NULL, NULL, NULL, NULL, 'IPv6');
INSERT INTO networks VALUES ('net-six', 1400);
INSERT INTO subnets VALUES ('net-six', 6, 'fd01::/64', 'fd01::1');
INSERT INTO address_associations VALUES ('ag', '192.0.2.0/24'),
    ('ag', '2001:db8::/32');
INSERT INTO routers VALUES ('router', 'outer', 1, 1), ('down', NULL, 1, 0);
INSERT INTO routerports VALUES
    ('router', 'inner', 'network:router_interface'),
    ('router', 'outer', 'network:router_gateway');
INSERT INTO floatingips VALUES
    ('172.30.0.20', '10.1.0.5', 'net-out', 'router'),
    ('172.30.0.21', NULL, 'net-out', NULL);
"""


def subnet(number: int) -> tuple[model.Subnet, ...]:
    return (model.Subnet(f'10.{number}.0.0/24', f'10.{number}.0.1'),)


def port(
    name: str, network: str, address: str, *groups: str, filtered: bool = True
) -> model.Port:
    return model.Port(
        name * 8,
        'fa:16:3e:00:00:0' + name,
        network,
        (address,),
        filtered,
        groups,
    )


IN, OTHER, LONELY = (
    model.Network(name * 8, 1400, False, subnet(number))
    for name, number in (('c', 1), ('d', 2), ('e', 3))
)
OUT = model.Network('f' * 8, 1500, True, subnet(9))
A = dataclasses.replace(
    port('1', IN.id, '10.1.0.5', 'web'),
    mac='fa:16:3e:00:00:01',
    addresses=('10.1.0.5', 'fd00::5'),
)
B = port('2', IN.id, '10.1.0.6')
C = port('3', OTHER.id, '10.2.0.7')
D = port('4', LONELY.id, '10.3.0.8')
ROUTER = model.Router('r', (IN.id, OTHER.id), OUT.id, '10.9.0.2', True)
STATE = model.State(
    networks=(IN, OTHER, LONELY, OUT),
    ports=(A, B, C, D),
    rules={'web': (model.Rule('ingress', 'tcp', 80, 81),)},
    routers=(ROUTER,),
    floating_ips=(model.FloatingIP('10.9.0.20', '10.1.0.5', OUT.id, 'r'),),
)


class DataPlaneTest(base.BaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.EnvironmentVariable('DEVCLOUD_PORT', '19500'))
        settings.current.cache_clear()
        self.addCleanup(settings.current.cache_clear)


class Reading(DataPlaneTest):
    def setUp(self) -> None:
        super().setUp()
        home = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = home / 'neutron.sqlite'
        self.neutron = sqlite3.connect(self.path)
        self.addCleanup(self.neutron.close)
        self.neutron.executescript('PRAGMA journal_mode=WAL;' + SCHEMA)
        self.neutron.executescript(CLOUD)
        self.database = database.Database(self.path)
        self.addCleanup(self.database.close)
        self.state = self.database.read()

    def test_networks_have_subnets(self) -> None:
        self.assertEqual(
            ['net-in', 'net-out', 'net-six'],
            [n.id for n in self.state.networks],
        )
        self.assertEqual(
            ['net-in', 'net-six'], [n.id for n in self.state.tenants]
        )
        both = self.state.networks[0]
        self.assertEqual(
            ['10.1.0.1/24', 'fd00::1/64'],
            [s.gateway_with_prefix for s in both.subnets],
        )
        self.assertEqual(
            [True, False, True], [n.has_ipv6 for n in self.state.networks]
        )

    def test_kernel_without_ipv6(self) -> None:
        state = self.state.without_ipv6()
        self.assertFalse(any(n.has_ipv6 for n in state.networks))
        self.assertEqual(('10.1.0.5',), state.ports[0].addresses)

    def test_ports_are_those_of_guests_that_are_on(self) -> None:
        (found,) = self.state.ports
        self.assertEqual('guest', found.id)
        self.assertEqual(('10.1.0.5', 'fd00::5'), found.addresses)
        self.assertEqual(('web',), found.groups)
        self.assertFalse(found.filtered)

    def test_rules(self) -> None:
        self.assertEqual(
            {
                'web': (
                    model.Rule('ingress', 'tcp', 80, 80),
                    model.Rule('egress', None, None, None, ethertype='IPv6'),
                )
            },
            self.state.rules,
        )
        self.assertEqual(
            {'ag': ('192.0.2.0/24', '2001:db8::/32')},
            self.state.address_groups,
        )

    def test_routers_and_floating_ips_in_use(self) -> None:
        self.assertEqual(
            (
                model.Router(
                    'router', ('net-in',), 'net-out', '172.30.0.9', True
                ),
            ),
            self.state.routers,
        )
        self.assertEqual(
            (
                model.FloatingIP(
                    '172.30.0.20', '10.1.0.5', 'net-out', 'router'
                ),
            ),
            self.state.floating_ips,
        )

    def test_a_commit_changes_the_version(self) -> None:
        before = self.database.version()
        self.assertEqual(before, self.database.version())
        with self.neutron:
            self.neutron.execute('DELETE FROM floatingips')
        self.assertNotEqual(before, self.database.version())
        self.assertEqual((), self.database.read().floating_ips)

    def test_it_cannot_be_written(self) -> None:
        self.assertRaises(
            sqlite3.OperationalError,
            self.database._connection.execute,
            'DELETE FROM ports',
        )


class Topology(DataPlaneTest):
    def test_one_router_connects_its_networks(self) -> None:
        self.assertEqual([IN, OTHER], STATE.reachable(IN))
        self.assertEqual([LONELY], STATE.reachable(LONELY))

    def test_the_way_out(self) -> None:
        self.assertEqual([IN, OTHER], STATE.with_gateway())
        self.assertEqual([IN, OTHER], STATE.with_gateway(OUT.id, snat=True))
        self.assertEqual([], STATE.with_gateway('another'))

    def test_link_local_address(self) -> None:
        self.assertEqual('fe80::f816:3eff:fe00:1', A.link_local)

    def test_neighbours(self) -> None:
        self.assertEqual({'10.1.0.5', 'fd00::5'}, STATE.neighbours(B))
        self.assertEqual(set(), STATE.neighbours(D))

    def test_who_others_see(self) -> None:
        self.assertEqual(
            {
                '10.1.0.5': '10.9.0.20',
                '10.1.0.6': '10.9.0.2',
                '10.2.0.7': '10.9.0.2',
            },
            STATE.outside_addresses(),
        )


class SecurityGroups(DataPlaneTest):
    def text(self, *args: object, **fields: object) -> str | None:
        rule = model.Rule('ingress', *args, **fields)  # type: ignore[arg-type]
        return nft.rule_text(rule, STATE)

    def test_protocols(self) -> None:
        for want, *rule in (
            ('return', None, None, None),
            ('return', 'any', None, None),
            ('tcp dport 80-81 return', 'tcp', 80, 81),
            ('udp dport 53-53 return', '17', 53, 53),
            ('ip protocol tcp return', '6', None, None),
            ('ip protocol 47 return', '47', None, None),
        ):
            self.assertEqual(f'meta nfproto ipv4 {want}', self.text(*rule))

    def test_ipv6(self) -> None:
        for want, *rule in (
            ('meta nfproto ipv6 return', None, None, None),
            ('meta nfproto ipv6 return', None, None, None, '::/0'),
            ('ip6 saddr fd00::/8 return', None, None, None, 'fd00::/8'),
            ('meta nfproto ipv6 tcp dport 80-80 return', 'tcp', 80, 80),
            ('meta nfproto ipv6 meta l4proto tcp return', '6', None, None),
        ):
            self.assertEqual(want, self.text(*rule, ethertype='IPv6'))

    def test_icmp_of_ipv6(self) -> None:
        for name in ('icmp', 'ipv6-icmp', 'icmpv6', '58'):
            for want, *numbers in (
                ('meta l4proto icmpv6', None, None),
                ('icmpv6 type 128', 128, None),
                ('icmpv6 type 1 icmpv6 code 4', 1, 4),
            ):
                self.assertEqual(
                    f'meta nfproto ipv6 {want} return',
                    self.text(name, *numbers, ethertype='IPv6'),
                )

    def test_icmp(self) -> None:
        for want, *rule in (
            ('ip protocol icmp', 'icmp', None, None),
            ('icmp type 8', 'icmp', 8, None),
            ('icmp type 3 icmp code 4', '1', 3, 4),
        ):
            self.assertEqual(
                f'meta nfproto ipv4 {want} return', self.text(*rule)
            )

    def test_prefix(self) -> None:
        self.assertEqual(
            'ip saddr 192.0.2.0/24 return',
            self.text(None, None, None, '192.0.2.0/24'),
        )
        self.assertEqual(
            'meta nfproto ipv4 return',
            self.text(None, None, None, '0.0.0.0/0'),
        )

    def test_egress_is_about_the_destination(self) -> None:
        rule = model.Rule('egress', 'tcp', 80, 80, '192.0.2.1/32')
        self.assertEqual(
            'ip daddr 192.0.2.1/32 tcp dport 80-80 return',
            nft.rule_text(rule, STATE),
        )

    def test_remote_group(self) -> None:
        self.assertEqual(
            'ip saddr { 10.1.0.5 } return',
            self.text(None, None, None, remote_group='web'),
        )
        self.assertEqual(
            'ip6 saddr { fd00::5 } return',
            self.text(None, None, None, remote_group='web', ethertype='IPv6'),
        )

    def test_address_group_with_prefixes_that_overlap(self) -> None:
        state = model.State(
            address_groups={
                'ag': (
                    *('10.0.0.0/8', '10.1.0.0/16', '192.0.2.1'),
                    *('fd00::/8', 'fd01::/16'),
                )
            }
        )
        rule = model.Rule('ingress', None, None, None, address_group='ag')
        self.assertEqual(
            'ip6 saddr { fd00::/8 } return',
            nft.rule_text(dataclasses.replace(rule, ethertype='IPv6'), state),
        )
        self.assertEqual(
            'ip saddr { 10.0.0.0/8, 192.0.2.1/32 } return',
            nft.rule_text(rule, state),
        )

    def test_nobody_of_that_version(self) -> None:
        state = dataclasses.replace(
            STATE, ports=(B,), address_groups={'ag': ('10.0.0.0/8',)}
        )
        for field, value in (('remote_group', 'db'), ('address_group', 'ag')):
            rule = model.Rule('ingress', None, None, None, ethertype='IPv6')
            changed = dataclasses.replace(rule, **{field: value})  # type: ignore[arg-type]
            self.assertIsNone(nft.rule_text(changed, state))

    def test_nobody_is_not_anybody(self) -> None:
        for field in ('remote_group', 'address_group'):
            self.assertIsNone(self.text(None, None, None, **{field: 'none'}))


class Rendering(DataPlaneTest):
    def chain(
        self, name: str, state: model.State = STATE, **policy: tuple[str, ...]
    ) -> list[str]:
        """The lines of one chain."""
        text = nft.render(state, nft.Policy('table', **policy))
        found = re.search(rf'  chain {name} {{\n((?:    .*\n)*)  }}', text)
        self.assertIsNotNone(found, text)
        assert found
        return [line.strip() for line in found[1].splitlines()]

    def test_the_table_is_replaced(self) -> None:
        text = nft.render(model.State(), nft.Policy('table'))
        self.assertEqual(
            [
                'table inet table',
                'delete table inet table',
                'table inet table {',
            ],
            text.splitlines()[:3],
        )

    def test_a_state_is_always_the_same_text(self) -> None:
        self.assertEqual(
            nft.render(STATE, nft.Policy('t')),
            nft.render(STATE, nft.Policy('t')),
        )

    def test_default_deny(self) -> None:
        self.assertEqual(
            ['meta nfproto ipv4 tcp dport 80-81 return', 'drop'],
            self.chain('i_11111111'),
        )
        self.assertEqual(['drop'], self.chain('i_22222222'))
        for name in ('leaving', 'entering'):
            self.assertEqual('drop', self.chain(name)[-1])
            self.assertEqual('drop', self.chain(name, model.State())[-1])

    def test_port_security_off(self) -> None:
        free = port('1', IN.id, '10.1.0.5', filtered=False)
        state = model.State(networks=(IN,), ports=(free,))
        self.assertEqual(['return'], self.chain('i_11111111', state))
        self.assertNotIn(free.tap, ''.join(self.chain('own_address', state)))

    def test_no_false_sender(self) -> None:
        four, six, unspecified, last = self.chain('own_address')
        self.assertIn(f'"{A.tap}" . {A.mac} . 10.1.0.5', four)
        self.assertNotIn('fd00::5', four)
        for address in ('fd00::5', A.link_local):
            self.assertIn(f'"{A.tap}" . {A.mac} . {address}', six)
        self.assertNotIn(B.tap, six + unspecified)
        self.assertTrue(last.endswith('drop'))

    def test_neighbour_discovery_is_before_all_rules(self) -> None:
        for name in ('leaving', 'entering', 'to_host'):
            lines = self.chain(name)
            self.assertLess(
                lines.index(nft.NEIGHBOURS), lines.index(nft.REPLIES[0])
            )

    def test_lonely_network_has_no_way(self) -> None:
        ours = '"d19500t*"'
        self.assertEqual(
            [
                f'oifname {ours} ct status dnat drop',
                f'oifname {{ "{D.tap}" }} accept',
                f'oifname {ours} {nft.REJECT}',
                nft.REJECT,
            ],
            self.chain('from_eeeeeeee'),
        )
        self.assertNotIn(D.tap, ''.join(self.chain('floating')))

    def test_routed_network_gets_out_by_name_and_web(self) -> None:
        lines = self.chain('from_cccccccc')
        out = [line for line in lines if '443' in line]
        self.assertEqual(1, len(out))
        for private in nft.PRIVATE:
            self.assertIn(private, out[0])

    def test_router_without_snat_lets_out_floating_ips_only(self) -> None:
        router = model.Router('r', (IN.id,), OUT.id, '10.9.0.2', False)
        state = model.State(
            networks=STATE.networks,
            ports=(A, B),
            routers=(router,),
            floating_ips=STATE.floating_ips,
        )
        out = [x for x in self.chain('from_cccccccc', state) if '443' in x]
        self.assertTrue(out[0].startswith('ip saddr { 10.1.0.5 } '))
        self.assertEqual({'10.1.0.5': '10.9.0.20'}, state.outside_addresses())

    def test_floating_ip_is_for_those_near_it_and_the_host(self) -> None:
        (line,) = self.chain('floating')[1:]
        self.assertIn('10.9.0.20 : 10.1.0.5', line)
        self.assertIn(C.tap, line)
        self.assertIn('10.9.0.20 : 10.1.0.5', self.chain('host_floating')[1])

    def test_one_that_is_gone_ends_its_connections(self) -> None:
        gone = model.State(networks=(IN,), ports=(A,))
        self.assertIn('ct status dnat drop', self.chain('entering', gone))
        self.assertIn(
            '!= { 10.9.0.20 . 10.1.0.5 } drop',
            '\n'.join(self.chain('entering')),
        )

    def test_only_own_guests_are_hidden(self) -> None:
        """Another cloud may have the same addresses."""
        for line in self.chain('source')[1:]:
            self.assertTrue(
                line.startswith(('iifname "d19500t', 'oifname "d19500t')), line
            )

    def test_host_ports(self) -> None:
        closed = self.chain('to_host')
        opened = self.chain('to_host', host_ports=('8080', '8081'))
        (line,) = set(opened) - set(closed)
        self.assertTrue(line.endswith('tcp dport { 8080, 8081 } accept'))
        self.assertNotIn(D.tap, line)


class HostPorts(DataPlaneTest):
    def policy(self, value: str) -> tuple[str, ...]:
        self.useFixture(
            fixtures.EnvironmentVariable('DEVCLOUD_HOST_PORTS', value)
        )
        return daemon.policy().host_ports

    def test_list(self) -> None:
        self.assertEqual((), self.policy(''))
        self.assertEqual(('80', '8080'), self.policy('80, 8080'))

    def test_nonsense(self) -> None:
        for value in ('http', '0', '70000', '80; accept'):
            self.assertRaises(errors.GuestError, self.policy, value)
