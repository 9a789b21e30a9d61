# SPDX-License-Identifier: Apache-2.0
"""Base of the commands that read only files of this workstation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockermachine_osc.commands.progress import TerminalReporter
    from dockermachine_osc.machines import LocalMachine
    from dockermachine_osc.store import Scope


class Offline:
    """Finds machines without a token and without a network.

    The cloud's configuration alone tells which machines are meant.
    """

    # Read by OSC's shell: no token is fetched.
    auth_required = False
    app: Any
    reporter: TerminalReporter

    def local_machine(self, name: str) -> LocalMachine:
        """Find a machine whose keys are on this workstation."""
        from dockermachine_osc import identity, machines, store

        config = self.app.client_manager.get_configuration()
        return machines.local_machine(
            store.Store(),
            identity.fingerprint(config),
            str(config.get('cloud') or ''),
            name,
        )

    def chosen_machine(self, name: str) -> LocalMachine:
        """Find a machine that is about to be used; warn of its end."""
        machine = self.local_machine(name)
        if machine.warning:
            self.reporter.warn(machine.warning)
        return machine

    def local_scope(self) -> Scope | None:
        """Give the files of the project; None if it was never used here."""
        from dockermachine_osc import identity, store

        config = self.app.client_manager.get_configuration()
        return store.Store().recall(identity.fingerprint(config))
