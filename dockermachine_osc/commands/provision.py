# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine provision."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dockermachine_osc.commands import each

if TYPE_CHECKING:
    from dockermachine_osc.report import Reporter


class ProvisionMachine(each.ForEach):
    """Set up what machine(s) lack, and change nothing else

    Finishes a machine that create could not, gives the engine a certificate
    for addresses that have changed, and installs an engine that is missing.
    A machine whose engine answers as it should is left alone.
    """

    verb = 'provision'
    timeout = 600.0

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Provision one machine."""
        done = self.machines.provision(name, reporter, parsed_args.timeout)
        return '' if done else f"Machine '{name}' is as it should be"
