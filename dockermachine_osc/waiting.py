# SPDX-License-Identifier: Apache-2.0
"""Deadlines and polls: nothing here or elsewhere sleeps a fixed time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from dockermachine_osc import errors


class Deadline:
    """The moment by which the whole of an operation has to be done.

    :param seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def moment(self) -> float:
        """When it is over, by time.monotonic()."""
        return self._start + self.seconds

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
        """
        pause = first
        while True:
            yield
            if not self.remaining:
                return
            time.sleep(min(pause, self.remaining))
            pause = min(most, pause * factor)
