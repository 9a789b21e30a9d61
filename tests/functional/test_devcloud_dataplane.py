# SPDX-License-Identifier: Apache-2.0
"""The devcloud's network, from inside real guests and from this machine.

Who reaches whom, and as whom: through floating IPs, routers and security
groups.  On a cloud of its own; needs root.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import Any, ClassVar

from oslotest import base

from tests.functional import network_guest, own_cloud


class DataPlane(base.BaseTestCase):
    """Two guests beside each other, one on each other network."""

    cloud: ClassVar[own_cloud.Cloud]
    resources: ClassVar[contextlib.ExitStack]
    host_port: ClassVar[int]
    guests: ClassVar[dict[str, network_guest.Guest]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.resources = contextlib.ExitStack()
        try:
            cls._set_up()
        except BaseException:
            cls.resources.close()
            raise

    @classmethod
    def tearDownClass(cls) -> None:
        cls.resources.close()
        super().tearDownClass()

    @classmethod
    def _set_up(cls) -> None:
        cls.host_port = cls.resources.enter_context(own_cloud.host_server())
        cls.closed_host_port = cls.resources.enter_context(
            own_cloud.host_server()
        )
        cls.cloud = own_cloud.Cloud(
            own_cloud.free_base(23000),
            DEVCLOUD_HOST_PORTS=str(cls.host_port),
        )
        cls.resources.callback(cls.cloud.launch, 'destroy')
        cls.cloud.launch('up')
        cls.demo = cls.cloud.connect()
        cls.tight = cls.cloud.connect('devcloud-tight')
        cls.public = cls.demo.network.find_network('public')
        cls.router = cls.demo.network.find_router('router1')
        cls.second = cls._second_network()
        cls.guests = cls._make_guests()

    @classmethod
    def _second_network(cls) -> Any:
        """Another network on the same router."""
        network = cls.demo.network.create_network(name='second')
        cls.second_subnet = cls.demo.network.create_subnet(
            network_id=network.id,
            ip_version=4,
            cidr=cls.cloud.free_cidr(),
        )
        cls.demo.network.add_interface_to_router(
            cls.router, subnet_id=cls.second_subnet.id
        )
        return network

    @classmethod
    def _make_guests(cls) -> dict[str, network_guest.Guest]:
        made = {}
        for name, user, network in (
            ('web', cls.demo, 'private'),
            ('client', cls.demo, 'private'),
            ('lonely', cls.demo, 'backend'),
            ('second', cls.demo, 'second'),
            ('stranger', cls.tight, 'tight-net'),
        ):
            group = user.network.create_security_group(name=name)
            made[name] = network_guest.Guest(
                cls.cloud, user, user.network.find_network(network), group
            )
        for guest in made.values():
            guest.wait()
        return made

    # ------------------------------------------------------------ resources
    def group(self, *rules: dict[str, Any], user: Any = None) -> Any:
        """A security group that lets all out, and in what the rules say."""
        user = user or self.demo
        group = user.network.create_security_group(
            name=own_cloud.unique('group')
        )
        for rule in rules:
            self.allow(group, user=user, **rule)
        self.addCleanup(user.network.delete_security_group, group)
        return group

    def allow(self, group: Any, *, user: Any = None, **rule: Any) -> Any:
        fields = {'direction': 'ingress', 'protocol': 'tcp', **rule}
        return (user or self.demo).network.create_security_group_rule(
            security_group_id=group.id, ether_type='IPv4', **fields
        )

    def open_group(self, *ports: int, **rule: Any) -> Any:
        return self.group(
            *(
                {**network_guest.tcp(port), **rule}
                for port in ports or [network_guest.OPEN]
            )
        )

    def floating(self, guest: network_guest.Guest) -> str:
        """A floating IP for the guest, for the time of the test."""
        address = guest.user.network.create_ip(
            floating_network_id=self.public.id, port_id=guest.port.id
        )
        self.addCleanup(guest.user.network.delete_ip, address)
        return str(address.floating_ip_address)

    def joins(self, guest: network_guest.Guest, *groups: Any) -> None:
        """For the time of the test."""
        guest.join(*groups)
        self.addCleanup(guest.join, guest.group)

    def eventually(self, want: Any, get: Any, *args: Any) -> None:
        """Rules are live a moment after the API has answered."""
        own_cloud.soon(
            lambda: get(*args),
            f'{get.__name__}{args} -> {want}',
            lambda value: value == want,
        )

    # ----------------------------------------------------- from the machine
    def test_machine_reaches_floating_ip_as_external_gateway(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group())
        address = self.floating(web)
        gateway = self.cloud_address('public-subnet')
        self.eventually(gateway, own_cloud.answer, address, network_guest.OPEN)

    def cloud_address(self, subnet: str) -> str:
        found = self.cloud.connect('devcloud-admin').network.find_subnet(
            subnet, ignore_missing=False
        )
        return str(found.gateway_ip)

    def test_closed_port_is_silent_until_a_rule_opens_it(self) -> None:
        web = self.guests['web']
        group = self.group()
        self.joins(web, group)
        address = self.floating(web)
        self.assertTrue(own_cloud.is_silent(address, network_guest.OPEN))
        rule = self.allow(group, **network_guest.tcp(network_guest.OPEN))
        own_cloud.soon(
            lambda: own_cloud.answer(address, network_guest.OPEN), 'open'
        )
        self.demo.network.delete_security_group_rule(rule)
        self.eventually(True, own_cloud.is_silent, address, network_guest.OPEN)

    def test_open_port_without_a_listener_refuses(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group(9))
        self.eventually('refused', own_cloud.answer, web.fixed, 9)

    def test_machine_reaches_fixed_ips_of_every_network(self) -> None:
        for name in ('web', 'lonely', 'second'):
            guest = self.guests[name]
            self.joins(guest, self.open_group())
            own_cloud.soon(
                lambda at=guest.fixed: own_cloud.answer(
                    at, network_guest.OPEN
                ),
                name,
            )

    def test_connection_ends_with_its_rule(self) -> None:
        web = self.guests['web']
        group = self.group()
        rule = self.allow(group, **network_guest.tcp(network_guest.OPEN))
        self.joins(web, group)
        own_cloud.soon(
            lambda: own_cloud.answer(web.fixed, network_guest.OPEN), 'open'
        )
        with network_guest.connection(web.fixed) as talk:
            self.assertTrue(network_guest.heard(talk))
            self.demo.network.delete_security_group_rule(rule)
            self.eventually(
                True, own_cloud.is_silent, web.fixed, network_guest.OPEN
            )
            self.assertFalse(network_guest.heard(talk, own_cloud.SILENCE))

    def test_connection_ends_with_its_floating_ip(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group())
        made = self.demo.network.create_ip(
            floating_network_id=self.public.id, port_id=web.port.id
        )
        self.addCleanup(self.demo.network.delete_ip, made)
        address = made.floating_ip_address
        own_cloud.soon(
            lambda: own_cloud.answer(address, network_guest.OPEN), 'open'
        )
        with network_guest.connection(address) as talk:
            self.assertTrue(network_guest.heard(talk))
            self.demo.network.update_ip(made, port_id=None)
            self.eventually(
                True, own_cloud.is_silent, address, network_guest.OPEN
            )
            self.assertFalse(network_guest.heard(talk, own_cloud.SILENCE))

    def test_floating_ip_moves_to_another_guest(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        self.joins(web, self.open_group(network_guest.OPEN))
        self.joins(client, self.open_group(network_guest.OTHER))
        made = self.demo.network.create_ip(
            floating_network_id=self.public.id, port_id=web.port.id
        )
        self.addCleanup(self.demo.network.delete_ip, made)
        address = made.floating_ip_address
        own_cloud.soon(
            lambda: own_cloud.answer(address, network_guest.OPEN), 'web'
        )
        self.demo.network.update_ip(made, port_id=client.port.id)
        own_cloud.soon(
            lambda: own_cloud.answer(address, network_guest.OTHER), 'client'
        )
        self.assertTrue(own_cloud.is_silent(address, network_guest.OPEN))

    def test_rules_come_back_after_a_flush(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group())
        own_cloud.soon(
            lambda: own_cloud.answer(web.fixed, network_guest.OPEN), 'open'
        )
        table = f'devcloud_{self.cloud.port}'
        subprocess.run(['nft', 'delete', 'table', 'inet', table], check=True)
        self.eventually(
            True, own_cloud.is_silent, web.fixed, network_guest.OTHER
        )
        own_cloud.soon(
            lambda: own_cloud.answer(web.fixed, network_guest.OPEN), 'open'
        )

    # ------------------------------------------- floating IPs between guests
    def test_guest_reaches_floating_ip_as_its_own(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        self.joins(web, self.open_group())
        to, own = self.floating(web), self.floating(client)
        self.eventually(own, client.ask, to)

    def test_guest_without_one_is_seen_as_its_router(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group())
        to = self.floating(web)
        for name in ('client', 'second', 'stranger'):
            guest = self.guests[name]
            router = next(guest.user.network.routers())
            gateway = router.external_gateway_info['external_fixed_ips'][0]
            self.eventually(gateway['ip_address'], guest.ask, to)

    def test_guest_reaches_its_own_floating_ip(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group())
        address = self.floating(web)
        self.eventually(address, web.ask, address)

    def test_group_judges_the_source_that_crossed_the_router(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        to, own = self.floating(web), self.floating(client)
        inside = self.group(
            {
                **network_guest.tcp(network_guest.OPEN),
                'remote_group_id': client.group.id,
            }
        )
        self.joins(web, inside)
        self.eventually(client.fixed, client.ask, web.fixed)
        self.assertTrue(client.is_silent(to))
        self.allow(
            inside,
            **network_guest.tcp(network_guest.OPEN),
            remote_ip_prefix=f'{own}/32',
        )
        self.eventually(own, client.ask, to)

    def test_guest_meets_closed_port_of_floating_ip(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        self.joins(web, self.open_group(network_guest.OPEN))
        to = self.floating(web)
        own_cloud.soon(
            lambda: own_cloud.answer(to, network_guest.OPEN), 'open'
        )
        self.assertTrue(client.is_silent(to, network_guest.OTHER))

    # --------------------------------------------------------------- routers
    def test_network_without_router_has_no_way_anywhere(self) -> None:
        web, lonely = self.guests['web'], self.guests['lonely']
        self.joins(web, self.open_group())
        self.joins(lonely, self.open_group())
        to = self.floating(web)
        own_cloud.soon(lambda: own_cloud.answer(to, network_guest.OPEN), 'web')
        own_cloud.soon(
            lambda: own_cloud.answer(lonely.fixed, network_guest.OPEN),
            'lonely',
        )
        for address in (to, web.fixed, network_guest.outside_address(web)):
            self.assertTrue(lonely.is_refused(address), address)
        self.assertTrue(web.is_refused(lonely.fixed))

    def test_networks_on_one_router_reach_each_other(self) -> None:
        web, second = self.guests['web'], self.guests['second']
        self.joins(web, self.open_group())
        self.eventually(second.fixed, second.ask, web.fixed)
        network = self.demo.network
        network.remove_interface_from_router(
            self.router, subnet_id=self.second_subnet.id
        )
        with contextlib.ExitStack() as stack:
            stack.callback(
                network.add_interface_to_router,
                self.router,
                subnet_id=self.second_subnet.id,
            )
            self.eventually(True, second.is_refused, web.fixed)
        self.eventually(second.fixed, second.ask, web.fixed)

    def test_other_project_reaches_floating_but_not_fixed(self) -> None:
        web, stranger = self.guests['web'], self.guests['stranger']
        self.joins(web, self.open_group())
        to = self.floating(web)
        own_cloud.soon(
            lambda: own_cloud.answer(to, network_guest.OPEN), 'open'
        )
        self.assertIn('.', stranger.ask(to))
        self.assertTrue(stranger.is_refused(web.fixed))

    def test_routed_guest_gets_names_and_packages(self) -> None:
        web = self.guests['web']
        code = web.run(
            'curl',
            '-s',
            '-m',
            '20',
            '-o',
            '/dev/null',
            '-w',
            '%{http_code}',
            network_guest.package_archive(web),
        )
        self.assertRegex(code, '^[23]')

    # ------------------------------------------------------- security groups
    def test_port_range(self) -> None:
        web = self.guests['web']
        rule = {
            'port_range_min': network_guest.OPEN,
            'port_range_max': network_guest.OTHER,
        }
        self.joins(web, self.group(rule))
        own_cloud.soon(
            lambda: own_cloud.answer(web.fixed, network_guest.OPEN), 'first'
        )
        own_cloud.soon(
            lambda: own_cloud.answer(web.fixed, network_guest.OTHER), 'last'
        )
        self.assertTrue(own_cloud.is_silent(web.fixed, network_guest.FAR))

    def test_remote_group_follows_its_members(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        friends = self.group()
        self.joins(
            web,
            self.group(
                {
                    **network_guest.tcp(network_guest.OPEN),
                    'remote_group_id': friends.id,
                }
            ),
        )
        self.assertTrue(client.is_silent(web.fixed))
        client.join(friends)
        try:
            self.eventually(client.fixed, client.ask, web.fixed)
        finally:
            client.join(client.group)
        self.eventually(True, client.is_silent, web.fixed)

    def test_egress_rules(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        self.joins(
            web, self.open_group(network_guest.OPEN, network_guest.OTHER)
        )
        group = self.group()
        for rule in self.demo.network.security_group_rules(
            security_group_id=group.id
        ):
            self.demo.network.delete_security_group_rule(rule)
        self.joins(client, group)
        self.eventually(True, client.is_silent, web.fixed)
        self.allow(
            group,
            direction='egress',
            remote_ip_prefix=f'{web.fixed}/32',
            **network_guest.tcp(network_guest.OPEN),
        )
        self.eventually(client.fixed, client.ask, web.fixed)
        self.assertTrue(client.is_silent(web.fixed, network_guest.OTHER))

    def test_icmp(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        group = self.open_group()
        self.joins(web, group)
        self.eventually(client.fixed, client.ask, web.fixed)
        self.assertFalse(client.pings(web.fixed))
        self.allow(group, protocol='icmp', port_range_min=8, port_range_max=0)
        self.eventually(True, client.pings, web.fixed)

    def test_port_security_off(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        self.joins(web, self.group())
        self.eventually(True, client.is_silent, web.fixed)
        network = self.demo.network
        network.update_port(
            web.port, security_groups=[], port_security_enabled=False
        )
        try:
            self.eventually(client.fixed, client.ask, web.fixed)
        finally:
            network.update_port(web.port, port_security_enabled=True)

    def test_false_sender_is_not_heard(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        self.joins(web, self.open_group())
        self.eventually(client.fixed, client.ask, web.fixed)
        for false in (self.guests['second'].fixed, '10.241.0.9'):
            client.run('ip', 'addr', 'add', f'{false}/32', 'dev', 'lo')
            self.addCleanup(
                client.run, 'ip', 'addr', 'del', f'{false}/32', 'dev', 'lo'
            )
            self.assertTrue(
                client.is_silent(web.fixed, network_guest.OPEN, false)
            )

    # ------------------------------------------------------ the machine itself
    def test_guest_reaches_only_the_open_ports_of_the_machine(self) -> None:
        web = self.guests['web']
        gateway = self.cloud_address('private-subnet')
        self.eventually('the machine', web.ask, gateway, self.host_port)
        for port in (self.closed_host_port, 22):
            self.assertTrue(web.is_refused(gateway, port), port)
        self.assertTrue(
            self.guests['lonely'].is_refused(gateway, self.host_port)
        )

    def test_guest_reaches_no_private_or_link_local_address(self) -> None:
        web = self.guests['web']
        for address in ('169.254.169.254', '192.168.200.1', '172.31.0.1'):
            self.assertTrue(web.is_refused(address, 80), address)
