# SPDX-License-Identifier: Apache-2.0
"""From a server that Nova builds to an engine that answers."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dockermachine_osc import door, engine, errors, store
from dockermachine_osc.machines import atonce, endpoint, errand, rivalry
from dockermachine_osc.record import READY
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.engine import ConsoleFacts
    from dockermachine_osc.machines.draft import Draft
    from dockermachine_osc.record import Record
    from dockermachine_osc.report import Steps

#: Seconds after which a silent console is no longer waited for, if SSH
#: answers. cloud-init writes the host's keys there within seconds.
CONSOLE_PATIENCE = 60
#: Seconds between two looks at the console while SSH does not answer yet.
_CONSOLE_EVERY = 5.0
#: Seconds between two looks whether the server is there at all.
_LOOK_EVERY = 10.0


def bring_up(
    cloud: Cloud,
    draft: Draft,
    deadline: Deadline,
    steps: Steps,
) -> MachineServer:
    """Wait for the server, have the engine set up, prove it.

    :raises CloudFailure: if Nova cannot build the server.
    :raises NameTaken: if somebody else creates that name, and goes on.
    :raises HostFailure: if SSH does not let us in.
    :raises EngineFailure: if the engine cannot be set up or proven.
    :raises DeadlineExceeded: if a step takes too long.
    """
    steps.begin('Waiting for the server to become active')
    rivals = rivalry.Rivalry(draft.server_id)
    name = draft.request.name
    if not draft.asked:
        # Takes a while, and now the server needs one anyway.
        importlib.import_module('dockermachine_osc.host')
    with contextlib.closing(_door(draft)) as entry:
        server = cloud.wait_active(
            draft.server_id, name, deadline, rivals.meet, entry.pause
        )
        _keep_open(cloud, draft, server, steps)
        steps.begin("Waiting for the host's keys on the console")
        facts = _learn(cloud, draft, entry, deadline)
    steps.begin('Waiting for SSH')
    if not entry.is_open:
        _wait_ssh(cloud, draft, facts, deadline)
    way = _way(draft, facts)
    ready = atonce.ready(cloud, draft, way, facts, deadline, steps)
    draft.record = ready or _visit(draft, way, deadline, steps)
    rivals.settle(cloud, name, deadline, steps)
    _say_ready(cloud, draft)
    return dataclasses.replace(server, record=draft.record)


def _door(draft: Draft) -> door.Door:
    # An engine that is not there yet refuses, which tells of the host.
    tls = draft.request.access == endpoint.TLS
    bell = draft.request.engine_port if tls else None
    return door.Door(draft.record.address, _ssh_port(draft), bell)


def _visit(
    draft: Draft, way: errand.Way, deadline: Deadline, steps: Steps
) -> Record:
    """Set the engine up on the host, and give the record when it answers."""
    steps.begin('Setting up the engine')
    request = draft.request
    further = engine.further_files(request.engine_options, request.post_script)
    parcel = engine.handover(
        draft.engine,
        {**draft.goods, **further},
        wait=errand.hosts_time(deadline),
    )
    done = errand.run(way, draft.folder, parcel, deadline, steps)
    errand.options_arrived(draft.folder)
    steps.begin('Waiting for the engine')
    version = draft.access.prove(
        draft.record, draft.folder, done.outcome, deadline, _way_in(draft)
    )
    return draft.record.replace(
        state=READY,
        ssh_user=way.user,
        host_key=done.key_line,
        engine_version=version,
    )


def _keep_open(
    cloud: Cloud, draft: Draft, server: MachineServer, steps: Steps
) -> None:
    """Put the server into its group anew if that was taken from it.

    Whoever deletes the last machine of a group deletes the group. Neutron
    looks whether a port has it, and deletes it a moment later: a port that is
    made in between, ours, is left without one, and nobody is told.
    """
    plan = draft.plan
    own_ports = all(interface.port is None for interface in plan.interfaces)
    if not (plan.rules and own_ports):
        return
    if plan.rules.group_name in server.groups:
        return
    steps.note('its security group was deleted meanwhile: made again')
    group = cloud.group_of(plan.rules)
    cloud.open_to(server.id, group)
    draft.record = draft.record.replace(security_group_id=group)


def _say_ready(cloud: Cloud, draft: Draft) -> None:
    try:
        cloud.write_record(draft.server_id, draft.record)
    except errors.CloudFailure as error:
        if cloud.server(draft.server_id):
            raise
        raise errors.CloudFailure(
            'The server is gone: somebody has deleted it while it was set up'
        ) from error


def _learn(
    cloud: Cloud, draft: Draft, entry: door.Door, deadline: Deadline
) -> ConsoleFacts:
    """Read who may log in, and the host's keys, from the console log.

    The console comes from the cloud's API, which TLS and the token vouch
    for, so its keys prove the host before the first connection to it.
    """
    look_after = _watch(cloud, draft.server_id)
    facts = engine.read_console('', draft.machine_id)
    text: str | None = ''
    for _ in _moments(entry, deadline):
        text = cloud.console(draft.server_id)
        if text is None:
            return facts
        facts = engine.read_console(text, draft.machine_id)
        if facts.host_keys and (facts.login or draft.request.ssh_user):
            # A failure is told better by the host itself: with its log.
            return facts
        if facts.failure:
            raise errors.EngineFailure(facts.failure)
        look_after()
        if entry.is_open and deadline.elapsed > CONSOLE_PATIENCE:
            return facts
    raise _never_learned(draft, text or '', deadline)


def _moments(entry: door.Door, deadline: Deadline) -> Iterator[None]:
    """Yield when it is worth while to look at the console.

    SSH starts once the host has its keys: then they are there, or will be
    in a moment.
    """
    while not entry.wait(min(_CONSOLE_EVERY, deadline.remaining)):
        deadline.check()
        yield
        if not deadline.remaining:
            return
    yield from deadline.polls(first=0.1)


def _never_learned(
    draft: Draft, text: str, deadline: Deadline
) -> errors.DeadlineExceeded:
    error = deadline.exceeded(
        'The server is ACTIVE, but neither its console showed the keys of '
        f'SSH nor did SSH at {draft.record.address} answer',
        'Has the image cloud-init, and do your user data end? The whole '
        f'console: openstack console log show {draft.request.name} (create '
        'with --keep-on-failure)',
    )
    end = engine.console_end(text)
    ends = 'The console is empty.' if not end else 'The console ends with:'
    error.message = '\n'.join(
        (error.message, ends, *(f'  | {x}' for x in end))
    )
    return error


def _ssh_port(draft: Draft) -> int:
    return draft.request.ssh_port


def _watch(cloud: Cloud, server_id: str) -> Callable[[], None]:
    """Give what looks now and then whether a server is still there.

    Somebody else may delete it, and then nothing answers ever after.
    """
    pause = Deadline(_LOOK_EVERY)

    def look() -> None:
        nonlocal pause
        if pause.remaining:
            return
        if not cloud.server(server_id):
            raise errors.CloudFailure(
                'The server is gone: somebody has deleted it'
            )
        pause = Deadline(_LOOK_EVERY)

    return look


def _wait_ssh(
    cloud: Cloud, draft: Draft, facts: ConsoleFacts, deadline: Deadline
) -> None:
    from dockermachine_osc import host

    address, port = draft.record.address, _ssh_port(draft)
    try:
        host.wait_open(
            address,
            port,
            deadline,
            meanwhile=_watch(cloud, draft.server_id),
        )
    except errors.DeadlineExceeded as error:
        booted = (
            'The server has booted: its console shows the keys of SSH. '
            if facts.host_keys
            else ''
        )
        raise errors.DeadlineExceeded(
            f'{error.message}. {booted}{_way_in(draft)}',
            'Check the rules: openstack security group rule list <group>, '
            'and the way there: a firewall or VPN in between',
        ) from error


def _way_in(draft: Draft) -> str:
    if draft.plan.rules and not draft.plan.port:
        return f'Its security group opens {draft.plan.rules}'
    groups = () if draft.plan.port else draft.plan.named_groups
    names = ', '.join(str(g.name) for g in groups)
    of = f'Security group {names}' if names else 'The port given'
    return f'{of} seems not to open tcp {_ssh_port(draft)} from here'


def _way(draft: Draft, facts: ConsoleFacts) -> errand.Way:
    """Give the user to log in as: said, seen on the console, or guessed."""
    user = draft.request.ssh_user or facts.login or draft.plan.login_user
    if not user:
        raise errors.HostFailure(
            'Neither the console nor the image tells whom to log in as',
            'Say it with --ssh-user',
        )
    key = draft.request.ssh_key
    if not draft.request.key_name:
        key = draft.folder.path / store.SSH_KEY
    address, port = draft.record.address, _ssh_port(draft)
    return errand.Way(address, port, user, key, facts.host_keys)
