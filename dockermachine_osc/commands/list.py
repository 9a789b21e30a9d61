# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine list."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from dockermachine_osc.commands import base, fields, options

#: Seconds for all engines together.
_ENGINE_TIMEOUT = 5.0


class ListMachine(base.Lister):
    """List the machines of the project

    One request to Nova serves all machines. With --long each engine whose
    keys are on this workstation is asked for its version too, all side by
    side within --timeout.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--long',
            action='store_true',
            help='List additional fields, and ask the engines',
        )
        parser.add_argument(
            '--timeout',
            metavar='<seconds>',
            type=options.seconds,
            default=_ENGINE_TIMEOUT,
            help='With --long, time for all engines together to answer '
            f'(default: {_ENGINE_TIMEOUT:g})',
        )
        parser.add_argument(
            '--name',
            metavar='<name-regex>',
            default='',
            help='Search with server name (regular expression)',
        )
        parser.add_argument(
            '--status',
            metavar='<status>',
            default='',
            help='Search by server status, such as ACTIVE or SHUTOFF',
        )
        parser.add_argument(
            '--tags',
            metavar='<tag>',
            action='append',
            default=[],
            help='Only list machines with the specified tag. Specify multiple '
            'times to filter on multiple tags.',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """List the machines."""
        long = parsed_args.long
        found = self.machines.list(
            parsed_args.timeout if long else None,
            name=parsed_args.name,
            status=parsed_args.status,
            tags=parsed_args.tags,
        )
        for machine in found:
            if machine.warning:
                self.reporter.warn(machine.warning)
        columns = fields.LONG_COLUMNS if long else fields.LIST_COLUMNS
        return columns, (fields.row(m, long=long) for m in found)
