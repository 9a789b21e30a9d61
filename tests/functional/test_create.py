# SPDX-License-Identifier: Apache-2.0
"""Create on images without Docker: with no option at all, and by defaults."""

from __future__ import annotations

import ipaddress
import typing

from tests.functional import base, devcloud


class CreateTest(base.FunctionalTest):
    def proven(self, machine: dict[str, typing.Any], logins: int = 1) -> None:
        """Assert that it is ready, and how it got there."""
        self.assertEqual('running', machine['state'])
        self.assertEqual(logins, devcloud.ssh_logins(machine['id']))
        self.assertEqual(1, devcloud.engine_starts(machine['id']))
        self.run_container(machine['docker_context'])


class NoOptionTest(CreateTest):
    """The cloud leaves one sensible choice: the newest of its Debians."""

    def test_no_option(self) -> None:
        name = self.name('bare')
        done = self.here.machine('create', name, '-f', 'json')
        self.assertEqual('debian-13', done.json['image'])
        self.assertIn('image: debian-13 (the newest Debian image)', done.err)
        # Its package has started it, on a certificate of the host's own.
        self.proven(done.json, logins=0)
        # OpenSSH 9.8 and later shut out who has come too often for nothing.
        self.here.machine('ssh', name, '--', 'true')
        said = '\n'.join(devcloud.journal(done.json['id'], 'ssh'))
        self.assertNotIn('penalty', said)
        self.assertNotIn('Maxstartups', said)
        self.here.machine('cert', 'renew', name, '--server')
        self.run_container(name)
        self.assertIn(
            ipaddress.ip_address(done.json['address']), _network('public')
        )
        self.here.machine('delete', name)
        self.assertNothingLeft(name)


class DefaultsTest(CreateTest):
    """What clouds.yaml says under docker_machine stands in for options.

    The machine has no floating IP: the workstation reaches the devcloud's
    networks as one with a VPN would.
    """

    def test_defaults(self) -> None:
        name = self.name('plain')
        defaults = {
            'image': 'debian-12',
            'flavor': 'm1.medium',
            'network': 'private',
            'no_floating_ip': True,
            'engine_source': 'distribution',
            'engine_version': '20.10',
            'engine_port': 2400,
            'tag': ['from-the-file'],
            'property': {'kept': 'yes', 'changed': 'no'},
            'context': False,
        }
        self.here.configure('devcloud', docker_machine=defaults)
        done = self.here.machine(
            'create',
            name,
            '--context',
            '--property',
            'changed=yes',
            '--allow-cidr',
            str(_network('private')),
            '-f',
            'json',
        )
        machine = done.json
        self.assertIn("address: its network's own", done.err)
        self.assertEqual([machine['address']], machine['addresses'])
        self.assertIn(
            ipaddress.ip_address(machine['address']), _network('private')
        )
        self.assertEqual('m1.medium', machine['flavor'])
        self.assertEqual(2400, machine['engine_port'])
        self.assertEqual('distribution', machine['engine_source'])
        self.assertTrue(machine['engine_version'].startswith('20.10.'))
        self.assertIn('from-the-file', machine['tags'])
        self.assertNotIn('floating_ip_id', machine['owned'])
        server = devcloud.connect().compute.get_server(machine['id'])
        self.assertEqual('yes', server.metadata['kept'])
        self.assertEqual('yes', server.metadata['changed'])
        self.proven(machine)


def _network(name: str) -> ipaddress.IPv4Network:
    subnet = devcloud.connect().network.find_subnet(f'{name}-subnet')
    return ipaddress.IPv4Network(subnet.cidr)
