# SPDX-License-Identifier: Apache-2.0
"""Making a machine of a server that runs already, and letting it go again."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, interrupts, store
from dockermachine_osc.cloud import power
from dockermachine_osc.cloud.failures import ApiError
from dockermachine_osc.machines import (
    accesses,
    contexting,
    errand,
    failing,
    provision,
    removal,
    ssh_entries,
)
from dockermachine_osc.machines.machine import local_facts, local_record
from dockermachine_osc.record import ADOPTED, TAG, Record, new_machine_id
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.machines.proposal import Proposal
    from dockermachine_osc.report import Steps
    from dockermachine_osc.request import AdoptRequest
    from dockermachine_osc.store import MachineFolder, Scope

_GROUP_TRIES = 3
_GONE = 404


def adopt(
    cloud: Cloud,
    files: Scope,
    contexts: Contexts,
    request: AdoptRequest,
    proposal: Proposal,
    deadline: Deadline,
    steps: Steps,
) -> MachineServer:
    """Carry a proposal out.

    :raises MachineError: after all changes have been taken back.
    """
    if not proposal.changes:
        return proposal.server
    _check_still(cloud, proposal)
    folder = files.machine(proposal.server.name)
    if folder.exists() and not proposal.server.record.id:
        # Left by a machine of that name that is gone.
        ours = str(local_record(folder).get('id') or '')
        removal.remove_locally(folder, contexts, ours, steps)
    with _taken_back(cloud, contexts, proposal, folder, steps):
        server = _prepare(cloud, folder, request, proposal, steps)
        server = provision.make_ready(
            cloud,
            server,
            folder,
            deadline,
            steps,
            engine.further_files(
                request.engine_options,
                request.post_script,
                proposal.findings.machine,
            ),
            functools.partial(_open, cloud, proposal, steps),
        )
    _keep(cloud, contexts, request, folder, server, steps)
    return server


def leave(
    cloud: Cloud,
    server: MachineServer,
    folder: MachineFolder,
    deadline: Deadline,
    steps: Steps,
    *,
    host: bool = True,
) -> None:
    """Take everything back that adopting has changed; the server stays.

    :param host: whether on the host as well as in the cloud; without a
        record there is nothing on the host.
    :raises HostFailure: if the host cannot be reached; nothing is changed.
    """
    record = server.record
    if host and record.id:
        _leave_host(server, folder, deadline, steps)
    cloud.close_to(server.id, record.security_group_id)
    cloud.unmark_server(server.id)


def _leave_host(
    server: MachineServer,
    folder: MachineFolder,
    deadline: Deadline,
    steps: Steps,
) -> None:
    record, name = server.record, server.name
    ways_out = (
        f'openstack docker machine delete --leave-host {name} leaves it as '
        'it is, --with-server deletes it'
    )
    if server.status not in power.ON:
        raise errors.InvalidRequest(
            f"The changes on '{name}' cannot be taken back: it is "
            f'{server.status}',
            f'Start it first: openstack docker machine start {name}; '
            + ways_out,
        )
    settings = engine.EngineSettings(
        machine_id=record.id, access=record.access
    )
    parcel = engine.visit('leave', settings)
    steps.begin('Taking the changes on the host back')
    try:
        way = _known_way(record, folder)
        errand.run(way, folder, parcel, deadline, steps)
    except errors.HostFailure as error:
        error.hint = '; '.join(filter(None, (error.hint, ways_out)))
        raise


# ------------------------------------------------------------------- adopt


def _check_still(cloud: Cloud, proposal: Proposal) -> None:
    """Refuse a server that has become a machine since it was looked at.

    Who comes between this look and our mark is met on the host.
    """
    before = proposal.server
    now = cloud.server(before.id)
    if now is None:
        raise errors.NotFound(f"Server '{before.name}' is gone")
    if now.record.id != before.record.id:
        raise _taken(before)


def _taken(server: MachineServer) -> errors.NameTaken:
    return errors.NameTaken(
        f"Server '{server.name}' ({server.id}) was adopted by somebody else "
        'at the same time, whose machine it is now',
        f'See it: openstack docker machine show {server.id}',
    )


def _prepare(
    cloud: Cloud,
    folder: MachineFolder,
    request: AdoptRequest,
    proposal: Proposal,
    steps: Steps,
) -> MachineServer:
    """Keep the keys, and mark the server."""
    server, way = proposal.server, proposal.way
    if not folder.exists():
        _make_keys(folder, request, server.name)
    errand.pin(folder, [way], proposal.findings.host_keys)
    record = Record(
        id=str(local_record(folder)['id']),
        origin=ADOPTED,
        access=request.access,
        address=way.address,
        engine_port=request.engine_port,
        engine_source=request.engine_source,
        ssh_user=way.user,
        ssh_port=way.port,
        host_key=next(iter(proposal.findings.host_keys), ''),
        tls_sans=','.join(request.tls_sans),
        security_group_id=server.record.security_group_id,
    )
    with interrupts.held():
        cloud.mark_server(server.id, record)
    return dataclasses.replace(server, record=record)


def _open(
    cloud: Cloud, proposal: Proposal, steps: Steps, record: Record
) -> Record:
    """Put the server into a group of ours, if need be; give its record.

    Called once the host is ours, so that nobody has to be taken out again
    who has lost it. The record names the group before the server is in it: a
    delete takes it out again whatever happens in between.
    """
    server, rules = proposal.server, proposal.rules
    if not rules:
        return record
    steps.begin('Adding the security group')
    for tries_left in reversed(range(_GROUP_TRIES)):
        with interrupts.held():
            group = cloud.group_of(rules)
            record = record.replace(security_group_id=group)
            cloud.write_record(server.id, record)
        try:
            with interrupts.held():
                cloud.open_to(server.id, group)
        except ApiError as error:
            # Whoever deleted the last machine took the group along.
            if error.status != _GONE or not tries_left:
                raise
        else:
            return record
    raise AssertionError('the last try returns or raises')


def _make_keys(
    folder: MachineFolder, request: AdoptRequest, name: str
) -> None:
    secrets = accesses.of(request.access).secrets(name)
    folder.create()
    key = request.ssh_key
    folder.save(
        {'id': new_machine_id()}
        | ({'ssh_key': str(key.absolute())} if key else {})
    )
    for filename, secret in secrets.items():
        folder.write(filename, secret)


def _keep(
    cloud: Cloud,
    contexts: Contexts,
    request: AdoptRequest,
    folder: MachineFolder,
    server: MachineServer,
    steps: Steps,
) -> None:
    folder.save(local_record(folder) | local_facts(server))
    ssh_entries.offer(folder, steps)
    if request.context and not contexting.name_of(folder):
        contexting.offer(contexts, folder, server.record, cloud.name, steps)


@contextlib.contextmanager
def _taken_back(
    cloud: Cloud,
    contexts: Contexts,
    proposal: Proposal,
    folder: MachineFolder,
    steps: Steps,
) -> Iterator[None]:
    """Take all changes back if anything goes wrong, Ctrl-C included.

    A machine that was one before stays one, for provision to mend.
    """
    was_machine = bool(proposal.server.record.id)
    try:
        yield
    except BaseException as error:
        where = steps.where
        if was_machine:
            failing.tell(error, where, 'provision', proposal.server.name)
            raise
        if getattr(error, 'exit_code', 0) == engine.EXIT_TAKEN:
            # What we have written into the cloud is the other one's to write
            # over at its end; to take it off now would undo its marks.
            removal.remove_locally(folder, contexts, '', steps)
            raise _taken(proposal.server) from error
        steps.begin('Taking the changes back')
        problem = _undo(cloud, proposal, folder, steps)
        removal.remove_locally(folder, contexts, '', steps)
        if isinstance(error, errors.MachineError):
            error.message = (
                f"Server '{proposal.server.name}' was not adopted: it failed "
                f'at {where}.\n{error.message}\n'
                f'{problem or "All changes were taken back."}'
            )
            error.hint = failing.and_then(
                error.hint,
                'When that is mended: openstack docker machine adopt '
                f'{proposal.server.name}',
            )
        raise


def _undo(
    cloud: Cloud, proposal: Proposal, folder: MachineFolder, steps: Steps
) -> str:
    """Take back what was done so far; give what could not be."""
    try:
        server = cloud.server(proposal.server.id)
        if server and (server.record.id or TAG in server.tags):
            leave(cloud, server, folder, Deadline(120), steps)
        else:
            cloud.remove_unused_groups()
    except errors.MachineError as error:
        return (
            f'Not all could be taken back: {error.message}\n'
            'To take the rest back: openstack docker machine delete '
            f'{proposal.server.name}'
        )
    return ''


def _known_way(record: Record, folder: MachineFolder) -> errand.Way:
    """Give the way to the host, also where its key was never pinned."""
    if folder.exists() and folder.has(store.KNOWN_HOSTS):
        return errand.known_way(record, folder)
    return errand.Way(
        record.address,
        record.ssh_port,
        record.ssh_user,
        None,
        (record.host_key,),
        users=True,
    )
