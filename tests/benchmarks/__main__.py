# SPDX-License-Identifier: Apache-2.0
"""Measure, and write figures and picture: see tests/bench."""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from tests.benchmarks import picture, report
from tests.benchmarks.measure import RunFailed

#: Each a module; those that need no cloud, and so no large library in this
#: process, come first: see measure.Run.rss.
PARTS = {
    'env': 'env beside an interpreter that does nothing',
    'lists': '1 to 10,000 machines beside `openstack server list`',
    'load': 'what the plugin costs other commands of `openstack`',
    'create': 'a machine beside the floor (on a devcloud)',
    'many': 'eight machines at once beside one (on a devcloud)',
}
_PAGES = report.ROOT / 'doc' / 'source' / 'contributor' / 'benchmarks'


def main() -> None:
    """Do what the command line says."""
    arguments = _parser().parse_args()
    folder = arguments.output
    if not arguments.page_only:
        folder.mkdir(parents=True, exist_ok=True)
        chosen = [p for p in PARTS if p in (arguments.parts or PARTS)]
        _measure(chosen, arguments.runs, folder)
    if arguments.page or arguments.page_only:
        _write_page(json.loads((folder / 'results.json').read_text()))


def _parser() -> argparse.ArgumentParser:
    listed = '\n'.join(f'  {name:8} {what}' for name, what in PARTS.items())
    parser = argparse.ArgumentParser(
        prog='tests/bench',
        description='Measures what is said to be fast. What is compared runs '
        'by turns.\n\nParts (default: all):\n' + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('parts', nargs='*', type=_part, metavar='PART')
    parser.add_argument(
        '--runs',
        type=_number,
        metavar='N',
        help='of each (default: as many as the part needs)',
    )
    parser.add_argument(
        '--output',
        type=pathlib.Path,
        metavar='FOLDER',
        default=report.ROOT / '.tests' / 'bench',
        help='where results.json, results.txt and picture.svg go '
        '(default: .tests/bench)',
    )
    parser.add_argument(
        '--page',
        action='store_true',
        help='write tables and picture into the documentation, too',
    )
    parser.add_argument(
        '--page-only',
        action='store_true',
        help='measure nothing, take the results that are in the folder',
    )
    return parser


def _part(words: str) -> str:
    if words not in PARTS:
        raise argparse.ArgumentTypeError(f'{words}: no part')
    return words


def _number(words: str) -> int:
    number = int(words)
    if number < 1:
        raise argparse.ArgumentTypeError('not a number from 1 on')
    return number


def _measure(parts: list[str], runs: int | None, folder: pathlib.Path) -> None:
    """Measure, and write down after each part what there is so far."""
    results: dict[str, Any] = {'facts': report.facts(), 'parts': {}}
    for part in parts:
        print(f'{part}: {PARTS[part]}', file=sys.stderr)
        module = importlib.import_module(f'tests.benchmarks.{part}')
        try:
            groups = module.measure(runs or module.RUNS)
        except RunFailed as error:
            sys.exit(f'{part}: {error}')
        except KeyboardInterrupt:
            sys.exit(f'{part}: interrupted')
        results['parts'][part] = [group.to_json() for group in groups]
        _write(results, folder)
    print((folder / 'results.txt').read_text(), end='')
    print(f'\nresults.json, results.txt, picture.svg: {folder}')


def _write(results: Mapping[str, Any], folder: pathlib.Path) -> None:
    (folder / 'results.json').write_text(json.dumps(results, indent=1))
    (folder / 'results.txt').write_text(report.text(results))
    (folder / 'picture.svg').write_text(picture.draw(results))


def _write_page(results: Mapping[str, Any]) -> None:
    report.write_pages(results, _PAGES)
    (_PAGES / 'picture.svg').write_text(picture.draw(results))


if __name__ == '__main__':
    main()
