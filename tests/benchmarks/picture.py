# SPDX-License-Identifier: Apache-2.0
"""The figures as a picture: SVG, written by hand.

A panel a group, a bar a figure: its length is the median, the thin line goes
from the lowest to the highest sample. It has a background of its own, so it
can be read on a page of any colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax import saxutils

from tests.benchmarks.measure import Figure, Group

_WIDTH, _MARGIN = 860, 20
_LABELS, _NUMBERS = 330, 120
_TITLE, _ROW, _BAR = 34, 24, 14
_LEGEND = {
    'ours': 'this package',
    'floor': 'the floor: without a tool',
    'other': 'another program',
}
_STYLE = """\
svg { font: 13px sans-serif; }
.paper { fill: #ffffff; } text { fill: #1a1a1a; } .title { font-weight: bold; }
.ours { fill: #1f6fb5; } .floor { fill: #8a8f98; } .other { fill: #c47a1c; }
.spread { stroke: #1a1a1a; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #16181d; } text { fill: #e8e8e8; }
  .ours { fill: #5aa9e6; } .floor { fill: #7b828c; } .other { fill: #e0a050; }
  .spread { stroke: #e8e8e8; }
}
"""


def draw(results: Mapping[str, Any]) -> str:
    """Give the picture of all that is to be drawn."""
    panels = [
        (f'{part}: {group.title}', group.drawn)
        for part, groups in results['parts'].items()
        for group in map(Group.from_json, groups)
        if group.drawn
    ]
    lines, y = list(_legend()), _MARGIN + _TITLE
    for title, figures in panels:
        lines += _panel(title, figures, y)
        y += _TITLE + _ROW * len(figures)
    height = y + _MARGIN
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}">'
    )
    return '\n'.join(
        [
            head,
            '<title>Benchmarks of openstack docker machine</title>',
            f'<style>{_STYLE}</style>',
            f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
            *lines,
            '</svg>\n',
        ]
    )


def _legend() -> Iterator[str]:
    x = _MARGIN
    for whose, words in _LEGEND.items():
        yield _box(whose, x, _MARGIN, _BAR)
        yield _text(words, x + _BAR + 6, _MARGIN + 12)
        x += 210
    y = _MARGIN + _BAR / 2
    yield f'<line class="spread" x1="{x}" x2="{x + 24}" y1="{y}" y2="{y}"/>'
    yield _text('lowest to highest', x + 30, _MARGIN + 12)


def _panel(title: str, figures: list[Figure], y: int) -> Iterator[str]:
    room = _WIDTH - 2 * _MARGIN - _LABELS - _NUMBERS
    longest = max(max(figure.samples) for figure in figures)
    scale = room / longest if longest else 0
    unit = {'s': 'seconds', 'ms': 'milliseconds'}.get(
        figures[0].unit, figures[0].unit
    )
    yield _text(f'{title}, {unit}', _MARGIN, y + 20, 'title')
    left = _MARGIN + _LABELS
    for number, figure in enumerate(figures):
        top = y + _TITLE + number * _ROW - 6
        middle = top + _BAR / 2
        yield _text(figure.name, left - 8, top + 11, anchor='end')
        yield _box(figure.whose, left, top, figure.median * scale)
        low, high = min(figure.samples), max(figure.samples)
        yield (
            f'<line class="spread" x1="{left + low * scale:.1f}" '
            f'x2="{left + high * scale:.1f}" y1="{middle}" y2="{middle}"/>'
        )
        digits = 3 if figure.median < 1 else 2 if figure.median < 10 else 1
        words = f'{figure.median:.{digits}f} {figure.unit}'
        yield _text(words, _WIDTH - _MARGIN, top + 11, anchor='end')


def _box(whose: str, x: float, y: float, width: float) -> str:
    return (
        f'<rect class="{whose}" x="{x}" y="{y}" width="{width:.1f}" '
        f'height="{_BAR}" rx="2"/>'
    )


def _text(
    words: str, x: float, y: float, kind: str = '', anchor: str = 'start'
) -> str:
    kind = f' class="{kind}"' if kind else ''
    return (
        f'<text{kind} x="{x}" y="{y}" text-anchor="{anchor}">'
        f'{saxutils.escape(words)}</text>'
    )
