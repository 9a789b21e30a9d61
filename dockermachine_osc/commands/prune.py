# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine prune."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions

from dockermachine_osc.commands import base, options

_COLUMNS = ('Kind', 'ID', 'Machine', 'Created At', 'Removed', 'Problem')


class PruneMachine(base.Lister):
    """Remove what killed creates and deletes have left in the project

    Servers that no create has ever finished, ports and floating IPs of
    machines that are gone, and security groups that no port uses; nothing
    that does not bear the mark of this tool, nothing that a server uses,
    and nothing that may just be being made: by the clock of the cloud it is
    older than an hour, and than its create was given with --timeout. See
    first what would go, with --dry-run.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Only list what would be removed',
        )
        parser.add_argument(
            '--older-than',
            metavar='<seconds>',
            type=options.age,
            help='Age from which on something is taken for left over, '
            'whatever its create was given; 0 is for when nobody creates '
            'machines in the project (default: 3600, or longer)',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; fail after the table if something is left."""
        self._left = 0
        code = super().run(parsed_args)
        if self._left:
            raise exceptions.CommandError(
                f'{self._left} could not be removed. Try again later: '
                'openstack docker machine prune'
            )
        return code

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """Remove and list."""
        dry_run = parsed_args.dry_run
        found = self.machines.prune(parsed_args.older_than, dry_run=dry_run)
        self._left = sum(bool(orphan.problem) for orphan in found)
        return _COLUMNS, [
            (
                orphan.kind,
                orphan.id,
                orphan.machine or None,
                orphan.created,
                not dry_run and not orphan.problem,
                orphan.problem or None,
            )
            for orphan in found
        ]
