# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine delete."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dockermachine_osc.commands import each

if TYPE_CHECKING:
    from dockermachine_osc.report import Reporter


class DeleteMachine(each.ForEach):
    """Delete machine(s) and everything that was made for them

    The server, its port, its floating IP, the security group with its last
    machine, the local keys and the Docker context are deleted; what existed
    before the machine, such as a floating IP or port that was given to
    create, stays. Returns when all is gone. A machine that is gone already
    is no error, and what a killed create or delete left is finished.

    Of an adopted machine the changes are taken back, for which its host has
    to be reached, and the server stays.
    """

    verb = 'delete'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        adopted = parser.add_mutually_exclusive_group()
        adopted.add_argument(
            '--with-server',
            action='store_true',
            help='Delete the servers of adopted machines too',
        )
        adopted.add_argument(
            '--leave-host',
            action='store_true',
            help='Forget adopted machines without a visit to their hosts, '
            'which stay as they are: for those that cannot be reached',
        )
        return parser

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Delete one machine."""
        done = self.machines.delete(
            name,
            parsed_args.timeout,
            with_server=parsed_args.with_server,
            leave_host=parsed_args.leave_host,
            reporter=reporter,
        )
        if done:
            return ''
        return f"Machine '{name}' does not exist: nothing to do"
