# SPDX-License-Identifier: Apache-2.0
"""The devcloud's verbs, as a developer types them.

On port bases of their own, so that a cloud that is up meanwhile is not
touched.  Needs root.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import openstack
from oslotest import base

from tests.functional import launcher

PUBLIC_KEY = (
    'ssh-ed25519 '
    'AAAAC3NzaC1lZDI1NTE5AAAAIJJk5/aFVSg3HgXUw69eH3GgDVaMFV2b+V7D2q4Idrbx'
)


class CloudTest(base.BaseTestCase):
    """One cloud, through all that is done to clouds."""

    port: ClassVar[int]
    seeded: ClassVar[dict[str, set[str]]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.port = launcher.free_base(25000)
        launcher.works(cls.port, 'up')
        cls.seeded = _inventory(cls.port)

    @classmethod
    def tearDownClass(cls) -> None:
        launcher.works(cls.port, 'destroy')
        super().tearDownClass()

    # ---------------------------------------------------------------- seeded
    def test_seeded_clouds(self) -> None:
        demo = {'public', 'private', 'backend', 'dual', 'ipv6'}
        tight = {'public', 'tight-net'}
        for cloud, wanted in (
            ('devcloud', demo),
            ('devcloud-alice', demo),
            ('devcloud-appcred', demo),
            ('devcloud-tight', tight),
            ('devcloud-tight-appcred', tight),
            ('devcloud-admin', demo | tight),
        ):
            connection = launcher.connect(self.port, cloud)
            self.assertEqual(
                wanted, launcher.names(connection.network.networks()), cloud
            )

    def test_seeded_images_and_flavors(self) -> None:
        connection = launcher.connect(self.port, 'devcloud')
        images = {image.name: image for image in connection.image.images()}
        self.assertEqual(
            {'debian-12', 'debian-12-docker', 'debian-13'}, set(images)
        )
        for image in images.values():
            self.assertEqual((256, 5), (image.min_ram, image.min_disk))
            self.assertEqual('debian', image.os_distro)
        self.assertEqual(
            {'m1.nano', 'm1.tiny', 'm1.small', 'm1.medium', 'm1.large'},
            launcher.names(connection.compute.flavors()),
        )

    def test_seeded_routers(self) -> None:
        for cloud, subnets in (
            ('devcloud', {'private-subnet'}),
            ('devcloud-tight', {'tight-net-subnet'}),
        ):
            network = launcher.connect(self.port, cloud).network
            (router,) = network.routers()
            self.assertEqual(
                network.find_network('public').id,
                router.external_gateway_info['network_id'],
            )
            served = {
                network.get_subnet(address['subnet_id']).name
                for port in network.ports(device_id=router.id)
                for address in port.fixed_ips
            }
            self.assertEqual(subnets, served)

    def test_tight_quotas_hold(self) -> None:
        tight = launcher.connect(self.port, 'devcloud-tight')
        limits = tight.compute.get_limits().absolute
        self.assertEqual(
            (1, 2, 4096),
            (limits.instances, limits.total_cores, limits.total_ram),
        )
        public = tight.network.find_network('public')
        address = tight.network.create_ip(floating_network_id=public.id)
        self.addCleanup(tight.network.delete_ip, address)
        error = self.assertRaises(
            openstack.exceptions.ConflictException,
            tight.network.create_ip,
            floating_network_id=public.id,
        )
        self.assertIn('quota', str(error).lower())

    def test_clouds_yaml_is_private(self) -> None:
        path = launcher.folder(self.port) / 'clouds.yaml'
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
        etc = path.with_name('etc')
        self.assertEqual(0o700, etc.stat().st_mode & 0o777)

    # ----------------------------------------------------------------- verbs
    def test_up_when_up(self) -> None:
        before = set(launcher.processes(self.port))
        self.assertIn('already up', launcher.works(self.port, 'up'))
        self.assertEqual(before, set(launcher.processes(self.port)))

    def test_status(self) -> None:
        said = launcher.works(self.port, 'status')
        for name in ('keystone', 'glance', 'neutron', 'nova', 'dataplane'):
            self.assertRegex(said, f'(?m)^{name} +up ')
        done = launcher.launch(self.port, 'status', prefix=launcher.AS_NOBODY)
        self.assertEqual((0, said), (done.returncode, done.stdout))

    def test_env_is_for_eval(self) -> None:
        script = (
            f'eval "$({sys.executable} {launcher.LAUNCHER} env)" && '
            'echo "$OS_CLOUD ${OS_USERNAME-unset} $(command -v docker)" && '
            'cat "$OS_CLIENT_CONFIG_FILE" && type there'
        )
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, 'there')
            program.write_text('#!/bin/sh\n')
            program.chmod(0o755)
            done = subprocess.run(
                ['sh', '-c', script],
                env=launcher.environment(
                    self.port,
                    OS_USERNAME='of-another-cloud',
                    DEVCLOUD_CLIENT_BIN=folder,
                ),
                capture_output=True,
                text=True,
                check=True,
            )
        self.assertIn(
            f'devcloud unset {launcher.HOME}/bin/docker\n', done.stdout
        )
        self.assertIn('devcloud-tight-appcred:', done.stdout)
        self.assertIn(f'{folder}/there', done.stdout)

    def test_another_home_on_the_same_port(self) -> None:
        with tempfile.TemporaryDirectory() as home:
            done = launcher.launch(self.port, 'up', home=home)
        self.assertEqual(1, done.returncode)
        mine = f'DEVCLOUD_HOME={launcher.HOME} DEVCLOUD_PORT={self.port}'
        self.assertIn(f'{mine} devcloud status', done.stderr)
        self.assertIn(f'{mine} devcloud down', done.stderr)

    def test_stacks_on_sigusr1(self) -> None:
        log = launcher.folder(self.port) / 'log/glance.out'
        (pid,) = (
            pid
            for pid, line in launcher.processes(self.port).items()
            if line.rstrip().endswith('devcloud.services glance')
        )
        os.kill(pid, signal.SIGUSR1)
        end = time.monotonic() + 30
        while 'Current thread' not in log.read_text():
            self.assertLess(time.monotonic(), end, 'no stacks')
            time.sleep(0.05)

    def test_access_log(self) -> None:
        launcher.connect(self.port, 'devcloud').image.find_image('debian-12')
        log = launcher.folder(self.port) / 'log/access.log'
        self.assertRegex(
            log.read_text(),
            r'(?m)^\d+\.\d{3} glance GET /v2/images/debian-12 404 \d+ms '
            r'openstacksdk/',
        )

    def test_down_leaves_nothing_then_two_ups_at_once(self) -> None:
        with _server(self.port) as server:
            launcher.works(self.port, 'down')
            self.assertEqual([], launcher.traces(self.port))
            self.assertEqual(
                3, launcher.launch(self.port, 'status').returncode
            )
            said: list[str] = []
            ups = [
                threading.Thread(
                    target=lambda: said.append(launcher.works(self.port, 'up'))
                )
                for _ in range(2)
            ]
            for up in ups:
                up.start()
            for up in ups:
                up.join()
            self.assertEqual(2, len(said))
            started, found = sorted(said, key=lambda s: 'already up' in s)
            self.assertIn('nova is ready', started)
            self.assertIn('already up', found)
            self._runs_again(server)

    def test_up_after_kills(self) -> None:
        """Of Nova alone: servers run on.  Of everything: they run again."""
        with _server(self.port) as server:
            guest = self._guest(server)
            (nova,) = (
                pid
                for pid, line in launcher.processes(self.port).items()
                if line.rstrip().endswith('devcloud.services nova')
            )
            os.kill(nova, signal.SIGKILL)
            launcher.works(self.port, 'up')
            self.assertEqual(guest, self._guest(server))
            launcher.kill_everything(self.port)
            self.assertEqual({}, launcher.processes(self.port))
            self.assertNotEqual([], launcher.traces(self.port))
            launcher.works(self.port, 'up')
            self._runs_again(server)

    def _guest(self, server: str) -> set[int]:
        """The pids that are systemd-nspawn's for a server."""
        return {
            pid
            for pid, line in launcher.processes(self.port).items()
            if 'systemd-nspawn' in line and server in line
        }

    def _runs_again(self, server: str) -> None:
        compute = launcher.connect(self.port, 'devcloud').compute
        end = time.monotonic() + 60
        while not self._guest(server):
            self.assertLess(time.monotonic(), end, 'the guest is not back')
            time.sleep(0.2)
        self.assertEqual('ACTIVE', compute.get_server(server).status)

    def test_reset_brings_the_seeded_state_back(self) -> None:
        demo = launcher.connect(self.port, 'devcloud')
        with _server(self.port, keep=True):
            demo.network.create_network(name='extra')
            demo.network.create_security_group(name='extra')
            demo.compute.create_keypair(name='extra', public_key=PUBLIC_KEY)
            demo.network.delete_network(demo.network.find_network('backend'))
        self.assertNotEqual(self.seeded, _inventory(self.port))
        launcher.works(self.port, 'reset')
        self.assertEqual(self.seeded, _inventory(self.port))
        self.assertEqual(
            [], [t for t in launcher.traces(self.port) if 'nspawn' in t]
        )

    def test_a_second_cloud_and_its_end(self) -> None:
        """Its first start is killed, the next makes it, then it goes."""
        second = launcher.free_base(self.port + 10)
        mine = set(launcher.processes(self.port))
        self.addCleanup(launcher.launch, second, 'destroy')
        launcher.kill_in_first_start(second)
        launcher.works(second, 'up')
        self.assertEqual(
            {'public', 'private', 'backend', 'dual', 'ipv6'},
            launcher.names(
                launcher.connect(second, 'devcloud').network.networks()
            ),
        )
        self.assertEqual(
            set(),
            _cidrs(second) & _cidrs(self.port),
            'two clouds share a network',
        )
        refused = launcher.launch(second, 'destroy', '--all')
        self.assertEqual(1, refused.returncode)
        self.assertIn('other clouds use what is shared', refused.stderr)
        launcher.works(second, 'destroy')
        self.assertEqual([], launcher.traces(second))
        self.assertFalse(launcher.folder(second).exists())
        self.assertEqual(mine, set(launcher.processes(self.port)))
        launcher.connect(self.port, 'devcloud').network.find_network('private')


def _cidrs(port: int) -> set[str]:
    admin = launcher.connect(port, 'devcloud-admin')
    return {subnet.cidr for subnet in admin.network.subnets()}


def _inventory(port: int) -> dict[str, set[str]]:
    """What the projects have, by kind."""
    admin = launcher.connect(port, 'devcloud-admin')
    demo = launcher.connect(port, 'devcloud')
    return {
        'servers': launcher.names(admin.compute.servers(all_projects=True)),
        'networks': {network.id for network in admin.network.networks()},
        'ports': {each.id for each in admin.network.ports()},
        'groups': {g.name for g in demo.network.security_groups()},
        'addresses': {each.id for each in admin.network.ips()},
        'keys': launcher.names(demo.compute.keypairs()),
        'images': {image.id for image in admin.image.images()},
    }


@contextlib.contextmanager
def _server(port: int, *, keep: bool = False) -> Iterator[str]:
    """The id of a server that is ACTIVE; gone afterwards."""
    demo = launcher.connect(port, 'devcloud')
    image = demo.image.find_image('debian-12')
    flavor = demo.compute.find_flavor('m1.small')
    network = demo.network.find_network('private')
    server = demo.compute.create_server(
        name='guest',
        image_id=image.id,
        flavor_id=flavor.id,
        networks=[{'uuid': network.id}],
    )
    demo.compute.wait_for_server(server, interval=0.5)
    yield server.id
    if not keep:
        demo = launcher.connect(port, 'devcloud')
        demo.compute.delete_server(server.id)
        demo.compute.wait_for_delete(server, interval=0.5)
