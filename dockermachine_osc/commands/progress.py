# SPDX-License-Identifier: Apache-2.0
"""Progress on a terminal: a line for each thing that is being done."""

from __future__ import annotations

import os
import threading
import time
from typing import TextIO

from dockermachine_osc import plaintext

_SIZE = os.terminal_size((80, 24))


class TerminalReporter:
    """Writes notes to stderr, and progress only if that is a terminal.

    What is going on stands in the last lines of the terminal, each in place
    of the one before: one for the command, and one for each machine that it
    works on at that moment.
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._live = stream.isatty() and not quiet
        self._rows: dict[str, tuple[float, str]] = {}
        self._start = time.monotonic()
        self._drawn = 0
        self._lock = threading.Lock()

    def of(self, name: str) -> MachineReporter:
        """Give a reporter for one machine of several."""
        return MachineReporter(self, name)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        if not self._quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Write a line that stays, even with --quiet."""
        with self._lock:
            self._clear()
            print(plaintext.lines(text), file=self._stream, flush=True)
            self._draw()

    def step(self, text: str, name: str = '') -> None:
        """Show what is being done, in place of the step before."""
        if not self._live:
            return
        with self._lock:
            began, _ = self._rows.get(name, (time.monotonic(), ''))
            self._rows[name] = (self._start if name == '' else began, text)
            self._clear()
            self._draw()

    def done(self, name: str = '') -> None:
        """Take the last step off the screen."""
        with self._lock:
            self._rows.pop(name, None)
            self._clear()
            self._draw()

    def _clear(self) -> None:
        if self._live:
            # Carriage return, erase to the end of the line, one line up:
            # ECMA-48, CR, EL, CUU.
            up = '\x1b[A\x1b[K' * (self._drawn - 1)
            self._stream.write('\r\x1b[K' + up)
            self._stream.flush()
            self._drawn = 0

    def _draw(self) -> None:
        rows = self._lines()
        if self._live and rows:
            self._stream.write('\n'.join(rows))
            self._stream.flush()
            self._drawn = len(rows)

    def _lines(self) -> list[str]:
        """Give the rows, no longer and no more than the terminal has room."""
        now, size = time.monotonic(), _size(self._stream)
        width = max(map(len, self._rows), default=0)
        rows = [
            f'{now - began:5.1f}s {(name + " " * width)[:width]}'
            + (' ' if width else '')
            + f'{plaintext.line(text)} ...'
            for name, (began, text) in self._rows.items()
        ]
        return [row[: size.columns - 1] for row in rows[: size.lines - 1]]


class MachineReporter:
    """Says of which machine steps, notes and warnings are."""

    def __init__(self, terminal: TerminalReporter, name: str) -> None:
        self._terminal = terminal
        self._name = name

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self._terminal.note(f'{self._name}: {text}')

    def warn(self, text: str) -> None:
        """Write a line that stays, even with --quiet."""
        self._terminal.warn(f'{self._name}: {text}')

    def step(self, text: str) -> None:
        """Show what is being done to the machine."""
        self._terminal.step(text, self._name)

    def done(self) -> None:
        """Take the machine's line off the screen."""
        self._terminal.done(self._name)


def _size(stream: TextIO) -> os.terminal_size:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _SIZE
    return size if size.columns and size.lines else _SIZE
