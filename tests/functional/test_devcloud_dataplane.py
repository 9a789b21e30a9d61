# SPDX-License-Identifier: Apache-2.0
"""The devcloud's network, from inside real guests and from this machine.

Who reaches whom, and as whom: through floating IPs, routers and security
groups.  On a cloud of its own; needs root.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

from oslotest import base

from tests.functional import own_cloud

OPEN, OTHER, FAR = 8000, 8001, 8010
# Answers each line with the address that it sees the client at.
SERVER = """
import socketserver, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(self.client_address[0].encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
for port in (8000, 8001, 8010):
    server = Server(('', port), Handler)
    threading.Thread(target=server.serve_forever).start()
"""
CLIENT = """
import socket, sys
address, port, source, patience = sys.argv[1:]
try:
    with socket.create_connection(
        (address, int(port)), float(patience), (source, 0) if source else None
    ) as talk:
        talk.sendall(b'?\\n')
        print(talk.recv(100).decode() or 'closed')
except TimeoutError:
    print('silence')
except OSError as error:
    print(error.strerror)
"""


class Guest:
    """A server with one port, and a program that answers."""

    def __init__(
        self, cloud: own_cloud.Cloud, user: Any, network: Any, group: Any
    ) -> None:
        self._cloud, self.user, self.group = cloud, user, group
        self.port = user.network.create_port(
            network_id=network.id, security_groups=[group.id]
        )
        self.fixed = self.port.fixed_ips[0]['ip_address']
        self.server = user.compute.create_server(
            name=own_cloud.unique('dataplane'),
            image_id=user.image.find_image('debian-12').id,
            flavor_id=user.compute.find_flavor('m1.small').id,
            networks=[{'port': self.port.id}],
        )

    def wait(self) -> None:
        """Until it runs, has its address and answers."""
        self.user.compute.wait_for_server(self.server, interval=0.2)
        self.leader = self._cloud.show(self.server.id)['leader']
        own_cloud.soon(
            lambda: (
                self.fixed in self.speak('ip', '-4', 'addr')
                and 'default' in self.speak('ip', 'route')
            ),
            'address and route',
        )
        self.run('systemd-run', 'python3', '-c', SERVER)
        own_cloud.soon(
            lambda: self.ask('127.0.0.1', FAR) == '127.0.0.1', 'server'
        )

    def run(self, *command: str) -> str:
        """What a command says in the guest, whatever its exit status."""
        return self._cloud.guest('exec', self.server.id, '--', *command).stdout

    def speak(self, *command: str) -> str:
        """As `run`, but only the guest's network: that is much faster."""
        return subprocess.run(
            ['nsenter', '--net', '--target', str(self.leader), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    def ask(
        self,
        address: str,
        port: int = OPEN,
        source: str = '',
        patience: float = own_cloud.PATIENCE,
    ) -> str:
        """What somebody says to this guest, or why nothing is said."""
        client = (sys.executable, '-ISc', CLIENT)
        return self.speak(
            *client, address, str(port), source, str(patience)
        ).strip()

    def is_silent(
        self, address: str, port: int = OPEN, source: str = ''
    ) -> bool:
        """Nobody answers this guest, nor refuses."""
        return self.ask(address, port, source, own_cloud.SILENCE) == 'silence'

    def is_refused(self, address: str, port: int = OPEN) -> bool:
        """The network says no; the kernel limits how often it does."""
        said = self.ask(address, port, '', own_cloud.SILENCE)
        return said in ('No route to host', 'silence')

    def pings(self, address: str) -> bool:
        return ' 0% packet loss' in self.run(
            'ping', '-c', '1', '-W', '1', address
        )

    def join(self, *groups: Any) -> None:
        """Be in these security groups and no other."""
        self.port = self.user.network.update_port(
            self.port, security_groups=[g.id for g in groups]
        )


class DataPlane(base.BaseTestCase):
    """Two guests beside each other, one on each other network."""

    cloud: ClassVar[own_cloud.Cloud]
    resources: ClassVar[contextlib.ExitStack]
    host_port: ClassVar[int]
    guests: ClassVar[dict[str, Guest]]

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
    def _make_guests(cls) -> dict[str, Guest]:
        made = {}
        for name, user, network in (
            ('web', cls.demo, 'private'),
            ('client', cls.demo, 'private'),
            ('lonely', cls.demo, 'backend'),
            ('second', cls.demo, 'second'),
            ('stranger', cls.tight, 'tight-net'),
        ):
            group = user.network.create_security_group(name=name)
            made[name] = Guest(
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
        return self.group(*({**tcp(port), **rule} for port in ports or [OPEN]))

    def floating(self, guest: Guest) -> str:
        """A floating IP for the guest, for the time of the test."""
        address = guest.user.network.create_ip(
            floating_network_id=self.public.id, port_id=guest.port.id
        )
        self.addCleanup(guest.user.network.delete_ip, address)
        return str(address.floating_ip_address)

    def joins(self, guest: Guest, *groups: Any) -> None:
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
        self.eventually(gateway, own_cloud.answer, address, OPEN)

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
        self.assertTrue(own_cloud.is_silent(address, OPEN))
        rule = self.allow(group, **tcp(OPEN))
        own_cloud.soon(lambda: own_cloud.answer(address, OPEN), 'open')
        self.demo.network.delete_security_group_rule(rule)
        self.eventually(True, own_cloud.is_silent, address, OPEN)

    def test_open_port_without_a_listener_refuses(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group(9))
        self.eventually('refused', own_cloud.answer, web.fixed, 9)

    def test_machine_reaches_fixed_ips_of_every_network(self) -> None:
        for name in ('web', 'lonely', 'second'):
            guest = self.guests[name]
            self.joins(guest, self.open_group())
            own_cloud.soon(
                lambda at=guest.fixed: own_cloud.answer(at, OPEN), name
            )

    def test_connection_ends_with_its_rule(self) -> None:
        web = self.guests['web']
        group = self.group()
        rule = self.allow(group, **tcp(OPEN))
        self.joins(web, group)
        own_cloud.soon(lambda: own_cloud.answer(web.fixed, OPEN), 'open')
        with connection(web.fixed) as talk:
            self.assertTrue(heard(talk))
            self.demo.network.delete_security_group_rule(rule)
            self.eventually(True, own_cloud.is_silent, web.fixed, OPEN)
            self.assertFalse(heard(talk, own_cloud.SILENCE))

    def test_connection_ends_with_its_floating_ip(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group())
        made = self.demo.network.create_ip(
            floating_network_id=self.public.id, port_id=web.port.id
        )
        self.addCleanup(self.demo.network.delete_ip, made)
        address = made.floating_ip_address
        own_cloud.soon(lambda: own_cloud.answer(address, OPEN), 'open')
        with connection(address) as talk:
            self.assertTrue(heard(talk))
            self.demo.network.update_ip(made, port_id=None)
            self.eventually(True, own_cloud.is_silent, address, OPEN)
            self.assertFalse(heard(talk, own_cloud.SILENCE))

    def test_floating_ip_moves_to_another_guest(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        self.joins(web, self.open_group(OPEN))
        self.joins(client, self.open_group(OTHER))
        made = self.demo.network.create_ip(
            floating_network_id=self.public.id, port_id=web.port.id
        )
        self.addCleanup(self.demo.network.delete_ip, made)
        address = made.floating_ip_address
        own_cloud.soon(lambda: own_cloud.answer(address, OPEN), 'web')
        self.demo.network.update_ip(made, port_id=client.port.id)
        own_cloud.soon(lambda: own_cloud.answer(address, OTHER), 'client')
        self.assertTrue(own_cloud.is_silent(address, OPEN))

    def test_rules_come_back_after_a_flush(self) -> None:
        web = self.guests['web']
        self.joins(web, self.open_group())
        own_cloud.soon(lambda: own_cloud.answer(web.fixed, OPEN), 'open')
        table = f'devcloud_{self.cloud.port}'
        subprocess.run(['nft', 'delete', 'table', 'inet', table], check=True)
        self.eventually(True, own_cloud.is_silent, web.fixed, OTHER)
        own_cloud.soon(lambda: own_cloud.answer(web.fixed, OPEN), 'open')

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
        inside = self.group({**tcp(OPEN), 'remote_group_id': client.group.id})
        self.joins(web, inside)
        self.eventually(client.fixed, client.ask, web.fixed)
        self.assertTrue(client.is_silent(to))
        self.allow(inside, **tcp(OPEN), remote_ip_prefix=f'{own}/32')
        self.eventually(own, client.ask, to)

    def test_guest_meets_closed_port_of_floating_ip(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        self.joins(web, self.open_group(OPEN))
        to = self.floating(web)
        own_cloud.soon(lambda: own_cloud.answer(to, OPEN), 'open')
        self.assertTrue(client.is_silent(to, OTHER))

    # --------------------------------------------------------------- routers
    def test_network_without_router_has_no_way_anywhere(self) -> None:
        web, lonely = self.guests['web'], self.guests['lonely']
        self.joins(web, self.open_group())
        self.joins(lonely, self.open_group())
        to = self.floating(web)
        own_cloud.soon(lambda: own_cloud.answer(to, OPEN), 'web')
        own_cloud.soon(lambda: own_cloud.answer(lonely.fixed, OPEN), 'lonely')
        for address in (to, web.fixed, outside_address(web)):
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
        own_cloud.soon(lambda: own_cloud.answer(to, OPEN), 'open')
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
            package_archive(web),
        )
        self.assertRegex(code, '^[23]')

    # ------------------------------------------------------- security groups
    def test_port_range(self) -> None:
        web = self.guests['web']
        rule = {'port_range_min': OPEN, 'port_range_max': OTHER}
        self.joins(web, self.group(rule))
        own_cloud.soon(lambda: own_cloud.answer(web.fixed, OPEN), 'first')
        own_cloud.soon(lambda: own_cloud.answer(web.fixed, OTHER), 'last')
        self.assertTrue(own_cloud.is_silent(web.fixed, FAR))

    def test_remote_group_follows_its_members(self) -> None:
        web, client = self.guests['web'], self.guests['client']
        friends = self.group()
        self.joins(
            web, self.group({**tcp(OPEN), 'remote_group_id': friends.id})
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
        self.joins(web, self.open_group(OPEN, OTHER))
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
            **tcp(OPEN),
        )
        self.eventually(client.fixed, client.ask, web.fixed)
        self.assertTrue(client.is_silent(web.fixed, OTHER))

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
            self.assertTrue(client.is_silent(web.fixed, OPEN, false))

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


class Firewall(base.BaseTestCase):
    """A machine that drops what its firewall does not know.

    In a network namespace of its own, so that no other cloud notices.
    """

    RULES = """
    table ip filter {
        chain INPUT { type filter hook input priority 0; policy accept; }
        chain FORWARD {
            type filter hook forward priority 0; policy drop
            iifname "docker0" accept
        }
    }
    """
    PROGRAM = """
from devcloud import settings
from devcloud.dataplane import firewall
table = settings.current().nft_table
firewall.admit(table)
firewall.admit(table)
print(listing())
firewall.withdraw(table)
print(listing())
"""
    LISTING = """
import subprocess
def listing():
    return subprocess.run(['nft', 'list', 'table', 'ip', 'filter'],
                          stdout=subprocess.PIPE, text=True).stdout + '#'
"""

    def test_own_ports_pass_and_nothing_is_left(self) -> None:
        cloud = own_cloud.Cloud(19990)
        done = subprocess.run(
            [
                'unshare',
                '--net',
                'sh',
                '-ec',
                'echo "$1" | nft -f -; exec "$2" -c "$3"',
                'sh',
                self.RULES,
                sys.executable,
                self.LISTING + self.PROGRAM,
            ],
            env=cloud.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual('', done.stderr)
        during, after = done.stdout.split('#')[:2]
        for field in ('iifname', 'oifname'):
            self.assertEqual(1, during.count(f'{field} "d19990t*" accept'))
        self.assertLess(during.index('d19990t'), during.index('docker0'))
        self.assertNotIn('d19990t', during.partition('FORWARD')[0])
        self.assertNotIn('d19990t', after)
        self.assertIn('docker0', after)


def tcp(port: int) -> dict[str, Any]:
    """A rule's fields for one port."""
    return {'port_range_min': port, 'port_range_max': port}


def package_archive(guest: Guest) -> str:
    """Where the guest's apt is told to go."""
    text = guest.run('cat', '/etc/apt/sources.list')
    found = re.search(r'(https?://\S+) (\S+)', text)
    if not found:
        raise own_cloud.Failure(text)
    return f'{found[1]}/dists/{found[2]}/InRelease'


def outside_address(guest: Guest) -> str:
    """An address that a guest with a way out reaches."""
    host = package_archive(guest).split('/')[2].split(':')[0]
    return guest.run('getent', 'ahostsv4', host).split()[0]


@contextlib.contextmanager
def connection(address: str) -> Iterator[socket.socket]:
    with socket.create_connection((address, OPEN), own_cloud.SOON) as talk:
        yield talk


def heard(talk: socket.socket, patience: float = own_cloud.PATIENCE) -> bool:
    """Whether the other side of an open connection answers."""
    talk.settimeout(patience)
    talk.sendall(b'?\n')
    try:
        return bool(talk.recv(100))
    except TimeoutError:
        return False
