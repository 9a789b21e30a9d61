#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long create takes, step by step, and what it costs the cloud.

Run it on a devcloud that is up and that nobody else uses, with the Python of
an environment that has this package: `.venv/bin/python
tests/benchmarks/create.py`. Each run has the floor (floor.py: the same server
and engine, without a tool), then `openstack docker machine create` on the same
image, so that whatever else the machine does falls on both. Then list, env and
delete. Prints a table (medians), then JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import pty
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.functional import devcloud, workstation  # noqa: E402

IMAGES = ('debian-12', 'debian-12-docker')
CLOUD = 'devcloud'
# What the tool writes to a terminal before each step.
_STEP = re.compile(rb'\r\x1b\[K *[0-9.]+s ([^\r\n]+) \.\.\.')
_STARTING = 'openstack starts'
_Run = dict[str, typing.Any]


class Benchmark:
    """The runs, on one workstation."""

    def __init__(self, home: pathlib.Path) -> None:
        self._here = workstation.Workstation(home)

    def floor(self, image: str) -> dict[str, float]:
        """Seconds at which each stage of the floor was reached."""
        script = pathlib.Path(__file__).with_name('floor.py')
        done = self._here.run(
            sys.executable, str(script), CLOUD, image, timeout=600
        )
        return dict(done.json)

    def create(self, image: str) -> tuple[str, _Run]:
        """Create a machine; gives its name and what was measured."""
        name = f'bench-{uuid.uuid4().hex[:6]}'
        before = time.time()
        out, steps, total = self._create(name, image)
        calls = _calls(before, time.time())
        server = json.loads(out)['id']
        polls = sum(_is_poll(call, server) for call in calls)
        return name, {
            'total': round(total, 2),
            'steps': steps,
            'api_calls': len(calls),
            'api_polls': polls,
            'ssh_logins': devcloud.ssh_logins(server),
            'engine_starts': devcloud.engine_starts(server),
        }

    def _create(
        self, name: str, image: str
    ) -> tuple[str, dict[str, float], float]:
        terminal, stderr = pty.openpty()
        began = time.monotonic()
        command = ['openstack', '--os-cloud', CLOUD, 'docker', 'machine']
        command += ['create', name, '--image', image, '-f', 'json']
        process = subprocess.Popen(
            command,
            env=self._here.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        os.close(stderr)
        seen, said = _follow(terminal, began)
        assert process.stdout is not None
        out = process.stdout.read().decode()
        process.stdout.close()
        total = time.monotonic() - began
        if process.wait():
            sys.exit(said.decode(errors='replace'))
        return out, _durations(seen, total), total

    def delete(self, name: str) -> float:
        return self.seconds('docker', 'machine', 'delete', name)[0]

    def seconds(self, *command: str) -> tuple[float, float]:
        """Wall and CPU time of a command of `openstack`."""
        began, before = time.monotonic(), _cpu()
        self._here.openstack(*command, cloud=CLOUD)
        wall = time.monotonic() - began
        return round(wall, 3), round(_cpu() - before, 3)


def _cpu() -> float:
    """Seconds of CPU that the programs run so far have had."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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
        found[text] = round(found.get(text, 0.0) + end - begin, 3)
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


def _is_poll(call: str, server: str) -> bool:
    """Whether it asks for a server's status or console."""
    one = f'/servers/{server}'
    return f'{one}/action ' in call or f'GET /v2.1{one} ' in call


# ------------------------------------------------------------------ report


def measure(runs: int, images: list[str]) -> _Run:
    found: _Run = {image: [] for image in images}
    commands: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as home:
        benchmark = Benchmark(pathlib.Path(home))
        benchmark.seconds('server', 'list')  # bytecode, stevedore's cache
        for number in range(runs):
            for image in images:
                floor = benchmark.floor(image)
                name, run = benchmark.create(image)
                try:
                    times = _commands(benchmark, name)
                finally:
                    run['delete'] = benchmark.delete(name)
                for command, seconds in times.items():
                    commands.setdefault(command, []).append(seconds)
                load = round(os.getloadavg()[0], 1)
                found[image].append({'floor': floor, **run, 'load': load})
                print(
                    f'run {number + 1}, {image}: floor '
                    f'{floor["engine answers"]:.1f} s, create '
                    f'{run["total"]:.1f} s, load {load}',
                    file=sys.stderr,
                )
    return {'images': found, 'commands': commands}


def _commands(
    benchmark: Benchmark, name: str
) -> dict[str, tuple[float, float]]:
    machine = ('docker', 'machine')
    return {
        'list': benchmark.seconds(*machine, 'list'),
        'list --long': benchmark.seconds(*machine, 'list', '--long'),
        'env': benchmark.seconds(*machine, 'env', name),
        'show': benchmark.seconds(*machine, 'show', name),
        'server list (for comparison)': benchmark.seconds('server', 'list'),
    }


def report(found: _Run) -> None:
    for image, runs in found['images'].items():
        print(f'\n{image}: seconds, median of {len(runs)}')
        for text in runs[0]['steps']:
            _row(text, [run['steps'].get(text, 0.0) for run in runs])
        _row('create, all of it', [run['total'] for run in runs])
        _row('floor', [run['floor']['engine answers'] for run in runs])
        _row('delete', [run['delete'] for run in runs])
        for kind in ('api_calls', 'api_polls', 'ssh_logins', 'engine_starts'):
            _row(kind.replace('_', ' '), [run[kind] for run in runs], 0)
    print('\ncommands: seconds, median')
    for command, times in found['commands'].items():
        _row(command, [wall for wall, _ in times])
        _row('  CPU of it', [cpu for _, cpu in times])


def _row(text: str, values: list[float], digits: int = 2) -> None:
    low, high = min(values), max(values)
    print(
        f'  {text:45}{statistics.median(values):8.{digits}f}'
        f'  ({low:.{digits}f} to {high:.{digits}f})'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--runs', type=int, default=3, help='of each image')
    parser.add_argument(
        '--image', action='append', help=f'default: {", ".join(IMAGES)}'
    )
    arguments = parser.parse_args()
    found = measure(arguments.runs, arguments.image or list(IMAGES))
    report(found)
    print(json.dumps(found))


if __name__ == '__main__':
    main()
