# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine delete."""

from __future__ import annotations

import argparse

from osc_lib import exceptions

from dockermachine_osc.commands import base, options
from dockermachine_osc.errors import MachineError


class DeleteMachine(base.Command):
    """Delete machine(s) and everything that was made for them

    The server, its port, its floating IP, the security group with its last
    machine, the local keys and the Docker context are deleted; what existed
    before the machine, such as a floating IP or port that was given to
    create, stays. Returns when all is gone. A machine that is gone already
    is no error, and what a killed create or delete left is finished.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'machines',
            metavar='<machine>',
            nargs='+',
            help='Machine(s) to delete (name or ID)',
        )
        parser.add_argument(
            '--timeout',
            metavar='<seconds>',
            type=options.seconds,
            default=300.0,
            help='Time for each machine to be gone (default: %(default)g)',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete each, going on after a failure."""
        names = list(dict.fromkeys(parsed_args.machines))
        failed = sum(not self._delete(n, parsed_args.timeout) for n in names)
        if failed:
            raise exceptions.CommandError(
                f'{failed} of {len(names)} machines failed to delete.'
            )

    def _delete(self, name: str, timeout: float) -> bool:
        reporter = self.reporter
        try:
            found = self.machines.delete(name, reporter, timeout)
        except MachineError as error:
            reporter.warn(f"Failed to delete machine '{name}': {error}")
            return False
        finally:
            reporter.done()
        if not found:
            reporter.note(f"Machine '{name}' does not exist: nothing to do")
        return True
