# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM, held back where giving up half-way would lose things.

A cloud carries a request out whether or not somebody still waits for the
answer. Who gives up on one that makes something, and lists at once what there
is to remove, may look before it is there.

Python has them act between any two steps of the main thread. Between the
taking of a lock and the block that gives it back, the lock is lost, and
threads that need it wait for ever (CPython issue 74174).
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let a first Ctrl-C or SIGTERM act only at the end of the block.

    A second one acts at once. Python hands signals to the main thread; in
    others this does nothing.
    """
    came: list[int] = []

    def note(number: int) -> None:
        came.append(number)
        restore()

    restore = _redirect(note)
    try:
        yield
    finally:
        restore()
        if came:
            signal.raise_signal(came[0])


@contextlib.contextmanager
def awaited(wake: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Let no Ctrl-C or SIGTERM act within the block but when that is asked.

    In other threads than the main thread this does nothing.

    :param wake: is called when one comes, between any two steps.
    :returns: what lets those act that have come, as the end of the block does.
    """
    came: list[int] = []

    def note(number: int) -> None:
        came.append(number)
        wake()

    restore = _redirect(note)

    def act() -> None:
        nonlocal restore
        while came:
            restore()
            try:
                signal.raise_signal(came.pop(0))
            finally:
                # It may have changed what a second one is to do.
                restore = _redirect(note)

    try:
        yield act
    finally:
        restore()
        for number in came:
            signal.raise_signal(number)


def _redirect(tell: Callable[[int], object]) -> Callable[[], None]:
    """Have those that are not ignored told; give what undoes that."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handlers: dict[int, Any] = {n: signal.getsignal(n) for n in _SIGNALS}

    def hear(number: int, frame: FrameType | None) -> None:
        tell(number)

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)

    for number, handler in handlers.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, hear)
    return restore
