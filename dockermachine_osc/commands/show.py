# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine show."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from dockermachine_osc.commands import arguments, base, fields

#: Seconds for the engine to answer; only asked if its keys are here.
_ENGINE_TIMEOUT = 3.0


class ShowMachine(base.ShowOne):
    """Show everything known of a machine, secrets excepted"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        arguments.add_machine(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Show one machine."""
        machine = self.machines.show(parsed_args.machine, _ENGINE_TIMEOUT)
        if machine.warning:
            self.reporter.warn(machine.warning)
        return fields.fields(machine)
