# SPDX-License-Identifier: Apache-2.0
"""Text of others, made safe for a terminal.

What a cloud, a host or an engine says may hold control characters that move
the cursor or write to the clipboard (ECMA-48), characters that turn the order
of others around (Unicode Standard Annex 9), and halves of characters, which
cannot be printed at all.
"""

from __future__ import annotations

import re

_BIDIRECTIONAL = '\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069'
_HALVES = '\ud800-\udfff'
_STEERING = re.compile(f'[\x00-\x1f\x7f-\x9f{_BIDIRECTIONAL}{_HALVES}]+')
_BUT_LINE_ENDS = re.compile(
    f'[\x00-\x09\x0b-\x1f\x7f-\x9f{_BIDIRECTIONAL}{_HALVES}]+'
)


def line(text: str) -> str:
    """Give a text on one line, each run of what steers as a space."""
    return _STEERING.sub(' ', text).strip()


def lines(text: str) -> str:
    """Give a text with its line ends, and nothing else that steers."""
    return _BUT_LINE_ENDS.sub(' ', text)
