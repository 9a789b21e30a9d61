# SPDX-License-Identifier: Apache-2.0
"""Deadlines and polls: nothing here or elsewhere sleeps a fixed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from dockermachine_osc import errors


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

    def exceeded(self, what: str, hint: str = '') -> errors.DeadlineExceeded:
        """Make the error that says what did not happen in time."""
        return errors.DeadlineExceeded(
            f'{what} within {self.seconds:g} s',
            hint or 'Give it longer with --timeout',
        )

    def polls(
        self, first: float = 0.2, most: float = 2.0, factor: float = 1.25
    ) -> Iterator[None]:
        """Yield until the deadline, pausing ever longer in between.

        :param first: seconds of the first pause.
        :param most: seconds that no pause exceeds; a real cloud's API is
            asked at most that often in the long run.
        :raises Interrupted: if the user gives up.
        """
        pause = first
        while True:
            if self._stop and self._stop.is_set():
                raise errors.Interrupted('Interrupted')
            yield
            if not self.remaining:
                return
            time.sleep(min(pause, self.remaining))
            pause = min(most, pause * factor)
