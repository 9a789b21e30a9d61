# SPDX-License-Identifier: Apache-2.0
"""The matrix as a table: call x fault -> outcome."""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
from collections.abc import Iterable

from tests.faults.calls import Call
from tests.faults.faults import FAULTS

_LEGEND = """\
ready        it said so, and so it is
failed       it said why; nothing was left
interrupted  by the signal; nothing was left
killed       by the signal; nothing was left
...+         something was left, and the run did not claim otherwise: one
             delete or prune from another workstation removed it
...!         not as promised: see the failed test
"""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One field of the matrix.

    :param word: what the run claimed to have come to.
    :param left: whether it left something to be removed later.
    :param problem: what is wrong with that, '' if it is as promised.
    """

    command: str
    call: Call
    fault: str
    word: str
    left: bool = False
    problem: str = ''

    @property
    def outcome(self) -> str:
        """What stands in the table."""
        return self.word + '+' * self.left + '!' * bool(self.problem)


def keep(cells: Iterable[Cell], folder: pathlib.Path, name: str) -> None:
    """Write cells down, for :func:`kept`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([dataclasses.asdict(cell) for cell in cells])
    (folder / f'{name}.json').write_text(text)


def kept(folder: pathlib.Path) -> list[Cell]:
    """Read all cells that were written down."""
    found = [json.loads(p.read_text()) for p in sorted(folder.glob('*.json'))]
    return [
        Cell(**{**fields, 'call': Call(*fields['call'])})
        for cells in found
        for fields in cells
    ]


def tables(cells: Iterable[Cell]) -> str:
    """Give a table for each command, and the sum of it all."""
    cells = list(cells)
    by_command: dict[str, list[Cell]] = {}
    for cell in cells:
        by_command.setdefault(cell.command, []).append(cell)
    parts = [_table(command, rows) for command, rows in by_command.items()]
    counted = collections.Counter(cell.outcome for cell in cells)
    sums = ', '.join(f'{n} {word}' for word, n in counted.most_common())
    return '\n'.join([*parts, f'{len(cells)} in all: {sums}\n', _LEGEND])


def _table(command: str, cells: list[Cell]) -> str:
    outcomes = {(cell.call, cell.fault): cell.outcome for cell in cells}
    columns = [f for f in FAULTS if any(cell.fault == f for cell in cells)]
    rows = [
        [str(call), *(outcomes.get((call, f), '') for f in columns)]
        for call in dict.fromkeys(cell.call for cell in cells)
    ]
    table = [[command, *columns], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        ' | '.join(t.ljust(w) for t, w in zip(row, widths, strict=True))
        for row in table
    ]
    lines.insert(1, '-|-'.join('-' * width for width in widths))
    return ''.join(f'{line.rstrip()}\n' for line in lines)
