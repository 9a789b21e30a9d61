# SPDX-License-Identifier: Apache-2.0
"""Deadlines and polls: nothing here or elsewhere sleeps a fixed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from dockermachine_osc import errors


def sleep(seconds: float) -> None:
    """Let time pass."""
    time.sleep(seconds)


class Deadline:
    """The moment by which the whole of an operation has to be done.

    :param seconds: from now on.
    :param stop: is set when the user gives up.
    """

    def __init__(
        self, seconds: float, stop: threading.Event | None = None
    ) -> None:
        self.seconds = seconds
        self._stop = stop
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.seconds - self.elapsed)

    def within(self, seconds: float) -> Deadline:
        """Give a deadline that is that near, and no later than this one."""
        return Deadline(min(seconds, self.remaining), self._stop)

    def exceeded(self, what: str, hint: str = '') -> errors.DeadlineExceeded:
        """Make the error that says what did not happen in time."""
        return errors.DeadlineExceeded(
            f'{what} within {self.seconds:g} s',
            hint or 'Give it longer with --timeout',
        )

    def check(self) -> None:
        """Raise Interrupted if the user has given up."""
        if self._stop and self._stop.is_set():
            raise errors.Interrupted('Interrupted')

    def polls(
        self,
        first: float = 0.2,
        most: float = 2.0,
        factor: float = 1.25,
        pause: Callable[[float], object] = sleep,
    ) -> Iterator[None]:
        """Yield until the deadline, pausing ever longer in between.

        :param first: seconds of the first pause.
        :param most: seconds that no pause exceeds; a real cloud's API is
            asked at most that often in the long run.
        :param pause: lets so many seconds pass, or less if something tells
            it that the next look is worth while.
        :raises Interrupted: if the user gives up.
        """
        seconds = first
        while True:
            self.check()
            yield
            if not self.remaining:
                return
            pause(min(seconds, self.remaining))
            seconds = min(most, seconds * factor)
