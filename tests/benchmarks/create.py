# SPDX-License-Identifier: Apache-2.0
"""How long create takes, step by step, and what it costs the cloud.

Each turn has the floor (floor.py: the same server and engine, without a tool)
and `openstack docker machine create` on the same image, so that whatever else
the machine does falls on both; every other turn the other way round, and each
when the machine has come to rest. Then `docker-machine create`, if it is on
PATH.
Needs a devcloud that nobody else uses.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile
from typing import Any

from tests.benchmarks import docker_machine, machines
from tests.benchmarks import measure as costs
from tests.benchmarks.measure import FLOOR, OTHER, Figure, Group

RUNS = 7
IMAGES = ('debian-12', 'debian-12-docker')
_AIMS = {'debian-12': '<= 1.10', 'debian-12-docker': '<= 1.15'}
_COUNTS = ('API calls besides polls', 'polls', 'SSH logins', 'engine starts')
_COMMANDS = ('list', 'list --long', 'env', 'show')
_FOR_COMPARISON = 'openstack server list'
_Turn = dict[str, Any]


def measure(runs: int) -> list[Group]:
    """Measure creates on each image, and the commands of a machine."""
    turns: dict[str, list[_Turn]] = {image: [] for image in IMAGES}
    with tempfile.TemporaryDirectory() as home:
        bench = machines.Bench(pathlib.Path(home))
        theirs = docker_machine.find(bench)
        bench.openstack('server', 'list')  # bytecode, stevedore's cache
        for number in range(runs):
            for image in IMAGES:
                turn = _turn(bench, theirs, image, number % 2 == 1)
                turns[image].append(turn)
                print(
                    f'  {number + 1}. {image}: floor {turn["floor"]:.1f} s, '
                    f'create {turn["total"]:.1f} s, load '
                    f'{os.getloadavg()[0]:.1f}',
                    file=sys.stderr,
                )
    groups = [_group(image, turns[image]) for image in IMAGES]
    return [*groups, _commands([t for all_ in turns.values() for t in all_])]


def _turn(
    bench: machines.Bench,
    theirs: docker_machine.DockerMachine | None,
    image: str,
    floor_last: bool,
) -> _Turn:
    turn: _Turn = {}
    if not floor_last:
        turn['floor'] = _floor(bench, image)
    turn |= _ours(bench, image)
    if floor_last:
        turn['floor'] = _floor(bench, image)
    if theirs and image == docker_machine.IMAGE:
        costs.settle()
        turn['theirs'] = theirs.turn()
        turn['commands'] |= turn['theirs'].pop('commands')
    return turn


def _floor(bench: machines.Bench, image: str) -> float:
    costs.settle()
    return bench.floor(image)


def _ours(bench: machines.Bench, image: str) -> _Turn:
    costs.settle()
    name, turn = bench.create(image)
    try:
        turn['commands'] = {
            f'openstack docker machine {words}': bench.openstack(
                'docker', 'machine', *_words(words, name)
            )
            for words in _COMMANDS
        }
        turn['commands'][_FOR_COMPARISON] = bench.openstack('server', 'list')
    finally:
        turn['delete'] = bench.openstack('docker', 'machine', 'delete', name)
    return turn


def _words(words: str, name: str) -> list[str]:
    named = [] if words.startswith('list') else [name]
    return [*words.split(), *named]


def _group(image: str, turns: list[_Turn]) -> Group:
    group = Group(f'create on {image}')
    floor = Figure('the floor', 's', [t['floor'] for t in turns], FLOOR)
    ours = Figure('create', 's', [t['total'] for t in turns])
    group.drawn += [floor, ours]
    group.ratios.append(costs.ratio(ours, floor, _AIMS[image]))
    steps = dict.fromkeys(step for turn in turns for step in turn['steps'])
    for step in steps:
        seconds = [turn['steps'].get(step, 0.0) for turn in turns]
        group.others.append(Figure(f'create: {step}', 's', seconds))
    deletes = [turn['delete'].wall for turn in turns]
    group.others.append(Figure('delete', 's', deletes))
    for count in _COUNTS:
        group.others.append(Figure(count, '', [t[count] for t in turns]))
    if 'theirs' not in turns[0]:
        group.notes.append(docker_machine.absent(image))
        return group
    theirs = [turn['theirs']['total'] for turn in turns]
    figure = Figure('docker-machine create', 's', theirs, OTHER)
    group.drawn.append(figure)
    group.ratios.append(costs.ratio(ours, figure))
    return group


def _commands(turns: list[_Turn]) -> Group:
    group = Group('commands of one machine')
    names = dict.fromkeys(name for t in turns for name in t['commands'])
    for name in names:
        done = [t['commands'][name] for t in turns if name in t['commands']]
        ours = name.startswith('openstack docker')
        whose = costs.OURS if ours else OTHER
        wall, cpu = [run.wall for run in done], [run.cpu for run in done]
        group.drawn.append(Figure(name, 's', wall, whose))
        group.others.append(Figure(f'CPU of {name}', 's', cpu, whose))
    if not any('theirs' in turn for turn in turns):
        group.notes.append(docker_machine.absent(docker_machine.IMAGE))
    return group
