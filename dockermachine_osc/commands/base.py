# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the client, the terminal, and the errors."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from osc_lib import exceptions
from osc_lib.command import command

from dockermachine_osc import plaintext
from dockermachine_osc.errors import MachineError

if TYPE_CHECKING:
    from dockermachine_osc.machines import Machines


class InWords:
    """Turns this package's errors into osc-lib's: the one place for it."""

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, as cliff calls it."""
        try:
            return super().run(parsed_args)  # type: ignore[misc,no-any-return]
        except MachineError as error:
            raise exceptions.CommandError(str(error)) from error


class OnMachines:
    """Gives a command the machines, and the terminal to report to."""

    app: Any

    @property
    def machines(self) -> Machines:
        """The machines of the project that is logged in to."""
        client: Machines = self.app.client_manager.docker_machine
        return client

    @property
    def reporter(self) -> TerminalReporter:
        """Where progress goes."""
        quiet = self.app.options.verbose_level == 0
        return TerminalReporter(sys.stderr, quiet=quiet)


class Command(InWords, OnMachines, command.Command):
    """Base of the commands that print nothing, or on their own."""


class Lister(InWords, OnMachines, command.Lister):
    """Base of the commands that print a table."""


class ShowOne(InWords, OnMachines, command.ShowOne):
    """Base of the commands that print the fields of one machine."""


class TerminalReporter:
    """Writes notes to stderr, and progress only if that is a terminal."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._live = stream.isatty() and not quiet
        self._start = time.monotonic()

    def note(self, text: str) -> None:
        """Write a line that stays."""
        if not self._quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """Write a line that stays, even with --quiet."""
        self._print(text)

    def step(self, text: str) -> None:
        """Show what is being done, in place of the step before."""
        if self._live:
            self._clear()
            seconds = time.monotonic() - self._start
            safe = plaintext.line(text)
            self._stream.write(f'{seconds:5.1f}s {safe} ...')
            self._stream.flush()

    def done(self) -> None:
        """Take the last step off the screen."""
        self._clear()

    def _print(self, text: str) -> None:
        self._clear()
        print(plaintext.lines(text), file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._live:
            # Carriage return, erase to the end of the line: ECMA-48, EL.
            self._stream.write('\r\x1b[K')
            self._stream.flush()


@contextmanager
def interrupts_left_to_child() -> Iterator[None]:
    """Leave Ctrl-C to the program that we run, which gets it too.

    A handler, and not SIG_IGN: what is ignored stays so in the program.
    """
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, so that it cleans up."""

    def end(number: int, frame: FrameType | None) -> None:
        # A second one must not stop the cleaning up.
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
