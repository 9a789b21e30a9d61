# SPDX-License-Identifier: Apache-2.0
"""The devcloud's guests: real Debian systems, by command and by Nova.

Needs root.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

from oslotest import base

from tests.functional import own_cloud

FAILED, USAGE, NO_SUCH, WRONG_STATE = 1, 2, 3, 4
USER_DATA = """#cloud-config
bootcmd: [echo "a line for /dev/console" >/dev/console]
write_files: [{path: /root/made, content: by cloud-init}]
"""


def children_of(mark: str) -> list[str]:
    """The processes of this machine with the mark in their cgroup."""
    found = []
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            # one without a command line has ended, and waits for its parent
            line = (entry / 'cmdline').read_bytes()
            if line and mark in (entry / 'cgroup').read_text():
                found.append(f'{entry.name} {line!r}')
    return found


class Commands(base.BaseTestCase):
    """The guest command alone: no cloud runs on this port base."""

    def setUp(self) -> None:
        super().setUp()
        self.cloud = own_cloud.Cloud(own_cloud.free_base(22000))
        self.addCleanup(shutil.rmtree, self.cloud.directory, True)
        self.addCleanup(self.cloud.guest, 'sweep')
        # or a cloud of another test would take the port base for free
        self.cloud.directory.mkdir(parents=True)

    def start(self, name: str, *options: str) -> None:
        """A new guest without a network, with a config drive."""
        self.addCleanup(self.cloud.guest, 'destroy', name)
        self.cloud.guest_works(
            'start',
            name,
            '--base',
            'debian12',
            '--config-drive',
            self.config_drive(),
            *options,
        )

    def config_drive(self) -> str:
        drive = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, drive)
        latest = pathlib.Path(drive, 'openstack', 'latest')
        latest.mkdir(parents=True)
        (latest / 'meta_data.json').write_text(
            json.dumps({'uuid': str(uuid.uuid4()), 'hostname': 'inside'})
        )
        (latest / 'user_data').write_text(USER_DATA)
        return drive

    def code(self, *arguments: str) -> int:
        return self.cloud.guest(*arguments).returncode

    def traces(self, name: str) -> list[str]:
        """What is left of a guest."""
        mark = f'devcloud-{self.cloud.port}'
        found = children_of(f'{mark}/{name}')
        found += [
            str(path)
            for path in (
                pathlib.Path('/run/netns', f'{mark}-{name}'),
                *pathlib.Path('/sys/fs/cgroup').glob(f'{mark}/{name}'),
                *pathlib.Path('/sys/fs/cgroup').glob(f'*/{mark}/{name}'),
            )
            if path.exists()
        ]
        mounts = pathlib.Path('/proc/self/mounts').read_text()
        return found + re.findall(rf'.*{name}.*', mounts)

    def test_machine_can_run_guests(self) -> None:
        self.assertEqual('', self.cloud.guest_works('check'))

    def test_life(self) -> None:
        self.start('one', '--hostname', 'one')
        self.cloud.guest_works('wait', 'one', '--for', 'cloud-init')
        works = self.cloud.guest_works
        self.assertEqual(
            'by cloud-init', works('exec', 'one', '--', 'cat', '/root/made')
        )
        self.assertEqual(
            'running\n',
            works(
                'exec', 'one', '--', 'systemctl', 'is-system-running', '--wait'
            ),
        )
        self.assertEqual(WRONG_STATE, self.code('start', 'one'))
        works('restart', 'one', '--wait', '30')
        self.assertEqual(2, self.cloud.show('one')['boots'])
        works('restart', 'one', '--hard', '--wait', '30')
        works('stop', 'one')
        self.assertEqual('stopped', self.cloud.show('one')['state'])
        self.assertEqual(WRONG_STATE, self.code('stop', 'one'))
        self.assertEqual([], self.traces('one'))
        works('start', 'one', '--wait', '30')
        self.assertEqual(
            'by cloud-init', works('exec', 'one', '--', 'cat', '/root/made')
        )
        works('destroy', 'one')
        self.assertEqual([], json.loads(works('list', '--json')))
        self.assertEqual([], self.traces('one'))

    def test_power_off_from_inside(self) -> None:
        self.start('one', '--wait', '30')
        self.code('exec', 'one', '--', 'systemctl', 'poweroff')
        own_cloud.soon(
            lambda: self.cloud.show('one')['state'] == 'stopped', 'stopped'
        )
        self.assertEqual([], self.traces('one'))

    def test_console_has_keys_and_all_that_is_written_there(self) -> None:
        self.start('one')
        self.cloud.guest_works('wait', 'one', '--for', 'cloud-init')
        console = own_cloud.soon(
            lambda: self.ended_console('one'), 'end of cloud-init'
        )
        keys = self.cloud.guest_works(
            'exec', 'one', '--', 'sh', '-c', 'cat /etc/ssh/ssh_host_*_key.pub'
        )
        shown = console.partition('-----BEGIN SSH HOST KEY KEYS-----')[2]
        for key in keys.splitlines():
            self.assertIn(key.split()[1], shown)
        self.assertIn('a line for /dev/console', console)
        self.assertNotIn('\x1b[', console)

    def ended_console(self, name: str) -> str:
        text = self.cloud.guest_works('console', name, '--plain')
        return text if '-----END SSH HOST KEY KEYS-----' in text else ''

    def test_exit_codes(self) -> None:
        self.assertEqual(NO_SUCH, self.code('show', 'nobody'))
        self.assertEqual(NO_SUCH, self.code('start', 'nobody'))
        self.assertEqual(NO_SUCH, self.code('destroy', 'nobody'))
        self.assertEqual(USAGE, self.code('show', '../passwd'))
        self.assertEqual(USAGE, self.code('dance'))
        done = self.cloud.guest('start', 'one', '--base', 'debian3')
        self.assertEqual(FAILED, done.returncode)
        self.assertIn("no base is named 'debian3'", done.stderr)
        self.assertIn('debian12', done.stderr)

    def test_exec_passes_the_exit_status_and_no_dangerous_rights(self) -> None:
        self.start('one')
        self.assertEqual(
            7, self.code('exec', 'one', '--', 'sh', '-c', 'exit 7')
        )
        clock = time.time()
        self.assertNotEqual(
            0, self.code('exec', 'one', '--', 'date', '-s', '2001-01-01')
        )
        self.assertLess(abs(time.time() - clock), 60)

    def test_two_clouds_have_guests_of_one_name(self) -> None:
        self.start('one', '--wait', '30')
        second = own_cloud.Cloud(own_cloud.free_base(self.cloud.port + 10))
        second.directory.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, second.directory, True)
        self.addCleanup(second.guest, 'sweep')
        self.addCleanup(second.guest, 'destroy', 'one')
        second.guest_works(
            'start',
            'one',
            '--base',
            'debian13',
            '--config-drive',
            self.config_drive(),
            '--wait',
            '30',
        )
        second.guest_works('sweep')
        versions = [
            cloud.guest_works(
                'exec', 'one', '--', 'cat', '/etc/debian_version'
            )[:2]
            for cloud in (self.cloud, second)
        ]
        self.assertEqual(['12', '13'], versions)
        second.guest_works('destroy', 'one')
        self.assertEqual('running', self.cloud.show('one')['state'])

    def test_guest_ends_with_its_supervisor(self) -> None:
        self.start('one', '--wait', '30')
        os.kill(self.supervisor('one'), signal.SIGKILL)
        own_cloud.soon(
            lambda: not children_of(f'devcloud-{self.cloud.port}/one'), 'end'
        )
        self.assertEqual('stopped', self.cloud.show('one')['state'])
        self.cloud.guest_works('start', 'one', '--wait', '30')

    def supervisor(self, name: str) -> int:
        path = self.cloud.directory / 'guests' / name / 'run.json'
        return int(json.loads(path.read_text())['supervisor'])

    def test_sweep_ends_guests_whose_directory_was_removed(self) -> None:
        self.start('one', '--wait', '30')
        shutil.rmtree(self.cloud.directory, ignore_errors=True)
        self.assertNotEqual([], self.traces('one'))
        self.assertIn('one', self.cloud.guest_works('sweep'))
        self.assertEqual([], self.traces('one'))

    def test_docker_runs_in_the_image_that_has_it(self) -> None:
        self.addCleanup(self.cloud.guest, 'destroy', 'one')
        self.cloud.guest_works(
            'start',
            'one',
            '--base',
            'debian12-docker',
            '--config-drive',
            self.config_drive(),
        )
        self.cloud.guest_works('wait', 'one', '--for', 'cloud-init')
        facts = own_cloud.soon(self.docker_facts, 'docker info')
        self.assertEqual('overlay2 2 systemd', facts)
        enabled = self.cloud.guest_works(
            'exec',
            'one',
            '--',
            'systemctl',
            'is-enabled',
            'docker',
            'containerd',
        )
        self.assertEqual('enabled\nenabled\n', enabled)

    def docker_facts(self) -> str:
        return self.cloud.guest(
            'exec',
            'one',
            '--',
            'docker',
            'info',
            '--format',
            '{{.Driver}} {{.CgroupVersion}} {{.CgroupDriver}}',
        ).stdout.strip()


class Bases(base.BaseTestCase):
    """Building base trees, where it goes wrong."""

    def setUp(self) -> None:
        super().setUp()
        self.home = pathlib.Path(tempfile.mkdtemp(dir=own_cloud.HOME))
        self.addCleanup(shutil.rmtree, self.home)
        self.bases = self.home / 'bases'

    def build(self, mirror: str) -> subprocess.CompletedProcess[str]:
        return own_cloud.Cloud(
            own_cloud.free_base(22500),
            DEVCLOUD_HOME=str(self.home),
            DEVCLOUD_DEBIAN_MIRROR=mirror,
        ).guest('build-base', 'debian12')

    def trees(self) -> list[str]:
        return [p.name for p in self.bases.iterdir() if p.is_dir()]

    def test_dead_mirror(self) -> None:
        done = self.build('http://127.0.0.1:9/debian')
        self.assertEqual(FAILED, done.returncode)
        self.assertIn('base debian12 could not be built', done.stderr)
        self.assertIn('127.0.0.1', done.stderr)
        self.assertEqual([], self.trees())

    def test_interrupted_build_counts_as_none(self) -> None:
        cloud = own_cloud.Cloud(
            own_cloud.free_base(22500), DEVCLOUD_HOME=str(self.home)
        )
        build = subprocess.Popen(
            ['python3', '-m', 'devcloud.guest', 'build-base', 'debian12'],
            env=cloud.environment,
        )
        own_cloud.soon(
            lambda: list(self.bases.glob('.*.new/var')), 'beginning'
        )
        build.kill()
        build.wait()
        self.assertEqual([], [n for n in self.trees() if n[0] != '.'])
        self.assertEqual(FAILED, self.build('http://127.0.0.1:9/x').returncode)
        self.assertEqual([], self.trees())
