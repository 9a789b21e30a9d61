# SPDX-License-Identifier: Apache-2.0
"""The figures as text, and as tables of the documentation."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from tests.benchmarks.measure import Figure, Group

ROOT = pathlib.Path(__file__).resolve().parents[2]
_PACKAGES = ('python-openstackclient', 'openstacksdk', 'cliff', 'paramiko')
#: Decimals of a figure, by its unit.
_DIGITS = {'s': 2, 'ms': 1, 'MiB': 0, 'x': 2, '': 0}


def facts() -> dict[str, Any]:
    """Tell what it was measured on."""
    commit = subprocess.run(
        ['git', '-C', str(ROOT), 'describe', '--always', '--dirty'],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        'date': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
        'commit': commit.stdout.strip() or None,
        'cores': os.cpu_count(),
        'memory_mib': os.sysconf('SC_PAGE_SIZE')
        * os.sysconf('SC_PHYS_PAGES')
        // 2**20,
        'kernel': platform.release(),
        'python': platform.python_version(),
        'packages': {name: metadata.version(name) for name in _PACKAGES},
        'load_at_start': round(os.getloadavg()[0], 2),
        'command': ' '.join(sys.argv[1:]),
    }


def text(results: Mapping[str, Any]) -> str:
    """Give all as plain text."""
    return '\n'.join(_lines(results)) + '\n'


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    yield conditions(results['facts'])
    for part, groups in results['parts'].items():
        for group in map(Group.from_json, groups):
            yield ''
            yield f'{part}: {group.title}'
            for figure in group.figures:
                yield '  ' + _line(figure)
            for note in group.notes:
                yield f'  {note}'


def _line(figure: Figure) -> str:
    middle, spread = _numbers(figure)
    return f'{figure.name:62} {middle:>9} {figure.unit:4} ({spread})'


def _numbers(figure: Figure) -> tuple[str, str]:
    """Give the median, and the spread."""
    digits = _DIGITS[figure.unit]
    low, high = min(figure.samples), max(figure.samples)
    return (
        f'{figure.median:.{digits}f}',
        f'{low:.{digits}f} to {high:.{digits}f}, n={len(figure.samples)}',
    )


def conditions(known: Mapping[str, Any]) -> str:
    """Say on what it was measured."""
    packages = ', '.join(f'{k} {v}' for k, v in known['packages'].items())
    return (
        f'Measured {known["date"]} at commit {known["commit"]}: '
        f'{known["cores"]} cores, {known["memory_mib"]} MiB of memory, Linux '
        f'{known["kernel"]}, Python {known["python"]}, {packages}; load at '
        f'the start {known["load_at_start"]}. Medians, and (lowest to '
        'highest, n=how many).'
    )


# ------------------------------------------------------------------- pages


def write_pages(results: Mapping[str, Any], folder: pathlib.Path) -> None:
    """Write a file to include for each part that was measured."""
    folder.mkdir(exist_ok=True)
    for part, groups in results['parts'].items():
        lines = ['.. Written by tests/bench --page', '']
        lines += _paragraph(conditions(results['facts']))
        for group in map(Group.from_json, groups):
            lines += _table(group)
        (folder / f'{part}.inc').write_text('\n'.join(lines) + '\n')


def _paragraph(words: str) -> list[str]:
    return [words, '']


def _table(group: Group) -> list[str]:
    lines = [f'.. list-table:: {_literal(group.title)}', '   :header-rows: 1']
    lines += ['   :widths: 55 15 30', '']
    rows = [('', 'median', 'spread')]
    for figure in group.figures:
        middle, spread = _numbers(figure)
        rows.append((figure.name, f'{middle} {figure.unit}'.strip(), spread))
    for first, *cells in rows:
        lines.append(f'   * - {_literal(first)}'.rstrip())
        lines += [f'     - {cell}' for cell in cells]
    lines.append('')
    for note in group.notes:
        lines += _paragraph(note)
    return lines


def _literal(words: str) -> str:
    """Keep Sphinx from making a dash of the beginning of an option."""
    return f'``{words}``' if words else ''
