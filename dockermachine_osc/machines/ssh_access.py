# SPDX-License-Identifier: Apache-2.0
"""The engine stays on its socket, and docker goes there through SSH."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, host, openssh, system_ssh
from dockermachine_osc.machines import access, links, restarting
from dockermachine_osc.machines.machine import target
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.cloud.groups import Rules
    from dockermachine_osc.engine import EngineFacts, Findings, Outcome
    from dockermachine_osc.machines.errand import Way
    from dockermachine_osc.machines.links import Patient
    from dockermachine_osc.record import Record
    from dockermachine_osc.request import AdoptRequest
    from dockermachine_osc.store import MachineFolder

#: The host's own docker asks, as it does for every command from here.
_QUESTION = "docker version --format '{{json .Server}}'"
#: Seconds for one try while an engine is waited for.
_TRY = 15.0


class SshAccess(access.Access):
    """Who may log in may use the engine; there are no certificates."""

    def secrets(self, machine: str) -> dict[str, bytes]:
        """Make nothing: there is the SSH key."""
        del machine
        return {}

    def goods(
        self, record: Record, folder: MachineFolder, names: Sequence[str]
    ) -> tuple[Mapping[str, bytes], Record]:
        """Make nothing: the engine needs no proof of who it is."""
        del folder, names
        return {}, record

    def prove(
        self,
        record: Record,
        folder: MachineFolder,
        outcome: Outcome,
        deadline: Deadline,
        why: str = '',
    ) -> str:
        """Take the host's word.

        It has asked the engine as the login user in the same login, whose
        way and host key are those of every docker command.
        """
        del record, folder, deadline, why
        return outcome.version

    def ask(
        self, record: Record, folder: MachineFolder, timeout: float
    ) -> EngineFacts:
        """Ask through SSH, with one login."""
        there = system_ssh.SystemHost(openssh.ssh(target(record, folder), ()))
        result = there.run(_QUESTION, timeout=timeout)
        if result.status:
            said = (result.stderr or result.stdout).strip().splitlines()
            raise errors.EngineFailure(
                f'docker on {record.address} gets no answer: '
                + (said[-1][:200] if said else 'it says nothing'),
                'See what is broken: openstack docker machine check '
                f'{folder.name}',
            )
        return engine.read_facts(result.stdout, record.address)

    def wait(
        self, record: Record, folder: MachineFolder, deadline: Deadline
    ) -> EngineFacts:
        """Ask until it answers; another host key is not waited out."""
        problem: errors.MachineError | None = None
        for _ in deadline.polls():
            most = max(1.0, min(_TRY, deadline.remaining))
            try:
                return self.ask(record, folder, most)
            except host.HostKeyChanged:
                raise
            except (errors.HostFailure, errors.EngineFailure) as error:
                problem = error
        raise problem or deadline.exceeded('The engine did not answer')

    def is_well(
        self, server: MachineServer, folder: MachineFolder, timeout: float
    ) -> bool:
        """Tell whether it answers."""
        return self.answers(server.record, folder, timeout)

    def proposed(
        self, way: Way, findings: Findings, request: AdoptRequest
    ) -> tuple[Rules | None, Sequence[str]]:
        """Tell who is let to the engine's socket."""
        del way
        changes = []
        if findings.engine and not findings.running:
            changes.append('start the engine')
        elif findings.engine and request.engine_options.kinds():
            fate = restarting.fate(findings)
            changes.append('restart the engine once' + fate)
        if findings.member:
            changes.append(
                f'add user {findings.member} to group docker: who logs in as '
                'that may do anything on the host from then on'
            )
        changes.append(
            'keep what is needed to take that back in /etc/docker-machine'
        )
        return None, changes

    def checks(self) -> Mapping[str, Callable[[Patient], str]]:
        """Give the links to SSH, and docker through that."""
        return links.SSH_CHECKS
