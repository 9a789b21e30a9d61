# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine adopt."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from dockermachine_osc.commands import (
    arguments,
    base,
    engine_options,
    fields,
    options,
)


class AdoptMachine(base.ShowOne):
    """Make a machine of a server that runs already

    Logs in as ssh would, with your ~/.ssh/config and agent, looks, says what
    it is going to change, and changes just that. Settings of the engine,
    packages, and the name of the host stay as they are; what runs in
    containers survives but for the one restart that TLS needs. Adopting a
    machine again changes nothing. delete takes the changes back and leaves
    the server.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'server',
            metavar='<server>',
            help='Server (name, ID, or one of its addresses)',
        )
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Only say what would be changed',
        )
        _add_ssh_options(parser)
        arguments.add_engine_options(parser)
        engine_options.add_options(parser)
        engine_options.add_post_script(parser)
        arguments.add_rule_options(parser)
        arguments.add_common_options(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Adopt the server and show it."""
        config = self.app.client_manager.get_configuration()
        request = options.adopt_request(
            vars(parsed_args), config.get('docker_machine')
        )
        reporter = self.reporter
        try:
            with base.terminable():
                proposal = self.machines.propose(request, reporter)
                for change in proposal.changes or ('nothing to change',):
                    reporter.note(f'{proposal.server.name}: {change}')
                if parsed_args.dry_run:
                    return _proposed(proposal.changes)
                machine = self.machines.adopt(request, proposal, reporter)
        finally:
            reporter.done()
        return fields.fields(machine)


def _proposed(
    changes: Sequence[str],
) -> tuple[Sequence[str], Sequence[Any]]:
    from osc_lib.cli import format_columns

    return ('changes',), (format_columns.ListColumn(list(changes)),)


def _add_ssh_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--ssh-user',
        metavar='<user>',
        help='User to log in as (default: as ssh decides)',
    )
    parser.add_argument(
        '--ssh-key',
        metavar='<file>',
        type=options.path,
        help='Private key file (default: as ssh decides)',
    )
    parser.add_argument(
        '--ssh-port',
        metavar='<port>',
        type=options.port_number,
        help='Port of SSH (default: as ssh decides)',
    )
