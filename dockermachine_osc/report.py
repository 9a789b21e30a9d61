# SPDX-License-Identifier: Apache-2.0
"""What the library tells while it works; how that looks is not its affair."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from dockermachine_osc import errors


class Reporter(Protocol):
    """Takes what happens, as it happens."""

    def note(self, text: str) -> None:
        """Take something that the user should be able to read afterwards."""

    def warn(self, text: str) -> None:
        """Take something that the user should not overlook."""

    def step(self, text: str) -> None:
        """Take what is being done now; it replaces the step before."""

    def done(self) -> None:
        """Take that nothing more is being done."""


class Silence:
    """A reporter that keeps everything to itself."""

    def note(self, text: str) -> None:
        """Take a note."""

    def warn(self, text: str) -> None:
        """Take a warning."""

    def step(self, text: str) -> None:
        """Take a step."""

    def done(self) -> None:
        """Take the end."""


class Named:
    """Says of which machine notes and warnings are."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self._reporter = reporter
        self._name = name
        self.step = reporter.step
        self.done = reporter.done

    def note(self, text: str) -> None:
        """Pass a note on."""
        self._reporter.note(f'{self._name}: {text}')

    def warn(self, text: str) -> None:
        """Pass a warning on."""
        self._reporter.warn(f'{self._name}: {text}')


class Stoppable:
    """Lets no further step begin once the user has given up.

    :param stop: is set when that happens.
    """

    def __init__(self, reporter: Reporter, stop: threading.Event) -> None:
        self._reporter = reporter
        self._stop = stop
        self.note = reporter.note
        self.warn = reporter.warn
        self.done = reporter.done

    def step(self, text: str) -> None:
        """Pass a step on.

        :raises Interrupted: instead.
        """
        if self._stop.is_set():
            raise errors.Interrupted('Interrupted')
        self._reporter.step(text)


class Steps:
    """Passes steps on, and remembers the last one for the error message."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._start = time.monotonic()
        self.current = ''

    @property
    def elapsed(self) -> float:
        """Seconds since the first step could begin."""
        return time.monotonic() - self._start

    @property
    def where(self) -> str:
        """The step that was begun last, and how long it all took."""
        return f"'{self.current}' after {self.elapsed:.0f} s"

    def begin(self, text: str) -> None:
        """Begin the next step."""
        self.current = text
        self._reporter.step(text)

    def note(self, text: str) -> None:
        """Pass a note on."""
        self._reporter.note(text)

    def warn(self, text: str) -> None:
        """Pass a warning on."""
        self._reporter.warn(text)
