# SPDX-License-Identifier: Apache-2.0
"""A workstation, and the stand-in for a cloud that it works with."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator

from tests.benchmarks import measure as costs

_ROOT = pathlib.Path(__file__).resolve().parents[2]
#: Of hosts that are played: no root is needed to listen there.
SSH_PORT = 2222
_FOREIGN = ('OS_', 'DOCKER_', 'XDG_', 'PYTHON')


class Client:
    """A home folder with a clouds.yaml that leads to a stand-in.

    :param path: of Keystone.
    :ivar env: the environment of its programs.
    :ivar store: where this package has its files.
    """

    def __init__(
        self, home: pathlib.Path, port: int, path: str = '/v3'
    ) -> None:
        self._home, self._url = home, f'http://127.0.0.1:{port}'
        self.store = home / 'store'
        auth = {'auth_url': f'{self._url}{path}', 'username': 'demo'}
        auth |= {'password': 'x', 'project_name': 'demo'}
        auth |= {'user_domain_id': 'default', 'project_domain_id': 'default'}
        cloud = {'auth': auth, 'region_name': 'RegionOne'}
        clouds = home / 'clouds.yaml'
        clouds.write_text(json.dumps({'clouds': {'standin': cloud}}))
        self.env = _environment(home)
        self.env |= {'OS_CLIENT_CONFIG_FILE': str(clouds)}
        self.env |= {'OS_CLOUD': 'standin'}

    def run(self, *command: str) -> costs.Run:
        """Run a program.

        :raises RunFailed: if it fails.
        """
        return costs.run(command, self.env, self._home)

    def openstack(self, words: str) -> tuple[costs.Run, int]:
        """Run it; gives how many calls that took, too.

        :raises RunFailed: if it fails.
        """
        self.calls()
        done = self.run('openstack', *words.split())
        return done, self.calls()

    def keys(self, *places: str) -> None:
        """Have the files of the machines that are at these places."""
        program = [sys.executable, '-m', 'tests.benchmarks.keys']
        command = [*program, f'{self._url}/v3', *places]
        costs.run(command, self.env, _ROOT)

    def calls(self) -> int:
        """Give how many calls there were since this was last asked."""
        with urllib.request.urlopen(f'{self._url}/calls') as answer:
            return int(json.load(answer)['calls'])


def _environment(home: pathlib.Path) -> dict[str, str]:
    """Give an environment with a home folder, and nothing else, of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    beside = str(pathlib.Path(sys.executable).parent)
    path = os.pathsep.join([beside, os.environ.get('PATH', os.defpath)])
    return {
        **kept,
        'PATH': path,
        'HOME': str(home),
        'SHELL': '/bin/sh',
        'DOCKER_CONFIG': str(home / '.docker'),
        'DOCKER_MACHINE_OSC_HOME': str(home / 'store'),
        'no_proxy': '127.0.0.1',
    }


@contextlib.contextmanager
def standin(count: int, *places: str) -> Iterator[int]:
    """Start one in a process of its own; gives its port.

    :param places: ADDRESS PORT... of the first machines' engines.
    """
    with _program('standin', str(count), *places) as process:
        yield int(_line(process))


@contextlib.contextmanager
def engines() -> Iterator[tuple[str, str, Callable[[pathlib.Path], None]]]:
    """Start some in a process of their own.

    :returns: the port of one that answers, that of one that never does, and
        what has them served, with the folder of the certificate.
    """
    with _program('engines') as process:
        alive, dead = _line(process).split()

        def serve(folder: pathlib.Path) -> None:
            assert process.stdin is not None
            process.stdin.write(f'{folder}\n')
            process.stdin.flush()

        yield alive, dead, serve


@contextlib.contextmanager
def elsewhere(seconds: float) -> Iterator[tuple[int, str]]:
    """Start a cloud whose guests boot elsewhere, in a process of its own.

    :param seconds: that a boot takes.
    :returns: the port and the path of its Keystone.
    """
    with _program('elsewhere', str(seconds)) as process:
        url = urllib.parse.urlsplit(_line(process).strip())
        yield int(url.port or 0), url.path


def _program(module: str, *words: str) -> subprocess.Popen[str]:
    """Start one of ours; it ends with its stdin, as Popen.__exit__ does."""
    return subprocess.Popen(
        [sys.executable, '-m', f'tests.benchmarks.{module}', *words],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
