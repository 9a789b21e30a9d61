# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine check."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from dockermachine_osc.commands import arguments, base, options

#: Seconds for each link.
_LINK_TIMEOUT = 5.0
_COLUMNS = ('Link', 'Holds', 'Detail', 'What To Type')


class CheckMachine(base.Lister):
    """Find out which link from here to a machine's engine is broken

    Goes from the server by its address, security groups, SSH, host key and
    clock to the certificate and the engine, up to the first that does not
    hold. Ends with exit code 1 if one does not.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        arguments.add_machine(parser)
        parser.add_argument(
            '--timeout',
            metavar='<seconds>',
            type=options.seconds,
            default=_LINK_TIMEOUT,
            help=f'Time for each link (default: {_LINK_TIMEOUT:g})',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Print the table, and fail if a link does."""
        self._broken = False
        return super().run(parsed_args) or int(self._broken)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """Try the links."""
        links = self.machines.check(parsed_args.machine, parsed_args.timeout)
        self._broken = any(link.holds is False for link in links)
        rows = [(x.name, x.holds, x.detail, x.hint) for x in links]
        return _COLUMNS, rows
