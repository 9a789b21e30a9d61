# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine upgrade."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from osc_lib import exceptions

from dockermachine_osc.commands import base, each

if TYPE_CHECKING:
    from dockermachine_osc.report import Reporter

_COLUMNS = (
    'Name',
    'Before',
    'After',
    'Package',
    'Package Before',
    'Package After',
    'Restarted',
)


class UpgradeMachine(base.FailsAtTheEnd, each.Several, base.Lister):
    """Give the engines of machine(s) the newest version, or a certain one

    The packages of the engine, and no others, are upgraded from where the
    host has them from. The engine is restarted once, and not at all if
    nothing is new; containers stop with it unless live-restore is set. If it
    does not run with the new version, the one before is put back.
    """

    verb = 'upgrade'
    timeout = 600.0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--engine-version',
            metavar='<version>',
            default='',
            help="Version of the engine's package, or the beginning of one, "
            'also an older one (default: the newest there is)',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """Upgrade each; the table is of those that have not failed."""
        self._rows: list[tuple[Any, ...]] = []
        try:
            self.for_each(parsed_args)
        except exceptions.CommandError as failure:
            if not self._rows:
                raise
            self.failure = failure
        return _COLUMNS, self._rows

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Upgrade the engine of one machine."""
        done = self.machines.upgrade(
            name,
            parsed_args.engine_version,
            reporter,
            parsed_args.timeout,
        )
        self._rows.append(dataclasses.astuple(done))
        return ''
