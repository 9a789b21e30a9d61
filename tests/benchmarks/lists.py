# SPDX-License-Identifier: Apache-2.0
"""A list of 1 to 10,000 machines beside `openstack server list`.

On the same data, by turns, from a stand-in for Keystone and Nova.
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import tempfile

from tests.benchmarks import measure as costs
from tests.benchmarks.measure import OTHER, OURS, Figure, Group
from tests.benchmarks.standins import Client, standin

RUNS = 5
SIZES = (1, 100, 1000, 10_000)
#: The most runs of that many, as each takes a minute of `server list`.
_LARGE, _MOST_RUNS = 10_000, 2
_OURS, _OURS_JSON = 'docker machine list', 'docker machine list -f json'
_THEIRS, _THEIRS_JSON = 'server list', 'server list -f json'
_COMMANDS = (_THEIRS, _OURS, _THEIRS_JSON, _OURS_JSON)
_AIM = '<= 1.5'


def measure(runs: int) -> list[Group]:
    """Measure all sizes."""
    groups = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as home, standin(size) as port:
            client = Client(pathlib.Path(home), port)
            client.openstack(_OURS)  # bytecode, stevedore's cache
            most = _MOST_RUNS if size >= _LARGE else runs
            groups.append(_compare(client, size, min(runs, most)))
    return groups


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
