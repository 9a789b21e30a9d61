#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this plugin costs other commands of `openstack`, with and without it.

Run it with the Python of an environment that has python-openstackclient and
pbr, `.venv/bin/python tests/benchmarks/load_cost.py`.  Two environments are
made of that one's packages, which differ in this plugin alone (built as a
wheel, as users have it), and the same commands are run in both by turns, so
that whatever else the machine does falls on both. On a busy machine the
differences drown in noise; what importing the plugin and all its commands
takes within one process, where OSC is loaded already, is measured beside it
and does not. Prints a table, then JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIST = 'dockermachine_osc'
MAIN = 'from openstackclient.shell import main; raise SystemExit(main())'
COMMANDS = (
    ('--version',),
    ('server', 'list', '--help'),
    ('complete',),
)
# Prints the CPU milliseconds of what OSC imports of this plugin.
IMPORTS = """
import importlib.metadata, time
from openstackclient import shell
points = [
    point
    for group in ('openstack.cli.extension', 'openstack.docker_machine.v1')
    for point in importlib.metadata.entry_points(group=group)
    if point.value.startswith('dockermachine_osc.')
]
began = time.process_time()
for point in points:
    point.load()
print((time.process_time() - began) * 1e3)
"""
# Milliseconds of CPU, the most that it may add to another command.
LIMIT = 20


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one run, in milliseconds; cpu is user and system together."""

    cpu: float
    wall: float


class Environment:
    """A virtual environment that borrows the packages of this one."""

    def __init__(self, folder: pathlib.Path, wheel: pathlib.Path | None):
        venv.create(folder, symlinks=True)
        self.python = folder / 'bin' / 'python'
        release = f'python{sys.version_info[0]}.{sys.version_info[1]}'
        packages = folder / 'lib' / release / 'site-packages'
        for entry in pathlib.Path(sysconfig.get_path('purelib')).iterdir():
            if DIST not in entry.name and entry.suffix != '.pth':
                (packages / entry.name).symlink_to(entry)
        if wheel:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(packages)
        # Of stevedore: each environment finds its own warm.
        self._cache = folder / 'cache'

    def run(self, command: tuple[str, ...]) -> Cost:
        """Run `openstack` once.

        :raises SystemExit: if it fails
        """
        began = time.perf_counter()
        process = subprocess.Popen(
            [self.python, '-c', MAIN, *command],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        if process.returncode or said:
            sys.exit(f'openstack {" ".join(command)}: {said.decode()}')
        return Cost((usage.ru_utime + usage.ru_stime) * 1e3, wall * 1e3)

    def imports(self, runs: int) -> float:
        """Median CPU milliseconds of importing the plugin into OSC."""
        done = [
            subprocess.run(
                [self.python, '-c', IMPORTS],
                env=self._environment(),
                check=True,
                capture_output=True,
                text=True,
            )
            for _ in range(runs)
        ]
        return statistics.median(float(run.stdout) for run in done)

    def _environment(self) -> dict[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(('OS_', 'PYTHON'))
        }
        return {**kept, 'XDG_CACHE_HOME': str(self._cache)}


def build(folder: pathlib.Path) -> pathlib.Path:
    """Build the wheel of this checkout."""
    command = ['pip', 'wheel', '-q', '--no-deps', '--no-build-isolation']
    command += ['-w', str(folder), str(ROOT)]
    subprocess.run([sys.executable, '-m', *command], check=True)
    (wheel,) = folder.glob('*.whl')
    return wheel


def measure(
    without: Environment, plugin: Environment, runs: int
) -> dict[str, list[tuple[Cost, Cost]]]:
    """Pairs of (without, with) for each command, taken by turns."""
    found: dict[str, list[tuple[Cost, Cost]]] = {}
    for command in COMMANDS:
        for environment in (without, plugin):
            environment.run(command)  # bytecode, and stevedore's cache
        pairs = []
        for turn in range(runs):
            if turn % 2:
                second = plugin.run(command)
                pairs.append((without.run(command), second))
            else:
                first = without.run(command)
                pairs.append((first, plugin.run(command)))
        found[' '.join(command)] = pairs
    return found


def summary(pairs: list[tuple[Cost, Cost]]) -> dict[str, float]:
    """Medians, and the median of the differences pair by pair."""
    row: dict[str, float] = {}
    for kind in ('cpu', 'wall'):
        costs = [(getattr(a, kind), getattr(b, kind)) for a, b in pairs]
        without = statistics.median(a for a, _ in costs)
        plugin = statistics.median(b for _, b in costs)
        row[f'{kind}_ms_without'] = round(without, 1)
        row[f'{kind}_ms_with'] = round(plugin, 1)
        row[f'{kind}_ms_added'] = round(
            statistics.median(b - a for a, b in costs), 1
        )
        row[f'{kind}_ms_added_of_best'] = round(
            min(b for _, b in costs) - min(a for a, _ in costs), 1
        )
        row[f'{kind}_ratio'] = round(
            statistics.median(b / a for a, b in costs), 4
        )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--runs', type=int, default=21, help='of each command')
    runs = parser.parse_args().runs
    scratch = ROOT / 'build'
    scratch.mkdir(exist_ok=True)
    # Not below /tmp: stevedore keeps no cache for an interpreter there.
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = pathlib.Path(name)
        wheel = build(folder)
        without = Environment(folder / 'without', None)
        plugin = Environment(folder / 'with', wheel)
        rows = {
            command: summary(pairs)
            for command, pairs in measure(without, plugin, runs).items()
        }
        imports = round(plugin.imports(runs), 1)
    print(f'{"":22}{"without":>10}{"with":>10}{"added":>9}{"ratio":>8}')
    for command, row in rows.items():
        for kind in ('cpu', 'wall'):
            print(
                f'{command if kind == "cpu" else "":17}{kind:5}'
                f'{row[f"{kind}_ms_without"]:7.0f} ms'
                f'{row[f"{kind}_ms_with"]:7.0f} ms'
                f'{row[f"{kind}_ms_added"]:6.1f} ms'
                f'{row[f"{kind}_ratio"]:8.3f}'
            )
    worst = max(row['cpu_ms_added'] for row in rows.values())
    print(f'most CPU added: {worst:.1f} ms of {LIMIT} ms allowed, {runs} runs')
    print(f'CPU of importing the plugin, within one process: {imports:.1f} ms')
    result = {'runs': runs, 'limit_ms': LIMIT, 'imports_cpu_ms': imports}
    print(json.dumps({**result, 'commands': rows}))


if __name__ == '__main__':
    main()
