# SPDX-License-Identifier: Apache-2.0
"""The devcloud's launcher: its verbs, and its words when it can't.

Runs the launcher as a developer does, on port bases of its own, so that a
cloud that is up meanwhile is not touched.  Needs root.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import openstack
import yaml
from oslotest import base

LAUNCHER = pathlib.Path(__file__).parents[1] / 'devcloud' / 'devcloud'
HOME = os.environ.get('DEVCLOUD_HOME') or '/var/lib/devcloud'
# Seconds, for one command of the launcher; a first start of the machine
# builds the base trees.
TIMEOUT = 600
NOBODY = '65534'
PUBLIC_KEY = (
    'ssh-ed25519 '
    'AAAAC3NzaC1lZDI1NTE5AAAAIJJk5/aFVSg3HgXUw69eH3GgDVaMFV2b+V7D2q4Idrbx'
)


class Failure(Exception):
    """A command that should have worked did not; the text is its output."""


def environment(port: int, home: str = HOME, **extra: str) -> dict[str, str]:
    """For a launcher of the cloud on this port base."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith('OS_')}
    return {
        **kept,
        'DEVCLOUD_HOME': home,
        'DEVCLOUD_PORT': str(port),
        **extra,
    }


def launch(
    port: int,
    *arguments: str,
    home: str = HOME,
    prefix: tuple[str, ...] = (),
    **extra: str,
) -> subprocess.CompletedProcess[str]:
    """Run the launcher to its end, whatever that is."""
    return subprocess.run(
        [*prefix, sys.executable, str(LAUNCHER), *arguments],
        env=environment(port, home, **extra),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def works(port: int, *arguments: str) -> str:
    """Run the launcher; returns what it prints."""
    done = launch(port, *arguments)
    if done.returncode:
        raise Failure(f'{arguments}: {done.stdout}{done.stderr}')
    return done.stdout


def output(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout


def free_base(start: int) -> int:
    """A port base that nobody uses, and no cloud was made for."""
    for port in range(start, start + 1000, 10):
        if pathlib.Path(HOME, 'clouds', str(port)).exists():
            continue
        with contextlib.ExitStack() as stack:
            try:
                for offset in range(5):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(('127.0.0.1', port + offset))
            except OSError:
                continue
        return port
    raise Failure('no free ports')


def processes(port: int) -> dict[int, str]:
    """The processes of a cloud and of its guests, by pid."""
    marks = (
        f'{HOME}/clouds/{port}'.encode(),
        f'devcloud-{port}-'.encode(),  # the network namespace of a guest
        f'/devcloud-{port}/'.encode(),  # its control group
    )
    found = {}
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line = (entry / 'cmdline').read_bytes()
            about = [
                line,
                (entry / 'environ').read_bytes(),
                (entry / 'cgroup').read_bytes(),
            ]
            if line and any(m in text for m in marks for text in about):
                text = line.replace(b'\0', b' ').decode(errors='replace')
                found[int(entry.name)] = text
    return found


def traces(port: int) -> list[str]:
    """What a cloud that is down must not leave on this machine."""
    return [
        *(f'process {line}' for line in processes(port).values()),
        *(
            f'link {line}'
            for line in output('ip', '-br', 'link').splitlines()
            if line.startswith(f'd{port}')
        ),
        *(
            f'namespace {line}'
            for line in output('ip', 'netns').splitlines()
            if line.startswith(f'devcloud-{port}-')
        ),
        *(
            line
            for line in output('nft', 'list', 'tables').splitlines()
            if line.endswith(f'_{port}')
        ),
        *(
            f'mount {line}'
            for line in pathlib.Path('/proc/mounts').read_text().splitlines()
            if f'/clouds/{port}/' in line
        ),
    ]


def kill_everything(port: int) -> None:
    """As the out-of-memory killer on its worst day."""
    for _ in range(3):
        for pid in processes(port):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def connect(port: int, cloud: str) -> Any:
    config = pathlib.Path(HOME, 'clouds', str(port), 'clouds.yaml')
    settings = yaml.safe_load(config.read_text())['clouds'][cloud]
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, **settings
    )


def names(items: Any) -> set[str]:
    return {item.name for item in items}


class RefusalsTest(base.BaseTestCase):
    """Plain words, and nothing made."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_base(24000)
        self.addCleanup(
            lambda: self.assertEqual([], traces(self.port), 'left behind')
        )

    def refused(self, *words: str, **how: Any) -> str:
        done = launch(self.port, 'up', **how)
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        return done.stderr

    def folder(self) -> str:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def test_not_root(self) -> None:
        # who may read everything, as this checkout may be root's own
        as_nobody = (
            'setpriv',
            f'--reuid={NOBODY}',
            '--clear-groups',
            '--inh-caps=+dac_read_search',
            '--ambient-caps=+dac_read_search',
        )
        self.refused('must be run as root', 'sudo', prefix=as_nobody)

    def test_not_linux(self) -> None:
        program = textwrap.dedent(f"""
            import runpy, sys
            sys.platform = 'freebsd14'
            sys.argv = ['devcloud', 'up']
            runpy.run_path({str(LAUNCHER)!r}, run_name='__main__')
        """)
        done = subprocess.run(
            [sys.executable, '-c', program],
            env=environment(self.port),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(1, done.returncode)
        self.assertIn('needs Linux', done.stderr)

    def test_missing_packages_name_the_apt_line(self) -> None:
        self.refused(
            'apt-get install',
            'systemd-container',
            'mmdebstrap',
            '--install-packages',
            PATH='/nonexistent',
        )

    def test_install_packages_without_apt(self) -> None:
        done = launch(
            self.port, 'up', '--install-packages', PATH='/nonexistent'
        )
        self.assertEqual(1, done.returncode)
        self.assertIn('no apt-get', done.stderr)

    def test_unusable_settings(self) -> None:
        self.refused('DEVCLOUD_PORT=http', DEVCLOUD_PORT='http')
        self.refused('DEVCLOUD_PORT=80 ', DEVCLOUD_PORT='80')
        self.refused('not an absolute path', home='here')

    def test_port_taken_says_by_whom(self) -> None:
        with socket.socket() as other:
            other.bind(('127.0.0.1', self.port + 3))
            other.listen()
            said = self.refused(
                f'port {self.port + 3} (nova)', f'process {os.getpid()} ('
            )
        self.assertIn('DEVCLOUD_PORT=', said)

    def test_too_little_space(self) -> None:
        folder = self.folder()
        self.refused(
            'too little space',
            '4000 MB',
            folder,
            home=folder,
            prefix=_mounted('-t tmpfs -o size=64m tmpfs', folder),
        )

    def test_overlay(self) -> None:
        folder, disk = self.folder(), self.folder()
        for name in ('lower', 'upper', 'work'):
            pathlib.Path(disk, name).mkdir()
        options = (
            f'lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work'
        )
        self.refused(
            'overlay file system',
            home=folder,
            prefix=_mounted(f'-t overlay -o {options} overlay', folder),
        )

    def test_network_in_use(self) -> None:
        number = self.port // 5 * 4
        network = f'10.{number >> 8}.{number & 255}'
        script = (
            'ip link set lo up && ip link add office type bridge && '
            f'ip addr add {network}.99/24 dev office && '
            'ip link set office up && exec "$@"'
        )
        self.refused(
            f'{network}.0/24',
            'office',
            prefix=('unshare', '--net', 'sh', '-c', script, 'sh'),
        )

    def test_reset_of_what_never_was(self) -> None:
        done = launch(self.port, 'reset')
        self.assertEqual(1, done.returncode)
        self.assertIn('devcloud up', done.stderr)

    def test_down_destroy_and_status_of_what_never_was(self) -> None:
        works(self.port, 'down')
        works(self.port, 'destroy')
        self.assertEqual(3, launch(self.port, 'status').returncode)
        self.assertFalse(pathlib.Path(HOME, 'clouds', str(self.port)).exists())


def _mounted(mount: str, folder: str) -> tuple[str, ...]:
    """A prefix that runs a command where this is mounted."""
    script = f'mount {mount} {folder} && exec "$@"'
    return ('unshare', '--mount', 'sh', '-c', script, 'sh')


class CloudTest(base.BaseTestCase):
    """One cloud, through all that is done to clouds."""

    port: ClassVar[int]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.port = free_base(25000)
        works(cls.port, 'up')

    @classmethod
    def tearDownClass(cls) -> None:
        works(cls.port, 'destroy')
        super().tearDownClass()

    # ---------------------------------------------------------------- seeded
    def test_seeded_clouds(self) -> None:
        demo = {'public', 'private', 'backend'}
        tight = {'public', 'tight-net'}
        for cloud, wanted in (
            ('devcloud', demo),
            ('devcloud-alice', demo),
            ('devcloud-appcred', demo),
            ('devcloud-tight', tight),
            ('devcloud-tight-appcred', tight),
            ('devcloud-admin', demo | tight),
        ):
            connection = connect(self.port, cloud)
            self.assertEqual(
                wanted, names(connection.network.networks()), cloud
            )

    def test_seeded_images_and_flavors(self) -> None:
        connection = connect(self.port, 'devcloud')
        images = {image.name: image for image in connection.image.images()}
        self.assertEqual(
            {'debian-12', 'debian-12-docker', 'debian-13'}, set(images)
        )
        for image in images.values():
            self.assertEqual((256, 5), (image.min_ram, image.min_disk))
            self.assertEqual('debian', image.os_distro)
        self.assertEqual(
            {'m1.nano', 'm1.tiny', 'm1.small', 'm1.medium', 'm1.large'},
            names(connection.compute.flavors()),
        )

    def test_seeded_routers(self) -> None:
        for cloud, subnets in (
            ('devcloud', {'private-subnet'}),
            ('devcloud-tight', {'tight-net-subnet'}),
        ):
            network = connect(self.port, cloud).network
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
        tight = connect(self.port, 'devcloud-tight')
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
        path = pathlib.Path(HOME, 'clouds', str(self.port), 'clouds.yaml')
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
        etc = path.with_name('etc')
        self.assertEqual(0o700, etc.stat().st_mode & 0o777)

    # ----------------------------------------------------------------- verbs
    def test_up_when_up(self) -> None:
        before = set(processes(self.port))
        self.assertIn('already up', works(self.port, 'up'))
        self.assertEqual(before, set(processes(self.port)))

    def test_status(self) -> None:
        said = works(self.port, 'status')
        for name in ('keystone', 'glance', 'neutron', 'nova', 'dataplane'):
            self.assertRegex(said, f'(?m)^{name} +up ')
        as_nobody = (
            'setpriv',
            f'--reuid={NOBODY}',
            '--clear-groups',
            '--inh-caps=+dac_read_search',
            '--ambient-caps=+dac_read_search',
        )
        done = launch(self.port, 'status', prefix=as_nobody)
        self.assertEqual((0, said), (done.returncode, done.stdout))

    def test_env_is_for_eval(self) -> None:
        script = (
            f'eval "$({sys.executable} {LAUNCHER} env)" && '
            'echo "$OS_CLOUD ${OS_USERNAME-unset} $(command -v docker)" && '
            'cat "$OS_CLIENT_CONFIG_FILE" && type there'
        )
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, 'there')
            program.write_text('#!/bin/sh\n')
            program.chmod(0o755)
            done = subprocess.run(
                ['sh', '-c', script],
                env=environment(
                    self.port,
                    OS_USERNAME='of-another-cloud',
                    DEVCLOUD_CLIENT_BIN=folder,
                ),
                capture_output=True,
                text=True,
                check=True,
            )
        self.assertIn(f'devcloud unset {HOME}/bin/docker\n', done.stdout)
        self.assertIn('devcloud-tight-appcred:', done.stdout)
        self.assertIn(f'{folder}/there', done.stdout)

    def test_another_home_on_the_same_port(self) -> None:
        with tempfile.TemporaryDirectory() as home:
            done = launch(self.port, 'up', home=home)
        self.assertEqual(1, done.returncode)
        mine = f'DEVCLOUD_HOME={HOME} DEVCLOUD_PORT={self.port}'
        self.assertIn(f'{mine} devcloud status', done.stderr)
        self.assertIn(f'{mine} devcloud down', done.stderr)

    def test_stacks_on_sigusr1(self) -> None:
        log = pathlib.Path(HOME, 'clouds', str(self.port), 'log/glance.out')
        (pid,) = (
            pid
            for pid, line in processes(self.port).items()
            if line.rstrip().endswith('devcloud.services glance')
        )
        os.kill(pid, signal.SIGUSR1)
        end = time.monotonic() + 30
        while 'Current thread' not in log.read_text():
            self.assertLess(time.monotonic(), end, 'no stacks')
            time.sleep(0.05)

    def test_access_log(self) -> None:
        connect(self.port, 'devcloud').image.find_image('debian-12')
        log = pathlib.Path(HOME, 'clouds', str(self.port), 'log/access.log')
        self.assertRegex(
            log.read_text(),
            r'(?m)^\d+\.\d{3} glance GET /v2/images/debian-12 404 \d+ms '
            r'openstacksdk/',
        )

    def test_down_leaves_nothing_then_two_ups_at_once(self) -> None:
        with _server(self.port) as server:
            works(self.port, 'down')
            self.assertEqual([], traces(self.port))
            self.assertEqual(3, launch(self.port, 'status').returncode)
            said: list[str] = []
            ups = [
                threading.Thread(
                    target=lambda: said.append(works(self.port, 'up'))
                )
                for _ in range(2)
            ]
            for up in ups:
                up.start()
            for up in ups:
                up.join()
            self.assertEqual(2, len(said))
            self.assertIn('already up', said[1])
            self._runs_again(server)

    def test_up_after_kill_of_everything(self) -> None:
        with _server(self.port) as server:
            kill_everything(self.port)
            self.assertEqual({}, processes(self.port))
            self.assertNotEqual([], traces(self.port))
            works(self.port, 'up')
            self._runs_again(server)

    def _runs_again(self, server: str) -> None:
        compute = connect(self.port, 'devcloud').compute
        end = time.monotonic() + 60
        while not any(
            'systemd-nspawn' in line and server in line
            for line in processes(self.port).values()
        ):
            self.assertLess(time.monotonic(), end, 'the guest is not back')
            time.sleep(0.2)
        self.assertEqual('ACTIVE', compute.get_server(server).status)

    def test_reset_brings_the_seeded_state_back(self) -> None:
        demo = connect(self.port, 'devcloud')
        before = _inventory(self.port)
        with _server(self.port, keep=True):
            demo.network.create_network(name='extra')
            demo.network.create_security_group(name='extra')
            demo.compute.create_keypair(name='extra', public_key=PUBLIC_KEY)
            demo.network.delete_network(demo.network.find_network('backend'))
        self.assertNotEqual(before, _inventory(self.port))
        works(self.port, 'reset')
        self.assertEqual(before, _inventory(self.port))
        self.assertEqual([], [t for t in traces(self.port) if 'nspawn' in t])

    def test_a_second_cloud_and_its_end(self) -> None:
        """Its first start is killed, the next makes it, then it goes."""
        second = free_base(self.port + 10)
        mine = set(processes(self.port))
        self.addCleanup(launch, second, 'destroy')
        _kill_in_first_start(second)
        works(second, 'up')
        self.assertEqual(
            {'public', 'private', 'backend'},
            names(connect(second, 'devcloud').network.networks()),
        )
        self.assertEqual(
            set(),
            _cidrs(second) & _cidrs(self.port),
            'two clouds share a network',
        )
        refused = launch(second, 'destroy', '--all')
        self.assertEqual(1, refused.returncode)
        self.assertIn('other clouds use what is shared', refused.stderr)
        works(second, 'destroy')
        self.assertEqual([], traces(second))
        self.assertFalse(pathlib.Path(HOME, 'clouds', str(second)).exists())
        self.assertEqual(mine, set(processes(self.port)))
        connect(self.port, 'devcloud').network.find_network('private')


def _kill_in_first_start(port: int) -> None:
    """Between the databases and the end of seeding."""
    up = subprocess.Popen(
        [sys.executable, str(LAUNCHER), 'up'],
        env=environment(port),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert up.stdout
    with up:
        for line in up.stdout:
            if 'keystone is ready' in line:
                break
        up.kill()
    kill_everything(port)


def _cidrs(port: int) -> set[str]:
    admin = connect(port, 'devcloud-admin')
    return {subnet.cidr for subnet in admin.network.subnets()}


def _inventory(port: int) -> dict[str, set[str]]:
    """What the projects have, by kind."""
    admin = connect(port, 'devcloud-admin')
    demo = connect(port, 'devcloud')
    return {
        'servers': names(admin.compute.servers(all_projects=True)),
        'networks': {network.id for network in admin.network.networks()},
        'ports': {each.id for each in admin.network.ports()},
        'groups': {g.name for g in demo.network.security_groups()},
        'addresses': {each.id for each in admin.network.ips()},
        'keys': names(demo.compute.keypairs()),
        'images': {image.id for image in admin.image.images()},
    }


@contextlib.contextmanager
def _server(port: int, *, keep: bool = False) -> Iterator[str]:
    """The id of a server that is ACTIVE; gone afterwards."""
    demo = connect(port, 'devcloud')
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
        demo = connect(port, 'devcloud')
        demo.compute.delete_server(server.id)
        demo.compute.wait_for_delete(server, interval=0.5)
