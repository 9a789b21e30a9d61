# SPDX-License-Identifier: Apache-2.0
"""The devcloud's guests as Nova's servers.  Needs root."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
from typing import Any, ClassVar

from oslotest import base

from tests.functional import own_cloud

NO_SUCH = 3


class Servers(base.BaseTestCase):
    """Guests as Nova's servers, on a cloud of their own."""

    cloud: ClassVar[own_cloud.Cloud]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.cloud = own_cloud.Cloud(own_cloud.free_base(22700))
        try:
            cls.cloud.launch('up')
            cls.demo = cls.cloud.connect()
        except BaseException:
            cls.cloud.launch('destroy')
            raise

    @classmethod
    def tearDownClass(cls) -> None:
        cls.cloud.launch('destroy')
        super().tearDownClass()

    def create(self, image: Any, **fields: Any) -> Any:
        server = self.demo.compute.create_server(
            name=own_cloud.unique('server'),
            image_id=image.id,
            flavor_id=self.demo.compute.find_flavor('m1.small').id,
            **{'networks': [self.network()], **fields},
        )
        self.addCleanup(self.delete, server)
        return server

    def network(self, name: str = 'private') -> dict[str, str]:
        return {'uuid': self.demo.network.find_network(name).id}

    def delete(self, server: Any) -> None:
        self.demo.compute.delete_server(server, ignore_missing=True)
        self.demo.compute.wait_for_delete(server, interval=0.2)
        self.assertEqual(
            NO_SUCH, self.cloud.guest('show', server.id).returncode
        )

    def image(self, name: str = 'debian-12') -> Any:
        return self.demo.image.find_image(name, ignore_missing=False)

    def wait(self, server: Any, status: str = 'ACTIVE') -> Any:
        return self.demo.compute.wait_for_server(
            server, status, interval=0.2, wait=own_cloud.SOON
        )

    def version(self, server: Any) -> str:
        return self.cloud.guest_works(
            'exec', server.id, '--', 'cat', '/etc/debian_version'
        )[:2]

    def test_power_and_reboot(self) -> None:
        server = self.wait(self.create(self.image()))
        compute, show = self.demo.compute, self.cloud.show
        self.cloud.guest_works('wait', server.id)
        boots = show(server.id)['boots']
        compute.reboot_server(server, 'SOFT')
        own_cloud.soon(lambda: show(server.id)['boots'] > boots, 'soft')
        self.wait(server)
        leader = show(server.id)['leader']
        compute.reboot_server(server, 'HARD')
        own_cloud.soon(
            lambda: show(server.id)['leader'] not in (leader, None), 'hard'
        )
        self.wait(server)
        compute.stop_server(server)
        self.wait(server, 'SHUTOFF')
        self.assertEqual('stopped', show(server.id)['state'])
        compute.start_server(server)
        self.wait(server)
        self.assertEqual('running', show(server.id)['state'])

    def test_console_by_the_api(self) -> None:
        server = self.wait(self.create(self.image()))
        self.assertIn(
            'ssh-ed25519',
            own_cloud.soon(lambda: self.keys_on_console(server), 'keys'),
        )

    def keys_on_console(self, server: Any) -> str:
        text = self.demo.compute.get_server_console_output(server)['output']
        return (
            re.findall(
                r'BEGIN SSH HOST KEY KEYS.*END SSH HOST KEY KEYS', text, re.S
            )[0]
            if 'END SSH HOST KEY KEYS' in text
            else ''
        )

    def test_rebuild_takes_the_other_image(self) -> None:
        server = self.wait(self.create(self.image()))
        self.assertEqual('12', self.version(server))
        self.demo.compute.rebuild_server(server, self.image('debian-13').id)
        own_cloud.soon(
            lambda: '"debian13-' in self.cloud.guest('show', server.id).stdout,
            'rebuilt',
        )
        self.wait(server)
        self.assertEqual('13', self.version(server))

    def test_two_ports(self) -> None:
        server = self.wait(
            self.create(
                self.image(),
                networks=[self.network(), self.network('backend')],
            )
        )
        fixed = [
            address['addr']
            for addresses in server.addresses.values()
            for address in addresses
        ]
        self.assertEqual(2, len(fixed))
        own_cloud.soon(
            lambda: all(a in self.addresses(server) for a in fixed), 'both'
        )

    def addresses(self, server: Any) -> str:
        return self.cloud.guest(
            'exec', server.id, '--', 'ip', '-4', 'addr'
        ).stdout

    def test_subnet_as_users_make_it(self) -> None:
        """DHCP is what Neutron makes of no words; name servers, too."""
        network = self.demo.network.create_network(name='mine')
        self.demo.network.create_subnet(
            network_id=network.id, ip_version=4, cidr=self.cloud.free_cidr()
        )
        self.addCleanup(self.demo.network.delete_network, network)
        server = self.wait(
            self.create(self.image(), networks=[{'uuid': network.id}])
        )
        own_cloud.soon(
            lambda: 'inet 10.240.' in self.addresses(server), 'address'
        )
        self.assertIn(
            'nameserver',
            self.cloud.guest_works(
                'exec', server.id, '--', 'cat', '/etc/resolv.conf'
            ),
        )

    def test_image_of_no_base_is_an_error_in_plain_words(self) -> None:
        image = self.demo.image.create_image(
            own_cloud.unique('image'),
            data=b'x',
            disk_format='raw',
            container_format='bare',
            guest_base='debian3',
            wait=True,
        )
        self.addCleanup(self.demo.image.delete_image, image)
        server = self.create(image)
        own_cloud.soon(
            lambda: self.demo.compute.get_server(server).status == 'ERROR',
            'ERROR',
        )
        fault = self.demo.compute.get_server(server).fault['message']
        self.assertIn("no base is named 'debian3'", fault)

    def test_guests_run_again_after_all_was_killed(self) -> None:
        server = self.wait(self.create(self.image()))
        self.cloud.guest_works('wait', server.id, '--for', 'cloud-init')
        run = self.cloud.directory / 'guests' / server.id / 'run.json'
        os.kill(json.loads(run.read_text())['supervisor'], signal.SIGKILL)
        for process in self.services():
            os.kill(process, signal.SIGKILL)
        own_cloud.soon(lambda: not self.services(), 'death')
        self.cloud.launch('up')
        own_cloud.soon(
            lambda: self.cloud.show(server.id)['state'] == 'running', 'again'
        )
        self.wait(server)

    def services(self) -> list[int]:
        """The processes of this cloud's services."""
        mark = f'devcloud={self.cloud.directory}\0-m\0devcloud.'.encode()
        found = []
        for entry in pathlib.Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                line = (entry / 'cmdline').read_bytes()
                if mark in line and b'_supervise' not in line:
                    found.append(int(entry.name))
        return found
