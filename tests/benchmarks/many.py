# SPDX-License-Identifier: Apache-2.0
"""Eight machines at once beside one, by turns, with Docker in the image.

And beside the floor of eight: on a devcloud the guests boot on the cores that
all the rest runs on, so that eight take what eight boots take. So the same is
measured where the guests boot elsewhere (elsewhere.py). Needs a devcloud that
nobody else uses.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile

from tests.benchmarks import machines, standins
from tests.benchmarks import measure as costs
from tests.benchmarks.measure import FLOOR, OURS, Figure, Group

RUNS = 3
_COUNT = 8
_IMAGE = 'debian-12-docker'
_AIM = '<= 2.5'
#: Seconds of a boot elsewhere: as long as one alone takes on a devcloud.
_BOOT = 4.0


def measure(runs: int) -> list[Group]:
    """Measure both, and the deletes."""
    with tempfile.TemporaryDirectory() as home:
        bench = machines.Bench(pathlib.Path(home))
        bench.openstack('server', 'list')  # bytecode, stevedore's cache
        sides = {
            'one machine': lambda: _turn(bench, 1),
            f'{_COUNT} machines': lambda: _turn(bench, _COUNT),
            f'the floor of {_COUNT}': lambda: _floor(bench),
        }
        found = costs.by_turns(runs, sides)
    group = Group(f'create --count {_COUNT} on {_IMAGE}')
    for name, turns in found.items():
        whose = FLOOR if name.startswith('the floor') else OURS
        seconds = [made for made, _, _ in turns]
        group.drawn.append(Figure(name, 's', seconds, whose))
        loads = [load for _, _, load in turns]
        group.others.append(Figure(f'load after {name}', '', loads))
        deletes = [removed for _, removed, _ in turns if removed]
        if deletes:
            group.others.append(Figure(f'delete of {name}', 's', deletes))
    one, many, floor = group.drawn
    group.ratios.append(costs.ratio(many, one, _AIM))
    group.ratios.append(costs.ratio(many, floor))
    return [group, _elsewhere(runs)]


def _elsewhere(runs: int) -> Group:
    """Measure both where the guests boot on other computers."""
    with (
        tempfile.TemporaryDirectory() as home,
        standins.elsewhere(_BOOT) as (port, path),
    ):
        client = standins.Client(pathlib.Path(home), port, path)
        client.run('openstack', 'server', 'list')  # bytecode
        sides = {
            'one machine': lambda: _made(client, 1),
            f'{_COUNT} machines': lambda: _made(client, _COUNT),
        }
        found = costs.by_turns(runs, sides)
    group = Group(
        f'create --count {_COUNT}, guests that boot elsewhere in {_BOOT:g} s'
    )
    for name, done in found.items():
        group.drawn.append(Figure(name, 's', [run.wall for run in done]))
        cpu = [run.cpu for run in done]
        group.others.append(Figure(f'CPU of openstack, {name}', 's', cpu))
    one, many = group.drawn
    group.ratios.append(costs.ratio(many, one, _AIM))
    return group


def _made(client: standins.Client, count: int) -> costs.Run:
    """Create machines, and delete them again."""
    name = machines.new_name()
    names = [name] if count == 1 else _numbered(name, count)
    several = ['--count', str(count)] if count > 1 else []
    machine = ('openstack', 'docker', 'machine')
    port = str(standins.SSH_PORT)
    done = client.run(*machine, 'create', name, *several, '--ssh-port', port)
    client.run(*machine, 'delete', *names)
    return done


def _floor(bench: machines.Bench) -> tuple[float, float, float]:
    costs.settle()
    made = bench.floor(_IMAGE, _COUNT)
    return made, 0.0, os.getloadavg()[0]


def _turn(bench: machines.Bench, count: int) -> tuple[float, float, float]:
    """Give the seconds of create and delete, and the load between them."""
    name = machines.new_name()
    names = [name] if count == 1 else _numbered(name, count)
    words = ['create', name, '--image', _IMAGE]
    if count > 1:
        words += ['--count', str(count)]
    costs.settle()
    try:
        made = bench.openstack('docker', 'machine', *words).wall
        load = os.getloadavg()[0]
    except costs.RunFailed:
        bench.openstack('docker', 'machine', 'delete', *names)
        raise
    removed = bench.openstack('docker', 'machine', 'delete', *names).wall
    print(f'  {count} of them: {made:.1f} s, load {load:.1f}', file=sys.stderr)
    return made, removed, load


def _numbered(name: str, count: int) -> list[str]:
    return [f'{name}-{number + 1}' for number in range(count)]
