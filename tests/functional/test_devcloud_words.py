# SPDX-License-Identifier: Apache-2.0
"""The devcloud's launcher when it can't: plain words, and nothing made.

Needs root.
"""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import textwrap
from typing import Any

from oslotest import base

from tests.functional import launcher


class RefusalsTest(base.BaseTestCase):
    """Each thing that may be missing or in the way."""

    def setUp(self) -> None:
        super().setUp()
        self.port = launcher.free_base(24000)
        self.addCleanup(
            lambda: self.assertEqual(
                [], launcher.traces(self.port), 'left behind'
            )
        )

    def refused(self, *words: str, **how: Any) -> str:
        done = launcher.launch(self.port, 'up', **how)
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
        self.refused('must be run as root', 'sudo', prefix=launcher.AS_NOBODY)

    def test_not_linux(self) -> None:
        program = textwrap.dedent(f"""
            import runpy, sys
            sys.platform = 'freebsd14'
            sys.argv = ['devcloud', 'up']
            runpy.run_path({str(launcher.LAUNCHER)!r}, run_name='__main__')
        """)
        done = subprocess.run(
            [sys.executable, '-c', program],
            env=launcher.environment(self.port),
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
        done = launcher.launch(
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
        done = launcher.launch(self.port, 'reset')
        self.assertEqual(1, done.returncode)
        self.assertIn('devcloud up', done.stderr)

    def test_down_destroy_and_status_of_what_never_was(self) -> None:
        launcher.works(self.port, 'down')
        launcher.works(self.port, 'destroy')
        self.assertEqual(3, launcher.launch(self.port, 'status').returncode)
        self.assertFalse(launcher.folder(self.port).exists())


def _mounted(mount: str, folder: str) -> tuple[str, ...]:
    """A prefix that runs a command where this is mounted."""
    script = f'mount {mount} {folder} && exec "$@"'
    return ('unshare', '--mount', 'sh', '-c', script, 'sh')
