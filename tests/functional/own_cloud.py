# SPDX-License-Identifier: Apache-2.0
"""A devcloud for one test class, and its guests from inside and outside.

On a port base of its own, so that no other test's count of what a cloud
holds is disturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import socketserver
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import openstack

DEVCLOUD = pathlib.Path(__file__).parents[1] / 'devcloud'
HOME = os.environ.get('DEVCLOUD_HOME') or '/var/lib/devcloud'
# Seconds: a first start of the machine builds the base trees.
UP_LIMIT = 600
# Seconds in which something must have come about, at the latest.
SOON = 60
# Seconds that an answer may take on a busy machine, and after which none is
# expected where there should be none.
PATIENCE = 5.0
SILENCE = 1.0


class Failure(Exception):
    """A command that should have worked did not; the text is its output."""


def soon(
    get: Callable[[], Any], what: str, good: Callable[[Any], Any] = bool
) -> Any:
    """The first good value of something that must come about."""
    end = time.monotonic() + SOON
    while not good(value := get()):
        if time.monotonic() > end:
            raise Failure(f'not within {SOON} s: {what}; now: {value!r}')
        time.sleep(0.05)
    return value


def free_base(start: int) -> int:
    """A port base that nobody uses, and no cloud was made for."""
    for port in range(start, start + 500, 10):
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


class Cloud:
    """A cloud that is this process's own."""

    def __init__(self, port: int, **extra: str) -> None:
        """:param extra: for the environment of its processes"""
        self.port = port
        kept = {k: v for k, v in os.environ.items() if not k.startswith('OS_')}
        self.environment = {
            **kept,
            'PYTHONPATH': str(DEVCLOUD / 'lib'),
            'DEVCLOUD_HOME': HOME,
            'DEVCLOUD_PORT': str(port),
            **extra,
        }
        self.directory = pathlib.Path(HOME, 'clouds', str(port))

    def free_cidr(self) -> str:
        """A subnet that no other cloud has: theirs are 10.0 to 10.204."""
        return f'10.240.{self.port // 10 % 256}.0/24'

    def launch(self, *arguments: str) -> str:
        """Run the launcher; returns what it prints."""
        return self._run([sys.executable, DEVCLOUD / 'devcloud', *arguments])

    def guest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the guest command, whatever comes of it."""
        return self._completed(
            [sys.executable, '-m', 'devcloud.guest', *arguments]
        )

    def guest_works(self, *arguments: str) -> str:
        """Run the guest command; returns what it prints."""
        done = self.guest(*arguments)
        if done.returncode:
            raise Failure(f'{arguments}: {done.stdout}{done.stderr}')
        return done.stdout

    def show(self, name: str) -> dict[str, Any]:
        """What the guest command knows of a guest."""
        found: dict[str, Any] = json.loads(self.guest_works('show', name))
        return found

    def connect(self, name: str = 'devcloud') -> Any:
        """The SDK, as a user that the seeded clouds.yaml names."""
        config = openstack.config.OpenStackConfig(
            config_files=[str(self.directory / 'clouds.yaml')],
            load_envvars=False,
        )
        return openstack.connection.Connection(
            config=config.get_one(cloud=name)
        )

    def _run(self, command: list[Any]) -> str:
        done = self._completed(command)
        if done.returncode:
            raise Failure(f'{command}: {done.stdout}{done.stderr}')
        return done.stdout

    def _completed(
        self, command: list[Any]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(map(str, command)),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors='replace',
            timeout=UP_LIMIT,
            check=False,
        )


def answer(address: str, port: int, patience: float = PATIENCE) -> str | None:
    """What a server says to this machine: None for silence.

    :returns: 'refused' if the port is closed but not filtered
    """
    try:
        with socket.create_connection((address, port), patience) as talk:
            talk.sendall(b'?\n')
            return talk.recv(100).decode()
    except ConnectionRefusedError:
        return 'refused'
    except OSError:
        return None


def is_silent(address: str, port: int) -> bool:
    """Nobody answers this machine, nor refuses."""
    return answer(address, port, SILENCE) is None


class _Greeter(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b'the machine')


@contextlib.contextmanager
def host_server() -> Iterator[int]:
    """A port of this machine that says "the machine"; its number."""
    with socketserver.ThreadingTCPServer(('', 0), _Greeter) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def unique(prefix: str) -> str:
    """A name that no test has used."""
    return f'{prefix}-{uuid.uuid4().hex[:8]}'
