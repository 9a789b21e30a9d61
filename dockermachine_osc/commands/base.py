# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the client, the terminal, and the errors."""

from __future__ import annotations

import argparse
import atexit
import functools
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from osc_lib import exceptions
from osc_lib.command import command

from dockermachine_osc.commands.progress import TerminalReporter
from dockermachine_osc.errors import MachineError

if TYPE_CHECKING:
    from dockermachine_osc.machines import Machines


@functools.cache
def _leave_at_once() -> None:
    """Have Python look for no garbage when the process ends.

    It would look at each of the million objects that OSC has imported, which
    takes longer than most of our commands.
    """
    atexit.register(gc.freeze)


class InWords:
    """Turns this package's errors into osc-lib's: the one place for it."""

    def get_epilog(self) -> str:
        """Say whose command this is, in the words of cliff.

        To find that out, it would read what is known of each distribution
        that is installed, which takes as long as it takes to ask a cloud.
        """
        return 'This command is provided by the dockermachine-osc plugin.'

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, as cliff calls it."""
        _leave_at_once()
        try:
            return super().run(parsed_args)  # type: ignore[misc,no-any-return]
        except MachineError as error:
            raise exceptions.CommandError(str(error)) from error


class FailsAtTheEnd:
    """Lets a command print what has come of it before it fails.

    :ivar failure: to be set by the command.
    """

    failure: exceptions.CommandError | None = None

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, print, and raise the failure if there is one."""
        status: int = super().run(parsed_args)  # type: ignore[misc]
        if self.failure:
            raise self.failure
        return status


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
