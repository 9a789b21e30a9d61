# SPDX-License-Identifier: Apache-2.0
"""`env` for a shell prompt, beside an interpreter that does nothing.

Without a network: the stand-in from which the workstation knows its machine
has ended by then. Whoever prints anything else than `openstack docker machine
env` does, byte for byte, fails.
"""

from __future__ import annotations

import functools
import pathlib
import shutil
import sys
import tempfile

from tests.benchmarks import measure as costs
from tests.benchmarks import standins
from tests.benchmarks.measure import FLOOR, OURS, Figure, Group

RUNS = 21
_PLACE = ('127.0.0.1', '2376')
_NAME = 'm00001'
_NOTHING = 'python -c pass'
_OURS = f'docker-machine-osc env {_NAME}'
_WHOLE = f'openstack docker machine env {_NAME}'
_PLUGIN = f'docker machine env {_NAME}'
_DOCKER = 'docker --help'


def measure(runs: int) -> list[Group]:
    """Measure all ways by turns."""
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        with standins.standin(1, *_PLACE) as port:
            client = standins.Client(home, port)
            client.keys(*_PLACE)
            client.openstack('docker machine list')
        said = client.run(*_WHOLE.split()).out
        commands = _commands(client)
        sides = {w: functools.partial(client.run, *c) for w, c in commands}
        costs.by_turns(1, sides)
        found = costs.by_turns(runs, sides)
    for words, done in found.items():
        _check(words, done, said)
    return [_group(found)]


def _commands(client: standins.Client) -> list[tuple[str, list[str]]]:
    found = [(_NOTHING, [sys.executable, '-c', 'pass'])]
    found += [(words, words.split()) for words in (_OURS, _WHOLE)]
    if shutil.which('docker'):
        client.run('docker-machine-osc', 'plugin', 'install')
        found += [(words, words.split()) for words in (_DOCKER, _PLUGIN)]
    return found


def _check(words: str, done: list[costs.Run], said: str) -> None:
    if words in (_NOTHING, _DOCKER):
        return
    for run in done:
        if run.out != said:
            raise costs.RunFailed(f'{words}:\n{run.out}and not\n{said}')


def _group(found: dict[str, list[costs.Run]]) -> Group:
    group = Group('env of a machine, without a network')
    figures: dict[str, Figure] = {}
    for words, done in found.items():
        whose = FLOOR if words in (_NOTHING, _DOCKER) else OURS
        wall, cpu = [r.wall * 1e3 for r in done], [r.cpu * 1e3 for r in done]
        figures[words] = Figure(words, 'ms', wall, whose)
        group.others.append(Figure(f'CPU of {words}', 'ms', cpu, whose))
    # Beside the others it would leave them no length to be told apart by.
    whole = figures.pop(_WHOLE)
    group.drawn += figures.values()
    group.others.insert(0, whole)
    ours, nothing = figures[_OURS], figures[_NOTHING]
    group.ratios.append(costs.ratio(ours, nothing, '<= 2; and <= 60 ms'))
    group.ratios.append(costs.ratio(whole, ours))
    if _PLUGIN not in figures:
        group.notes.append('docker: not on PATH')
    return group
