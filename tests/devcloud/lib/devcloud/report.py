# SPDX-License-Identifier: Apache-2.0
"""What the launcher says while it works."""

from __future__ import annotations

import time

_STARTED = time.monotonic()


def say(text: str) -> None:
    """A line with the seconds since the start."""
    print(f'{time.monotonic() - _STARTED:6.1f}s  {text}', flush=True)


def waiting(holder: str) -> None:
    """Another launcher is at it: say so, since it may take minutes."""
    say(f'waiting for another devcloud command ({holder})')
