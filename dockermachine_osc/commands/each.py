# SPDX-License-Identifier: Apache-2.0
"""Doing one thing to several machines, going on after a failure."""

from __future__ import annotations

import argparse
import functools
from typing import TYPE_CHECKING, ClassVar

from osc_lib import exceptions

from dockermachine_osc import sidebyside
from dockermachine_osc.commands import arguments, base, options
from dockermachine_osc.errors import MachineError

if TYPE_CHECKING:
    from dockermachine_osc.commands.progress import TerminalReporter
    from dockermachine_osc.report import Reporter


class Several(base.OnMachines):
    """Part of the commands that take several machines.

    A failure of one is told and does not stop the others; the command then
    ends with exit code 1.
    """

    #: Completes 'Failed to ... machine' and 'machines failed to ...'.
    verb: ClassVar[str]
    #: Seconds, if the command can wait.
    timeout: ClassVar[float] = 300.0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(  # type: ignore[misc]
            prog_name
        )
        parser.add_argument(
            'machines',
            metavar='<machine>',
            nargs='+',
            help=f'Machine(s) to {self.verb} (name or ID)',
        )
        parser.add_argument(
            '--timeout',
            metavar='<seconds>',
            type=options.seconds,
            default=self.timeout,
            help=f'Time for each machine (default: {self.timeout:g})',
        )
        arguments.add_parallel(parser)
        return parser

    def for_each(self, parsed_args: argparse.Namespace) -> None:
        """Do it to each.

        :raises CommandError: when it is done, if it failed for any.
        """
        names = list(dict.fromkeys(parsed_args.machines))
        reporter = self.reporter
        # As one machine is all there is, nothing need say which it is.
        alone = len(names) == 1
        jobs = {
            name: functools.partial(
                self._succeeds, name, parsed_args, reporter, alone=alone
            )
            for name in names
        }
        done = sidebyside.run(jobs, parsed_args.parallel)
        failed = sum(not ok for ok in done.values())
        if failed:
            raise exceptions.CommandError(
                f'{failed} of {len(names)} machines failed to {self.verb}.'
            )

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Do it to one machine; give a note, '' if nothing is to be said."""
        raise NotImplementedError

    def _succeeds(
        self,
        name: str,
        parsed_args: argparse.Namespace,
        terminal: TerminalReporter,
        *,
        alone: bool,
    ) -> bool:
        reporter = terminal if alone else terminal.of(name)
        try:
            reporter.step(f'{self.verb.capitalize()} {name}')
            note = self.one(name, parsed_args, reporter)
        except MachineError as error:
            terminal.warn(f"Failed to {self.verb} machine '{name}': {error}")
            return False
        finally:
            reporter.done()
        if note:
            terminal.note(note)
        return True


class ForEach(Several, base.Command):
    """Base of the commands that take several machines and print nothing."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Do it to each."""
        self.for_each(parsed_args)
