# SPDX-License-Identifier: Apache-2.0
"""What this plugin costs other commands of `openstack`.

Two environments are made of the packages of this one, which differ in this
plugin alone (built as a wheel, as users have it), and the same commands are
run in both by turns. On a busy machine the differences drown in noise; what
importing the plugin and all its commands takes within one process, where OSC
is loaded already, is measured beside it and does not.
"""

from __future__ import annotations

import functools
import os
import pathlib
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile

from tests.benchmarks import measure as costs
from tests.benchmarks.measure import FLOOR, OURS, Figure, Group

RUNS = 21
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_DIST = 'dockermachine_osc'
_MAIN = 'from openstackclient.shell import main; raise SystemExit(main())'
_COMMANDS = (
    ('--version',),
    ('server', 'list', '--help'),
    ('complete',),
)
# Prints the CPU milliseconds of what OSC imports of this plugin.
_IMPORTS = """
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
_AIM = 'the plugin may add 20 ms of CPU'


class _Environment:
    """A virtual environment that borrows the packages of this one."""

    def __init__(self, folder: pathlib.Path, wheel: pathlib.Path | None):
        venv.create(folder, symlinks=True)
        self._python = folder / 'bin' / 'python'
        release = f'python{sys.version_info[0]}.{sys.version_info[1]}'
        packages = folder / 'lib' / release / 'site-packages'
        for entry in pathlib.Path(sysconfig.get_path('purelib')).iterdir():
            if _DIST not in entry.name and entry.suffix != '.pth':
                (packages / entry.name).symlink_to(entry)
        if wheel:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(packages)
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(('OS_', 'PYTHON'))
        }
        # Of stevedore: each environment finds its own warm.
        self._env = {**kept, 'XDG_CACHE_HOME': str(folder / 'cache')}

    def run(self, *words: str, program: str = _MAIN) -> costs.Run:
        """Run `openstack`, or another program, once."""
        command = [str(self._python), '-c', program, *words]
        done = costs.run(command, self._env)
        if done.err:
            raise costs.RunFailed(f'openstack {" ".join(words)}: {done.err}')
        return done


def measure(runs: int) -> list[Group]:
    """Measure each command, with and without the plugin."""
    scratch = _ROOT / 'build'
    scratch.mkdir(exist_ok=True)
    # Not below /tmp: stevedore keeps no cache for an interpreter there.
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = pathlib.Path(name)
        wheel = _build(folder)
        without = _Environment(folder / 'without', None)
        plugin = _Environment(folder / 'with', wheel)
        groups = [_compare(without, plugin, c, runs) for c in _COMMANDS]
        imports = [plugin.run(program=_IMPORTS).out for _ in range(runs)]
    within = Group('importing the plugin and all its commands into OSC')
    figures = list(map(float, imports))
    within.others.append(Figure('CPU, within one process', 'ms', figures))
    return [*groups, within]


def _build(folder: pathlib.Path) -> pathlib.Path:
    """Build the wheel of this checkout."""
    command = ['pip', 'wheel', '-q', '--no-deps', '--no-build-isolation']
    command += ['-w', str(folder), str(_ROOT)]
    done = subprocess.run(
        [sys.executable, '-m', *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise costs.RunFailed(f'pip wheel: {done.stdout}{done.stderr}')
    (wheel,) = folder.glob('*.whl')
    return wheel


def _compare(
    without: _Environment,
    plugin: _Environment,
    command: tuple[str, ...],
    runs: int,
) -> Group:
    sides = {
        'without the plugin': functools.partial(without.run, *command),
        'with the plugin': functools.partial(plugin.run, *command),
    }
    costs.by_turns(1, sides)  # bytecode, and stevedore's cache
    found = costs.by_turns(runs, sides)
    group = Group(f'openstack {" ".join(command)}')
    for name, done in found.items():
        whose = OURS if name == 'with the plugin' else FLOOR
        cpu = [run.cpu * 1e3 for run in done]
        wall = [run.wall * 1e3 for run in done]
        group.drawn.append(Figure(f'CPU {name}', 'ms', cpu, whose))
        group.others.append(Figure(f'wall clock {name}', 'ms', wall, whose))
    pairs = zip(*(figure.samples for figure in group.drawn), strict=True)
    added = [b - a for a, b in pairs]
    group.others.append(Figure(f'CPU added: {_AIM}', 'ms', added))
    group.ratios.append(costs.ratio(*group.drawn[::-1]))
    return group
