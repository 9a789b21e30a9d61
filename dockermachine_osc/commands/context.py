# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine context create and context delete."""

from __future__ import annotations

import argparse

from dockermachine_osc.commands import arguments, base


class CreateContext(base.Command):
    """Create the Docker context of a machine, in place of one it has"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        arguments.add_machine(parser)
        parser.add_argument(
            '--name',
            metavar='<context>',
            default='',
            help="Name of the context (default: the machine's)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Create it."""
        context = self.machines.create_context(
            parsed_args.machine, parsed_args.name
        )
        self.reporter.note(f'ready: docker --context {context} ps')


class DeleteContext(base.Command):
    """Delete the Docker context of a machine; the machine stays"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        arguments.add_machine(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete it."""
        if not self.machines.delete_context(parsed_args.machine):
            self.reporter.note(
                f"Machine '{parsed_args.machine}' has no Docker context"
            )
