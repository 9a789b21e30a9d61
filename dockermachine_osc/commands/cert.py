# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine cert show and cert renew."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from osc_lib.cli import format_columns

from dockermachine_osc.commands import arguments, base, each
from dockermachine_osc.errors import InvalidRequest

if TYPE_CHECKING:
    from dockermachine_osc.report import Reporter

_COLUMNS = (
    'Certificate',
    'Subject',
    'Names',
    'Not Before',
    'Not After',
    'Days Left',
    'SHA256',
)
_ENGINE_TIMEOUT = 5.0


class ShowCertificates(base.Lister):
    """Show the certificates of a machine: its CA, the client's, the engine's

    The engine's is read from the engine itself, and missing if that does not
    answer.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        arguments.add_machine(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """List the certificates."""
        shown = self.machines.certificates(
            parsed_args.machine, _ENGINE_TIMEOUT
        )
        now = datetime.datetime.now(datetime.UTC)
        rows = (
            (
                c.role,
                c.facts.subject,
                format_columns.ListColumn(list(c.facts.names)),
                c.facts.not_before.isoformat(),
                c.facts.not_after.isoformat(),
                (c.facts.not_after - now).days,
                c.facts.fingerprint,
            )
            for c in shown
        )
        return _COLUMNS, rows


class RenewCertificates(each.ForEach):
    """Make certificates of machine(s) anew: those that are named

    A client certificate is renewed without touching the engine. An engine
    reads its own certificate only as it starts, so --server and --ca restart
    it, which containers without live-restore do not survive; those with a
    restart policy come back.
    """

    verb = 'renew'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--client',
            action='append_const',
            dest='roles',
            const='client',
            help="Renew this workstation's certificate",
        )
        parser.add_argument(
            '--server',
            action='append_const',
            dest='roles',
            const='server',
            help="Renew the engine's certificate",
        )
        parser.add_argument(
            '--ca',
            action='append_const',
            dest='roles',
            const='ca',
            help='Renew the CA, and with it the other two',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Renew those of each machine."""
        if not parsed_args.roles:
            raise InvalidRequest(
                'Which certificates?', 'Say --client, --server, or --ca'
            )
        super().take_action(parsed_args)

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Renew those of one machine."""
        roles = frozenset(parsed_args.roles)
        self.machines.renew(name, roles, reporter, parsed_args.timeout)
        return ''
