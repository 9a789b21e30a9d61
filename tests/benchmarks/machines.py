# SPDX-License-Identifier: Apache-2.0
"""Making machines on a devcloud, with an eye on the clock and the cloud."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Any

from tests.benchmarks import measure as costs
from tests.functional import devcloud, workstation

CLOUD = 'devcloud'
# What the tool writes to a terminal before each step.
_STEP = re.compile(rb'\r\x1b\[K *[0-9.]+s ([^\r\n]+) \.\.\.')
_STARTING = 'openstack starts'


class Bench:
    """A workstation at the devcloud.

    :ivar home: its folder.
    :ivar env: the environment of its programs.
    """

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.env = workstation.Workstation(home).env

    def openstack(self, *words: str) -> costs.Run:
        """Run `openstack`.

        :raises RunFailed: if it fails.
        """
        command = ['openstack', '--os-cloud', CLOUD, *words]
        return costs.run(command, self.env, self.home)

    def floor(self, image: str, count: int = 1) -> float:
        """Give the seconds of servers with an engine, without a tool."""
        script = str(pathlib.Path(__file__).with_name('floor.py'))
        command = [sys.executable, script, CLOUD, image]
        command += ['--count', str(count)]
        found = json.loads(costs.run(command, self.env, self.home).out)
        return float(found['engine answers'])

    def create(self, image: str) -> tuple[str, dict[str, Any]]:
        """Create a machine; gives its name and what was measured.

        :raises RunFailed: if it fails.
        """
        name = new_name()
        before = time.time()
        out, steps, total = self._watched(['create', name, '--image', image])
        calls = _calls(before, time.time())
        server = json.loads(out)['id']
        return name, {
            'total': total,
            'steps': steps,
            'API calls besides polls': len(calls) - _polls(calls, server),
            'polls': _polls(calls, server),
            'SSH logins': devcloud.ssh_logins(server),
            'engine starts': devcloud.engine_starts(server),
        }

    def _watched(
        self, words: Sequence[str]
    ) -> tuple[str, dict[str, float], float]:
        """Give stdout, the seconds of each step, and those of all."""
        terminal, stderr = pty.openpty()
        began = time.monotonic()
        command = ['openstack', '--os-cloud', CLOUD, 'docker', 'machine']
        process = subprocess.Popen(
            [*command, *words, '-f', 'json'],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        os.close(stderr)
        seen, said = _follow(terminal, began)
        out = process.communicate()[0].decode()
        total = time.monotonic() - began
        if process.returncode:
            raise costs.RunFailed(said.decode(errors='replace'))
        return out, _durations(seen, total), total


def new_name() -> str:
    """Give a name that nothing has yet."""
    return f'bench-{uuid.uuid4().hex[:6]}'


def _follow(
    terminal: int, began: float
) -> tuple[list[tuple[float, str]], bytes]:
    """Read what comes until the end; note when each step is announced."""
    said = b''
    seen: list[tuple[float, str]] = []
    # Linux ends a terminal whose other side is closed with EIO.
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            now, said = time.monotonic() - began, said + chunk
            texts = [match.decode() for match in _STEP.findall(said)]
            seen += [(now, text) for text in texts[len(seen) :]]
    os.close(terminal)
    return seen, said


def _durations(
    seen: list[tuple[float, str]], total: float
) -> dict[str, float]:
    """Seconds of each step; a step that comes again adds up."""
    begins = [(0.0, _STARTING), *seen, (total, '')]
    found: dict[str, float] = {}
    for (begin, text), (end, _) in itertools.pairwise(begins):
        found[text] = found.get(text, 0.0) + end - begin
    return found


def _calls(since: float, until: float) -> list[str]:
    """The API requests of openstacksdk, by the cloud's own log."""
    log = (devcloud.FOLDER / 'log' / 'access.log').read_text()
    found = []
    for line in log.splitlines():
        moment, _, rest = line.partition(' ')
        if since <= float(moment) <= until and ' openstacksdk/' in rest:
            found.append(rest)
    return found


def _polls(calls: Sequence[str], server: str) -> int:
    """Count those that ask for the server's status or console."""
    one = f'/servers/{server}'
    looks = [c for c in calls if 'GET /v2.1/servers/detail?name=' in c]
    # The first asks whether the name is free.
    return len(looks[1:]) + sum(
        f'{one}/action ' in c or f'GET /v2.1{one} ' in c for c in calls
    )
