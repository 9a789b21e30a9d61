# SPDX-License-Identifier: Apache-2.0
"""A list of 1 to 10,000 machines beside `openstack server list`.

On the same data, by turns, from a stand-in for Keystone and Nova. And a list
that asks the engines, of which some never answer.
"""

from __future__ import annotations

import contextlib
import functools
import json
import pathlib
import sys
import tempfile

from tests.benchmarks import measure as costs
from tests.benchmarks import standins
from tests.benchmarks.measure import OTHER, OURS, Figure, Group
from tests.benchmarks.standins import Client, standin

RUNS = 3
SIZES = (1, 100, 1000, 10_000)
#: The most runs of that many, as each takes a minute of `server list`.
_LARGE, _MOST_RUNS = 10_000, 2
_OURS, _OURS_JSON = 'docker machine list', 'docker machine list -f json'
_THEIRS, _THEIRS_JSON = 'server list', 'server list -f json'
_COMMANDS = (_THEIRS, _OURS, _THEIRS_JSON, _OURS_JSON)
_AIM = '<= 1.5'
_LONG = 'docker machine list --long -f json'
#: Engines that are asked, and how many of them are dead.
_ENGINES, _DEAD = 300, (0, 1, 150)


def measure(runs: int) -> list[Group]:
    """Measure all sizes."""
    groups = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as home, standin(size) as port:
            client = Client(pathlib.Path(home), port)
            client.openstack(_OURS)  # bytecode, stevedore's cache
            most = _MOST_RUNS if size >= _LARGE else runs
            groups.append(_compare(client, size, min(runs, most)))
    return [*groups, _long(min(runs, 3))]


def _compare(client: Client, size: int, runs: int) -> Group:
    found = costs.by_turns(
        runs,
        {w: functools.partial(_listed, client, w, size) for w in _COMMANDS},
    )
    group = Group(f'{size:,} machines' if size > 1 else '1 machine')
    memory = []
    for words, done in found.items():
        whose = OURS if words in (_OURS, _OURS_JSON) else OTHER
        ran = [run for run, _ in done]
        calls = [float(calls) for _, calls in done]
        rss, cpu = [run.rss for run in ran], [run.cpu for run in ran]
        group.drawn.append(Figure(words, 's', [r.wall for r in ran], whose))
        group.others.append(Figure(f'CPU of {words}', 's', cpu, whose))
        memory.append(Figure(f'memory of {words}', 'MiB', rss, whose))
        group.others.append(memory[-1])
        group.others.append(Figure(f'API calls of {words}', '', calls, whose))
    theirs, ours, theirs_json, ours_json = group.drawn
    group.ratios.append(costs.ratio(ours, theirs, _AIM))
    group.ratios.append(costs.ratio(ours_json, theirs_json, _AIM))
    group.ratios.append(costs.ratio(memory[1], memory[0]))
    print(
        f'  {size}: {_THEIRS} {theirs.median:.2f} s, '
        f'{_OURS} {ours.median:.2f} s',
        file=sys.stderr,
    )
    return group


def _listed(client: Client, words: str, size: int) -> tuple[costs.Run, int]:
    """Run it, and see that it lists them all.

    :raises RunFailed: if it does not.
    """
    done, calls = client.openstack(words)
    said = done.out
    if words.endswith('json'):
        rows = len(json.loads(said))
    else:
        # Three rules and the names of the columns are no machines.
        rows = len(said.splitlines()) - 4
    if rows != size:
        raise costs.RunFailed(
            f'{words}: {rows} rows, not {size}\n{said[:500]}'
        )
    return done, calls


# ------------------------------------------------------- asking the engines


def _long(runs: int) -> Group:
    """Measure what dead engines cost."""
    with contextlib.ExitStack() as stack:
        sides = {}
        for count in _DEAD:
            alive, dead, serve = stack.enter_context(standins.engines())
            home = stack.enter_context(tempfile.TemporaryDirectory())
            ports = [dead] * count + [alive] * (_ENGINES - count)
            places = [word for port in ports for word in ('127.0.0.1', port)]
            port = stack.enter_context(standin(_ENGINES, *places))
            client = Client(pathlib.Path(home), port)
            client.keys(*places)
            sides[f'{count} dead'] = functools.partial(client.openstack, _LONG)
            serve(client.store)
        found = costs.by_turns(runs, sides)
    return _asked(found)


def _asked(found: dict[str, list[tuple[costs.Run, int]]]) -> Group:
    group = Group(f'list --long, {_ENGINES} engines, 5 s for all together')
    for words, done in found.items():
        wall = [run.wall for run, _ in done]
        told = [json.loads(run.out) for run, _ in done]
        alive = [sum(m['Answer'] == 'ok' for m in rows) for rows in told]
        rss = [run.rss for run, _ in done]
        group.drawn.append(Figure(words, 's', wall))
        group.others.append(Figure(f'answers with {words}', '', alive))
        group.others.append(Figure(f'memory with {words}', 'MiB', rss))
    _, one, many = group.drawn
    group.ratios.append(costs.ratio(many, one, '1'))
    return group
