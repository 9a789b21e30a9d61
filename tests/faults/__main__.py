# SPDX-License-Identifier: Apache-2.0
"""The matrix against the stand-in, or a part of it, as a table."""

from __future__ import annotations

import argparse
import pathlib
import sys

from tests.faults import matrix, report
from tests.faults.faults import FAULTS
from tests.faults.scenes import SCENES


def main() -> int:
    """Print the table, and what is not as promised; tell whether all is."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.faults', description=__doc__
    )
    parser.add_argument('--command', choices=SCENES, action='append')
    parser.add_argument('--fault', choices=FAULTS, action='append')
    parser.add_argument('--call', default='', help='only calls with this text')
    parser.add_argument(
        '--kept',
        type=pathlib.Path,
        help='run nothing; show what a run of the tests has kept here',
    )
    args = parser.parse_args()
    cells = report.kept(args.kept) if args.kept else _run(args)
    print(report.tables(cells))
    bad = [cell for cell in cells if cell.problem]
    for cell in bad:
        print(f'{cell.command}: {cell.call}: {cell.fault}\n{cell.problem}\n')
    return int(bool(bad))


def _run(args: argparse.Namespace) -> list[report.Cell]:
    return [
        stage.cell(call, FAULTS[fault])
        for stage in map(matrix.stage, args.command or SCENES)
        for call in stage.calls
        if args.call in str(call)
        for fault in args.fault or FAULTS
    ]


if __name__ == '__main__':
    sys.exit(main())
