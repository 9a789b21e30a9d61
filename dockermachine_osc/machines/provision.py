# SPDX-License-Identifier: Apache-2.0
"""Bringing a machine to where it should be, whatever it lacks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, pki, store
from dockermachine_osc.cloud import power
from dockermachine_osc.machines import certificates, errand
from dockermachine_osc.record import IMPORTED, READY

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder
    from dockermachine_osc.waiting import Deadline

_ASK_TIMEOUT = 5.0


def provision(
    cloud: Cloud,
    server: MachineServer,
    folder: MachineFolder,
    deadline: Deadline,
    steps: Steps,
) -> tuple[MachineServer, bool]:
    """Set up what is missing, and leave alone what is as it should be.

    :returns: the server with its record, and whether anything was done.
    :raises InvalidRequest: if the machine is off.
    :raises StoreFailure: if its CA's key is not on this workstation.
    """
    if server.status not in power.ON:
        raise errors.InvalidRequest(
            f"Machine '{server.name}' is {server.status}",
            f'Start it first: openstack docker machine start {server.name}',
        )
    steps.begin('Asking the engine')
    if server.record.state == READY and _is_well(server, folder):
        return server, False
    server = _learned(cloud, server, folder)
    return make_ready(cloud, server, folder, deadline, steps), True


def make_ready(
    cloud: Cloud,
    server: MachineServer,
    folder: MachineFolder,
    deadline: Deadline,
    steps: Steps,
) -> MachineServer:
    """Hand a certificate over, prove the engine, and write that down.

    :returns: the server with its record.
    """
    authority = certificates.load_authority(folder)
    issued = certificates.serve(server, folder, authority, deadline, steps)
    steps.begin('Waiting for the engine')
    answer = errand.prove(server.record, folder.path, deadline)
    record = certificates.described(server.record, folder, issued).replace(
        state=READY, engine_version=answer.version
    )
    cloud.write_record(server.id, record)
    return dataclasses.replace(server, record=record)


def _is_well(server: MachineServer, folder: MachineFolder) -> bool:
    """Tell whether the engine answers, with all addresses in its name."""
    record = server.record
    try:
        engine.ask(
            record.address, record.engine_port, folder.path, _ASK_TIMEOUT
        )
        shown = engine.shown_certificate(
            record.address, record.engine_port, folder.path, _ASK_TIMEOUT
        )
    except errors.EngineFailure:
        return False
    if record.origin == IMPORTED:
        # Docker Machine's certificate names one address: the one it has.
        return True
    return set(server.addresses) <= set(pki.facts(shown).names)


def _learned(
    cloud: Cloud, server: MachineServer, folder: MachineFolder
) -> MachineServer:
    """Complete the record of a machine whose create did not get to the end.

    Whom to log in as and the host's keys stand on the console.
    """
    record = server.record
    if record.ssh_user and folder.has(store.KNOWN_HOSTS):
        return server
    facts = engine.read_console(cloud.console(server.id) or '', record.id)
    user = record.ssh_user or facts.login
    if not user or not facts.host_keys:
        raise errors.HostFailure(
            f"The console of '{server.name}' does not show whom to log in "
            'as and the keys of the host',
            f'See it: openstack console log show {server.id}',
        )
    way = errand.Way(record.address, record.ssh_port, user, None, ())
    errand.pin(folder, way, facts.host_keys)
    return dataclasses.replace(server, record=record.replace(ssh_user=user))
