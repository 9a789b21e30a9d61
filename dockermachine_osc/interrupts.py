# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM, held back where giving up half-way would lose things.

A cloud carries a request out whether or not somebody still waits for the
answer. Who gives up on one that makes something, and lists at once what there
is to remove, may look before it is there.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let a first Ctrl-C or SIGTERM act only at the end of the block.

    A second one acts at once. Python hands signals to the main thread; in
    others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    came: list[int] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        restore()

    for number in _SIGNALS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield
    finally:
        restore()
        if came:
            signal.raise_signal(came[0])
