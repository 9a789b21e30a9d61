# SPDX-License-Identifier: Apache-2.0
"""Doing one thing to several machines, going on after a failure."""

from __future__ import annotations

import argparse
from typing import ClassVar

from osc_lib import exceptions

from dockermachine_osc.commands import base, options
from dockermachine_osc.errors import MachineError


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
        return parser

    def for_each(self, parsed_args: argparse.Namespace) -> None:
        """Do it to each.

        :raises CommandError: when it is done, if it failed for any.
        """
        names = list(dict.fromkeys(parsed_args.machines))
        failed = sum(not self._succeeds(n, parsed_args) for n in names)
        if failed:
            raise exceptions.CommandError(
                f'{failed} of {len(names)} machines failed to {self.verb}.'
            )

    def one(self, name: str, parsed_args: argparse.Namespace) -> str:
        """Do it to one machine; give a note, '' if nothing is to be said."""
        raise NotImplementedError

    def _succeeds(self, name: str, parsed_args: argparse.Namespace) -> bool:
        reporter = self.reporter
        try:
            reporter.step(f'{self.verb.capitalize()} {name}')
            note = self.one(name, parsed_args)
        except MachineError as error:
            reporter.warn(f"Failed to {self.verb} machine '{name}': {error}")
            return False
        finally:
            reporter.done()
        if note:
            reporter.note(note)
        return True


class ForEach(Several, base.Command):
    """Base of the commands that take several machines and print nothing."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Do it to each."""
        self.for_each(parsed_args)
