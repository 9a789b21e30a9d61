# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine import."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from osc_lib import exceptions

from dockermachine_osc.commands import base, options

if TYPE_CHECKING:
    from dockermachine_osc.machines.importing import Outcome

#: Seconds for each machine.
_TIMEOUT = 300.0
_COLUMNS = ('Kind', 'Name', 'Driver', 'Server', 'Verdict', 'Why', 'Next')


class ImportMachines(base.Lister):
    """Take over the machines of Docker Machine

    Reads ~/.docker/machine, finds the servers of its machines (drivers
    openstack and generic) in this project, verifies certificates, engine,
    SSH key and host, and carries keys and certificates over. Its folder
    stays as it is, nothing changes on the hosts, and no engine is restarted
    unless --renew-certificates is given. What does not verify is refused,
    and does not stop the others. Importing again changes nothing.

    Without names, key pairs, servers and floating IPs that look left over
    from Docker Machine are listed too, with the command that would remove
    each; nothing of it is removed.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'names',
            metavar='<name>',
            nargs='*',
            help='Machine(s) of Docker Machine (default: all)',
        )
        parser.add_argument(
            '--path',
            metavar='<folder>',
            type=options.path,
            help='Folder of Docker Machine (default: $MACHINE_STORAGE_PATH, '
            'else ~/.docker/machine)',
        )
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Look and verify, and only say what would be done',
        )
        parser.add_argument(
            '--renew-certificates',
            action='store_true',
            help='Give each machine new certificates of a CA of its own '
            'right away, which restarts its engine once; the old ones may '
            'have expired (default: carry the old ones over)',
        )
        parser.add_argument(
            '--no-context',
            dest='context',
            action='store_false',
            help='Do not make Docker contexts',
        )
        parser.add_argument(
            '--timeout',
            metavar='<seconds>',
            type=options.seconds,
            default=_TIMEOUT,
            help=f'Time for each machine (default: {_TIMEOUT:g})',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; fail after the table if a machine was refused."""
        self._failed: list[str] = []
        code = super().run(parsed_args)
        if self._failed:
            raise exceptions.CommandError(
                f'Not taken over: {", ".join(self._failed)}'
            )
        return code

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """Take the machines over and list what became of each."""
        from dockermachine_osc.machines import importing

        request = importing.ImportRequest(
            names=tuple(dict.fromkeys(parsed_args.names)),
            root=parsed_args.path,
            dry_run=parsed_args.dry_run,
            renew=parsed_args.renew_certificates,
            context=parsed_args.context,
            timeout=parsed_args.timeout,
        )
        reporter = self.reporter
        try:
            with base.terminable():
                found = self.machines.import_(request, reporter)
        finally:
            reporter.done()
        bad = {importing.REFUSED}
        if request.names:
            bad.add(importing.SKIPPED)
        self._failed = [o.name for o in found if o.verdict in bad]
        return _COLUMNS, [_row(outcome) for outcome in found]


def _row(outcome: Outcome) -> tuple[str | None, ...]:
    return (
        outcome.kind,
        outcome.name,
        outcome.driver or None,
        outcome.server or None,
        outcome.verdict,
        outcome.why,
        outcome.next or None,
    )
