# SPDX-License-Identifier: Apache-2.0
"""The engine listens on a port, and talks to whom its CA knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, pki
from dockermachine_osc.machines import access, certificates, checkup, errand
from dockermachine_osc.record import IMPORTED

if TYPE_CHECKING:
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.engine import EngineFacts, Outcome
    from dockermachine_osc.machines.checkup import Patient
    from dockermachine_osc.record import Record
    from dockermachine_osc.store import MachineFolder
    from dockermachine_osc.waiting import Deadline


class TlsAccess(access.Access):
    """Mutual TLS, with a CA of the machine's own."""

    def secrets(self, machine: str) -> dict[str, bytes]:
        """Make a CA and a client certificate."""
        return certificates.new_secrets(machine)

    def goods(
        self, record: Record, folder: MachineFolder, names: Sequence[str]
    ) -> tuple[Mapping[str, bytes], Record]:
        """Make the engine's certificate; its key is on no disk here."""
        authority = certificates.load_authority(folder)
        issued = authority.server(names)
        goods = engine.tls_files(
            authority.certificate, issued.certificate, issued.key
        )
        return goods, certificates.described(record, folder, issued)

    def prove(
        self,
        record: Record,
        folder: MachineFolder,
        outcome: Outcome,
        deadline: Deadline,
        why: str = '',
    ) -> str:
        """Get an answer over TLS, whatever the host has said."""
        return errand.prove(record, folder.path, deadline, why).version

    def ask(
        self, record: Record, folder: MachineFolder, timeout: float
    ) -> EngineFacts:
        """Ask over TLS."""
        return engine.ask(
            record.address, record.engine_port, folder.path, timeout
        )

    def wait(
        self, record: Record, folder: MachineFolder, deadline: Deadline
    ) -> EngineFacts:
        """Wait for an answer over TLS."""
        return engine.wait_ready(
            record.address, record.engine_port, folder.path, deadline.moment
        )

    def is_well(
        self, server: MachineServer, folder: MachineFolder, timeout: float
    ) -> bool:
        """Tell whether it answers with all addresses in its certificate."""
        record = server.record
        try:
            self.ask(record, folder, timeout)
            shown = engine.shown_certificate(
                record.address, record.engine_port, folder.path, timeout
            )
        except errors.EngineFailure:
            return False
        if record.origin == IMPORTED:
            # Docker Machine's certificate names one address: the one it has.
            return True
        return set(server.addresses) <= set(pki.facts(shown).names)

    def checks(self) -> Mapping[str, Callable[[Patient], str]]:
        """Give the links to the engine's port and its certificate."""
        return checkup.TLS_CHECKS
