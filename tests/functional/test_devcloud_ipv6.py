# SPDX-License-Identifier: Apache-2.0
"""The devcloud's IPv6, from inside real guests and from this machine.

On the cloud that the other functional tests use.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

from oslotest import base as oslotest

from tests.functional import base, devcloud, network_guest, own_cloud


class SwitchedOffTest(oslotest.BaseTestCase):
    """A machine whose sysctls have IPv6 switched off, and listen to routers.

    In a network namespace of its own, so that nobody else notices.
    """

    PROGRAM = """
import pathlib, subprocess
from devcloud.dataplane import links, model
from devcloud.guest import names
conf = pathlib.Path('/proc/sys/net/ipv6/conf')
def ip(*words):
    return subprocess.run(['ip', *words], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
ip('link', 'add', 'eth0', 'type', 'bridge')
for where in ('all', 'default'):
    (conf / where / 'disable_ipv6').write_text('1')
subnet = model.Subnet('fd01::/64', 'fd01::1')
network = model.Network('a' * 36, 1400, False, (subnet,))
four = model.Network('d' * 36, 1400, False,
                     (model.Subnet('10.9.9.0/24', '10.9.9.1'),))
port = model.Port('b' * 36, 'fa:16:3e:00:00:01', network.id, ('fd01::5',),
                  True, ())
other = model.Port('c' * 36, 'fa:16:3e:00:00:02', network.id, ('fd01::6',),
                   True, ())
ip('link', 'add', port.tap, 'type', 'veth', 'peer', 'name', 'inside')
ip('link', 'set', port.tap, 'up')
links.enable_forwarding()
for _ in range(2):
    links.apply(model.State(networks=(network, four), ports=(port, other)))
print((conf / 'eth0/accept_ra').read_text(), end='')
print((conf / 'all/forwarding').read_text(), end='')
print((conf / four.bridge / 'disable_ipv6').read_text(), end='')
print(ip('-6', 'addr', 'show', 'dev', network.bridge))
print(ip('-6', 'route', 'get', 'fd01::5'))
print(ip('-6', 'neigh', 'show', 'proxy'))
"""

    def test_networks_have_it(self) -> None:
        done = subprocess.run(
            ['unshare', '--net', sys.executable, '-c', self.PROGRAM],
            env=own_cloud.Cloud(19990).environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual('', done.stderr)
        accepts, forwards, off, *shown = done.stdout.splitlines()
        self.assertEqual(('2', '1', '1'), (accepts, forwards, off))
        said = '\n'.join(shown)
        self.assertIn('inet6 fd01::1/64 scope global', said)
        self.assertRegex(said, 'fd01::5 .*dev d19990tbbbbbbbb .*src fd01::1')
        self.assertIn('fd01::6 dev d19990tbbbbbbbb', said)


class IPv6Test(base.FunctionalTest):
    """Two guests beside each other on the network with both versions."""

    cloud: ClassVar[own_cloud.Cloud]

    def setUp(self) -> None:
        super().setUp()
        self.cloud = own_cloud.Cloud(devcloud.PORT)
        self.demo = devcloud.connect('devcloud')
        self.api = self.demo.network
        self.web, self.client = self.guest('web'), self.guest('client')
        for guest in (self.web, self.client):
            guest.wait()

    def guest(self, name: str) -> network_guest.Guest:
        group = self.group(name)
        network = self.api.find_network('dual', ignore_missing=False)
        made = network_guest.Guest(self.cloud, self.demo, network, group)
        self.addCleanup(self.api.delete_port, made.port)
        self.addCleanup(self.demo.compute.wait_for_delete, made.server)
        self.addCleanup(self.demo.compute.delete_server, made.server)
        return made

    def group(self, name: str) -> Any:
        made = self.api.create_security_group(name=own_cloud.unique(name))
        self.addCleanup(self.api.delete_security_group, made)
        return made

    def allow(self, group: Any, **rule: Any) -> Any:
        fields = {'direction': 'ingress', 'protocol': 'tcp', **rule}
        return self.api.create_security_group_rule(
            **{'security_group_id': group.id, 'ether_type': 'IPv6', **fields}
        )

    def eventually(self, want: Any, get: Any, *args: Any) -> None:
        """Rules are live a moment after the API has answered."""
        own_cloud.soon(
            lambda: get(*args),
            f'{get.__name__}{args} -> {want}',
            lambda value: value == want,
        )

    def test_ipv6(self) -> None:
        self._closed_until_a_rule_of_its_version_opens_it()
        self._between_guests()
        self._ping()
        self._false_sender()
        self._machine()

    def _closed_until_a_rule_of_its_version_opens_it(self) -> None:
        group, port = self.web.group, network_guest.OPEN
        subnet = self.api.find_subnet('dual-subnet-v6', ignore_missing=False)
        gateway = str(subnet.gateway_ip)
        four = self.allow(group, ether_type='IPv4', **network_guest.tcp(port))
        own_cloud.soon(lambda: own_cloud.answer(self.web.fixed, port), 'IPv4')
        self.assertTrue(own_cloud.is_silent(self.web.fixed6, port))
        self.api.delete_security_group_rule(four)
        rule = network_guest.tcp(port)
        other = self.allow(group, remote_ip_prefix='2001:db8::/32', **rule)
        self.eventually(True, own_cloud.is_silent, self.web.fixed, port)
        self.assertTrue(own_cloud.is_silent(self.web.fixed6, port))
        self.allow(group, remote_ip_prefix=f'{gateway}/128', **rule)
        self.eventually(gateway, own_cloud.answer, self.web.fixed6, port)
        self.assertTrue(own_cloud.is_silent(self.web.fixed, port))
        self.assertTrue(
            own_cloud.is_silent(self.web.fixed6, network_guest.OTHER)
        )
        self.api.delete_security_group_rule(other)

    def _between_guests(self) -> None:
        web, client = self.web, self.client
        self.assertTrue(client.is_silent(web.fixed6))
        self.allow(
            web.group,
            remote_group_id=client.group.id,
            **network_guest.tcp(network_guest.OPEN),
        )
        self.eventually(client.fixed6, client.ask, web.fixed6)
        self.assertTrue(client.is_silent(web.fixed))

    def _ping(self) -> None:
        web, client = self.web, self.client
        self.assertFalse(client.pings(web.fixed6))
        self.allow(web.group, protocol='ipv6-icmp')
        self.eventually(True, client.pings, web.fixed6)

    def _false_sender(self) -> None:
        false = 'fd64:6576:ffff::9'
        self.client.run('ip', 'addr', 'add', f'{false}/128', 'dev', 'lo')
        self.allow(self.web.group, **network_guest.tcp(network_guest.OPEN))
        self.eventually(True, self.client.is_silent, self.web.fixed)
        self.assertTrue(self.client.is_silent(self.web.fixed6, source=false))
        self.assertEqual(self.client.fixed6, self.client.ask(self.web.fixed6))

    def _machine(self) -> None:
        """A network that no router serves does not lead to this machine."""
        subnet = self.api.find_subnet('dual-subnet-v6', ignore_missing=False)
        for port in (22, devcloud.PORT):
            self.assertTrue(self.web.is_refused(subnet.gateway_ip, port))
        self.assertTrue(self.web.is_refused('2001:db8::1', 443))
