# SPDX-License-Identifier: Apache-2.0
"""Making a machine: check, make, boot, hand over, prove; or take it back."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors, pki, store
from dockermachine_osc.machines import (
    accesses,
    bringup,
    contexting,
    failing,
    making,
    removal,
    ssh_entries,
)
from dockermachine_osc.machines.draft import Draft
from dockermachine_osc.machines.machine import (
    check_replaceable,
    local_facts,
    local_record,
)
from dockermachine_osc.record import (
    KEPT,
    Record,
    new_machine_id,
)
from dockermachine_osc.report import Reporter, Steps
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer, Plan
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.request import CreateRequest
    from dockermachine_osc.store import MachineFolder, Scope

#: Bytes, many more than a machine's files have.
_ROOM = 1 << 16
#: Seconds that taking back a failed machine may last.
REMOVAL_TIMEOUT = 180


def check(
    cloud: Cloud,
    files: Scope,
    requests: Sequence[CreateRequest],
    reporter: Reporter,
) -> Plan:
    """Check all that can be before anything is made, and say what will be.

    The caller holds the locks of the machines' local files.

    :param requests: one or more that differ in nothing but the name.
    :raises InvalidRequest: and whatever else is in the way.
    """
    steps = Steps(reporter)
    steps.begin('Checking')
    # A second look at what only one needs costs less than asking it of all.
    plan = cloud.plan(requests, thorough=len(requests) > 1)
    _check_key(plan, requests[0])
    for request in requests:
        _check_folder(cloud, files.machine(request.name), steps)
    for note in plan.notes():
        steps.note(note)
    return plan


def create(
    cloud: Cloud,
    files: Scope,
    contexts: Contexts,
    request: CreateRequest,
    plan: Plan,
    deadline: Deadline,
    steps: Steps,
) -> MachineServer:
    """Make a machine as planned and prove that its engine answers.

    The caller holds the lock of the machine's local files.

    :raises MachineError: after what was made has been removed.
    """
    folder = files.machine(request.name)

    def create_as(plan: Plan) -> MachineServer:
        with _taken_back(cloud, contexts, request, steps) as drafts:
            draft = _draft(request, plan, folder)
            drafts.append(draft)
            with _doubted(plan):
                making.make(cloud, draft, steps)
            server = bringup.bring_up(cloud, draft, deadline, steps)
            _keep(cloud, contexts, draft, server, steps)
        return server

    try:
        return create_as(plan)
    except _Refused:
        # What is left now is for `delete`, and the error says so.
        if folder.exists():
            raise
        steps.begin('Looking closer at what the cloud has')
        # This one knows more, and raises if it knows why.
        better = cloud.plan([request])
        if better.assumptions == plan.assumptions:
            raise
    for note in better.notes():
        steps.note(note)
    return create_as(better)


class _Refused(errors.CloudFailure):
    """The cloud refused what was planned without asking for all of it."""


@contextlib.contextmanager
def _doubted(plan: Plan) -> Iterator[None]:
    """Tell a refusal that may be the plan's fault from others."""
    try:
        yield
    except errors.CloudFailure as error:
        if not (plan.assumed and error.refused):
            raise
        raise _Refused(error.message, error.hint) from error


# ------------------------------------------------------------------- check


def _check_key(plan: Plan, request: CreateRequest) -> None:
    if plan.public_key:
        # Imported late: a machine's own key needs no check, and paramiko
        # is then imported while the server boots.
        from dockermachine_osc import host

        host.check_key(plan.public_key, request.ssh_key)


def _check_folder(cloud: Cloud, folder: MachineFolder, steps: Steps) -> None:
    """Clear away the files of a machine that is gone from the cloud."""
    if not folder.exists():
        return
    check_replaceable(folder)
    local = local_record(folder)
    known, machine_id = local.get('server_id'), str(local.get('id') or '')
    # A create that was killed knew no more than the id.
    other = cloud.server(str(known)) if known else None
    if not known and machine_id:
        other = next(iter(cloud.find(machine_id)), None)
    if other:
        raise errors.NameTaken(
            f"The local files of '{folder.name}' belong to server "
            f"{other.id}, now named '{other.name}'",
            'Choose another name',
        )
    steps.note(f'{folder.path} was left by a machine that is gone: removed')
    folder.remove()


# -------------------------------------------------------------------- make


def _draft(request: CreateRequest, plan: Plan, folder: MachineFolder) -> Draft:
    """Make the keys: they are on disk before anything needs them."""
    machine_id = new_machine_id()
    way_in = accesses.of(request.access)
    secrets = way_in.secrets(request.name)
    if not request.key_name:
        ssh_key = pki.new_ssh_key(f'docker-machine {request.name}')
        secrets[store.SSH_KEY] = ssh_key.private
        plan = dataclasses.replace(plan, public_key=ssh_key.public)
    record = Record(
        id=machine_id,
        timeout=math.ceil(request.timeout),
        access=request.access,
        engine_port=request.engine_port,
        engine_source=request.engine_source,
        ssh_port=request.ssh_port,
        image=str(plan.image.resource.name),
        tls_sans=','.join(request.tls_sans),
    )
    draft = Draft(request, plan, folder, machine_id, record, way_in)
    # Refuses what it cannot use, so it comes before anything is on disk.
    draft.user_data()
    if request.engine_options:
        secrets[store.OPTIONS] = request.engine_options.render().encode()
    _fill(folder, machine_id, secrets)
    return draft


def _fill(
    folder: MachineFolder, machine_id: str, secrets: Mapping[str, bytes]
) -> None:
    folder.create()
    try:
        folder.save({'id': machine_id})
        for filename, secret in secrets.items():
            folder.write(filename, secret)
        # For what is still to come, when the machine is there.
        with folder.aside({'room': bytes(_ROOM)}):
            pass
    except BaseException:
        with contextlib.suppress(errors.StoreFailure):
            folder.remove()
        raise


# -------------------------------------------------------------------- keep


def _keep(
    cloud: Cloud,
    contexts: Contexts,
    draft: Draft,
    server: MachineServer,
    steps: Steps,
) -> None:
    """Write down what this workstation has to know later."""
    users_key = draft.request.ssh_key
    draft.folder.save(
        local_facts(server)
        | ({'ssh_key': str(users_key.absolute())} if users_key else {})
    )
    ssh_entries.offer(draft.folder, steps)
    if draft.request.context:
        # Only now: another create may have taken the name meanwhile.
        context = contexting.offer(
            contexts, draft.folder, server.record, cloud.name, steps
        )
        if context:
            steps.note(f'ready: docker --context {context} ps')


# --------------------------------------------------------------- take back


@contextlib.contextmanager
def _taken_back(
    cloud: Cloud, contexts: Contexts, request: CreateRequest, steps: Steps
) -> Iterator[list[Draft]]:
    """Remove what was made if anything goes wrong, Ctrl-C included."""
    drafts: list[Draft] = []
    try:
        yield drafts
    except errors.MachineError as error:
        where = steps.where
        # The same error goes on: those of other rooms have more to them than
        # a message.
        error.message = (
            f"Machine '{request.name}' was not created: it failed at "
            f'{where}.\n{error.message}\n'
            + _take_back(cloud, contexts, request, drafts, steps)
        )
        error.hint = failing.and_then(error.hint, _further(request, error))
        raise
    except BaseException:
        steps.warn(f"Interrupted at '{steps.current}'.")
        steps.begin('Removing what was made')
        steps.warn(_take_back(cloud, contexts, request, drafts, steps))
        raise


def _further(request: CreateRequest, error: errors.MachineError) -> str:
    """Say how to go on if it was the host that failed."""
    if not isinstance(error, failing.ON_THE_HOST):
        return ''
    if request.keep_on_failure:
        return (
            'When that is mended: openstack docker machine provision '
            f'{request.name}'
        )
    return 'To look at it there, create it again with --keep-on-failure'


def _take_back(
    cloud: Cloud,
    contexts: Contexts,
    request: CreateRequest,
    drafts: list[Draft],
    steps: Steps,
) -> str:
    """Remove what was made and say so, in a sentence."""
    finish = f'openstack docker machine delete {request.name}'
    if request.keep_on_failure:
        _mark_kept(cloud, drafts)
        return f'Everything was kept, as asked. To remove it: {finish}'
    if not drafts:
        return 'Nothing was made.'
    draft, deadline = drafts[0], Deadline(REMOVAL_TIMEOUT)
    gone = ''
    try:
        server = _find(cloud, draft)
        if draft.server_id and not server:
            gone = 'Somebody else has deleted its server meanwhile. '
        removed = removal.remove_from_cloud(
            cloud, draft.machine_id, server, deadline
        )
        if draft.attached:
            cloud.detach_floating_ip(*draft.attached)
    except (errors.MachineError, KeyboardInterrupt) as error:
        why = getattr(error, 'message', 'interrupted again')
        return (
            f'Not all that was made could be removed: {why}\n'
            f'To remove the rest: {finish}'
        )
    removal.remove_locally(draft.folder, contexts, draft.machine_id, steps)
    said = ', '.join(removed) or 'nothing was left'
    return f'{gone}Removed again: {said}.'


def _mark_kept(cloud: Cloud, drafts: list[Draft]) -> None:
    """Tell `prune` that this is nobody's leftover; without, age will tell."""
    with contextlib.suppress(errors.MachineError):
        for draft in drafts:
            if server := _find(cloud, draft):
                kept = server.record.replace(state=KEPT)
                cloud.write_record(server.id, kept)


def _find(cloud: Cloud, draft: Draft) -> MachineServer | None:
    """Find the server by its mark if its id never reached us."""
    if draft.server_id:
        return cloud.server(draft.server_id)
    return next(iter(cloud.find(draft.machine_id)), None)
