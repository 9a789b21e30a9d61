# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine engine show."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib.cli import format_columns

from dockermachine_osc.commands import arguments, base, options


class ShowEngine(base.ShowOne):
    """Show the options that were set for the engine of a machine

    Reads them from the host. Of variables only the names are shown, and of
    proxies no passwords. What else the engine is set to, and by whom, docker
    info says.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        arguments.add_machine(parser)
        parser.add_argument(
            '--timeout',
            metavar='<seconds>',
            type=options.seconds,
            default=60.0,
            help='Time for the host (default: 60)',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Show them."""
        from dockermachine_osc.engine.options import masked

        reporter = self.reporter
        try:
            found = self.machines.engine_options(
                parsed_args.machine, reporter, parsed_args.timeout
            )
        finally:
            reporter.done()
        row = {
            'engine_env': _list(sorted(found.env)),
            'engine_insecure_registry': _list(found.insecure_registries),
            'engine_label': format_columns.DictColumn(dict(found.labels)),
            'engine_opt': _list(found.opts),
            'engine_registry_mirror': _list(found.registry_mirrors),
            'engine_storage_driver': found.storage_driver or None,
            'http_proxy': masked(found.http_proxy) or None,
            'https_proxy': masked(found.https_proxy) or None,
            'no_proxy': found.no_proxy or None,
            'registry_ca': _list(sorted(found.registry_cas)),
        }
        return tuple(row), tuple(row.values())


def _list(items: Sequence[str]) -> format_columns.ListColumn:
    return format_columns.ListColumn(list(items))
