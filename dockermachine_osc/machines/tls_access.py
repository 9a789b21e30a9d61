# SPDX-License-Identifier: Apache-2.0
"""The engine listens on a port, and talks to whom its CA knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, openssh, pki, selfsigned
from dockermachine_osc.cloud.groups import ANYWHERE, Rules, version_of
from dockermachine_osc.machines import (
    access,
    certificates,
    errand,
    links,
    restarting,
)
from dockermachine_osc.record import IMPORTED

if TYPE_CHECKING:
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.engine import EngineFacts, Findings, Outcome
    from dockermachine_osc.machines.errand import Way
    from dockermachine_osc.machines.links import Patient
    from dockermachine_osc.record import Record
    from dockermachine_osc.request import AdoptRequest
    from dockermachine_osc.store import MachineFolder
    from dockermachine_osc.waiting import Deadline


#: Seconds for a connection to the engine's port to be opened or refused.
_PROBE_TIMEOUT = 3.0


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
        return goods, certificates.described(
            record, folder, issued.certificate
        )

    def handed_over(self, folder: MachineFolder) -> None:
        """Trust what the machine's CA has issued, and nothing else."""
        certificates.trust_ca_alone(folder)

    def asked(self, names: Sequence[str]) -> selfsigned.Asked:
        """Ask for a certificate that the host makes for itself."""
        return selfsigned.ask(names)

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
            record.address, record.engine_port, folder.path, deadline
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

    def proposed(
        self, way: Way, findings: Findings, request: AdoptRequest
    ) -> tuple[Rules | None, Sequence[str]]:
        """Tell of the port, and of the restart that it takes."""
        port = request.engine_port
        changes = [
            f'let the engine listen on port {port} with mutual '
            'TLS: a drop-in of docker.service and /etc/docker-machine'
        ]
        if findings.hosts_in:
            changes.append(
                f'add tcp://0.0.0.0:{port} to "hosts" in '
                f'{findings.hosts_in}, whose rest stays as it is'
            )
        if findings.engine:
            fate = restarting.fate(findings)
            changes.append('restart the engine once' + fate)
        return _rules(way, request), changes

    def checks(self) -> Mapping[str, Callable[[Patient], str]]:
        """Give the links to the engine's port and its certificate."""
        return links.TLS_CHECKS


def _rules(way: Way, request: AdoptRequest) -> Rules | None:
    """Give the rules to add, None if the engine's port is open already.

    A connection that is refused has come through; one that is dropped not.

    :raises InvalidRequest: if no rule would let us through.
    """
    # Late, as it brings paramiko, which a create need not wait for.
    from dockermachine_osc import system_ssh

    port = request.engine_port
    if system_ssh.reaches(way.address, port, _PROBE_TIMEOUT):
        return None
    if jump := openssh.jump(errand.configured(way)):
        raise errors.InvalidRequest(
            f'ssh gets to {way.address} through {jump}, and port {port} '
            'there, where the engine would listen, cannot be reached from '
            'here',
            'Have docker go the way that ssh goes: adopt --access ssh',
        )
    everywhere = ANYWHERE[version_of(way.address)]
    return Rules.of(request.allow_cidrs or (everywhere,), (port,))
