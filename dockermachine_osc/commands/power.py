# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine start, stop, kill and restart."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dockermachine_osc.commands import each

if TYPE_CHECKING:
    from dockermachine_osc.report import Reporter


class StartMachine(each.ForEach):
    """Start machine(s) and wait until their engines answer

    A paused, suspended or shelved machine goes on where it was. One that
    runs already is no error.
    """

    verb = 'start'

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Start one machine."""
        changed = self.machines.start(name, parsed_args.timeout)
        return '' if changed else f"Machine '{name}' is running already"


class StopMachine(each.ForEach):
    """Stop machine(s), letting them shut down in order

    One that is stopped, suspended or shelved already is no error.
    """

    verb = 'stop'

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Stop one machine."""
        changed = self.machines.stop(name, parsed_args.timeout)
        return '' if changed else f"Machine '{name}' is stopped already"


class KillMachine(each.ForEach):
    """Switch machine(s) off at once, without letting them shut down

    What is being written is lost, as if power failed. OpenStack itself has
    no way to do that: the host is told to by SSH, and one that does not hear
    is shut down in order. One that is off already is no error.
    """

    verb = 'kill'

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Kill one machine."""
        changed = self.machines.kill(name, reporter, parsed_args.timeout)
        return '' if changed else f"Machine '{name}' is stopped already"


class RestartMachine(each.ForEach):
    """Restart machine(s) and wait until their engines answer

    One that is stopped is started.
    """

    verb = 'restart'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--hard',
            action='store_true',
            help='Switch off and on instead of shutting down in order',
        )
        return parser

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Restart one machine."""
        hard = parsed_args.hard
        self.machines.restart(name, parsed_args.timeout, hard=hard)
        return ''
