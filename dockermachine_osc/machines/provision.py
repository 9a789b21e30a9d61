# SPDX-License-Identifier: Apache-2.0
"""Bringing a machine to where it should be, whatever it lacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, interrupts, store
from dockermachine_osc.cloud import power
from dockermachine_osc.machines import accesses, errand, moving
from dockermachine_osc.record import READY

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.record import Record
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
    check_on(server)
    steps.begin('Asking the engine')
    before, server = server, moving.followed(server, folder, steps)
    well = _is_well(server, folder)
    if not well:
        silent, server = server, moving.reached(server, folder, steps)
        well = server is not silent and _is_well(server, folder)
    if well:
        if server is not before:
            cloud.write_record(server.id, server.record)
        return server, server is not before
    server = _learned(cloud, server, folder)
    further = errand.options_on_the_way(folder)
    return make_ready(cloud, server, folder, deadline, steps, further), True


def _is_well(server: MachineServer, folder: MachineFolder) -> bool:
    way_in = accesses.of(server.record.access)
    return (
        server.record.state == READY
        and folder.has(store.KNOWN_HOSTS)
        and way_in.is_well(server, folder, _ASK_TIMEOUT)
    )


def check_on(server: MachineServer) -> None:
    """Raise InvalidRequest if a machine is off."""
    if server.status not in power.ON:
        raise errors.InvalidRequest(
            f"Machine '{server.name}' is {server.status}",
            f'Start it first: openstack docker machine start {server.name}',
        )


def make_ready(
    cloud: Cloud,
    server: MachineServer,
    folder: MachineFolder,
    deadline: Deadline,
    steps: Steps,
    further: Mapping[str, bytes] | None = None,
    opened: Callable[[Record], Record] | None = None,
) -> MachineServer:
    """Set the engine up, prove it, and write that down.

    :param further: what the engine is handed, too, by file name.
    :param opened: opens the way to the engine, once it is set up.
    :returns: the server with its record.
    """
    way_in = accesses.of(server.record.access)
    names = errand.names_of(server)
    goods, record = way_in.goods(server.record, folder, names)
    goods = {**goods, **(further or {})}
    done = errand.serve(record, folder, goods, deadline, steps)
    way_in.handed_over(folder)
    record = opened(record) if opened else record
    steps.begin('Waiting for the engine')
    version = way_in.prove(record, folder, done.outcome, deadline)
    record = record.replace(state=READY, engine_version=version)
    # Else it may arrive after an adopt that was interrupted is taken back.
    with interrupts.held():
        cloud.write_record(server.id, record)
    return dataclasses.replace(server, record=record)


def _learned(
    cloud: Cloud, server: MachineServer, folder: MachineFolder
) -> MachineServer:
    """Complete the record of a machine whose create did not get to the end.

    Whom to log in as and the host's keys stand on the console.
    """
    record = server.record
    pinned = folder.has(store.KNOWN_HOSTS)
    if record.ssh_user and pinned:
        return server
    facts = engine.read_console(cloud.console(server.id) or '', record.id)
    user = record.ssh_user or facts.login
    if not user or not (pinned or facts.host_keys):
        raise errors.HostFailure(
            f"The console of '{server.name}' does not show whom to log in "
            'as and the keys of the host',
            f'See it: openstack console log show {server.id}',
        )
    way = errand.Way(record.address, record.ssh_port, user, None, ())
    if not pinned:
        # Keys that are pinned stay: anybody in the project can take the user
        # out of the record and rebuild the server.
        errand.pin(folder, [way], facts.host_keys)
    return dataclasses.replace(server, record=record.replace(ssh_user=user))
