# SPDX-License-Identifier: Apache-2.0
"""On and off, whatever state a server is in.

Which action Nova allows in which state:
https://docs.openstack.org/api-ref/compute/#servers-run-an-action-servers-action
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dockermachine_osc import errors
from dockermachine_osc.cloud import failures, servers

if TYPE_CHECKING:
    from openstack.connection import Connection

    from dockermachine_osc.cloud.servers import MachineServer
    from dockermachine_osc.waiting import Deadline

ON = frozenset({'ACTIVE', 'VERIFY_RESIZE', 'PASSWORD'})
OFF = frozenset({'SHUTOFF', 'SUSPENDED', 'SHELVED', 'SHELVED_OFFLOADED'})
_MOVING = frozenset({'BUILD', 'REBOOT', 'HARD_REBOOT', 'RESIZE', 'MIGRATING'})

#: How to get from a state to ON.
_WAKE = {
    'SHUTOFF': 'start_server',
    'PAUSED': 'unpause_server',
    'SUSPENDED': 'resume_server',
    'SHELVED': 'unshelve_server',
    'SHELVED_OFFLOADED': 'unshelve_server',
}
#: What only its owner can end, and with which command.
_OWNERS_AFFAIR = {
    'RESCUE': 'openstack server unrescue {id}',
    'VERIFY_RESIZE': 'openstack server resize confirm {id}, or revert',
    'ERROR': 'openstack server show {id}',
}


def start(
    connection: Connection, server: MachineServer, deadline: Deadline
) -> bool:
    """Bring a server to ON and wait for it; tell whether it was not."""
    server = _settled(connection, server, deadline)
    if server.status in ON:
        return False
    if server.status not in _WAKE:
        raise _refused(server, 'started')
    _act(connection, server, _WAKE[server.status], 'start')
    _wait(connection, server, ON, deadline)
    return True


def stop(
    connection: Connection, server: MachineServer, deadline: Deadline
) -> bool:
    """Bring a server to OFF and wait for it; tell whether it was not.

    Nova stops ACTIVE servers only, so a paused one goes on for a moment.
    """
    server = _settled(connection, server, deadline)
    if server.status in OFF:
        return False
    if server.status == 'PAUSED':
        _act(connection, server, 'unpause_server', 'unpause')
        server = _wait(connection, server, ON, deadline)
    if server.status != 'ACTIVE':
        raise _refused(server, 'stopped')
    _act(connection, server, 'stop_server', 'stop')
    _wait(connection, server, OFF, deadline)
    return True


def restart(
    connection: Connection,
    server: MachineServer,
    deadline: Deadline,
    *,
    hard: bool,
) -> None:
    """Reboot a server, or start it if it is off, and wait for it.

    Nova says REBOOT from the moment it has accepted the request, so ACTIVE
    afterwards means that the reboot is behind us.
    """
    server = _settled(connection, server, deadline)
    if server.status in _WAKE:
        start(connection, server, deadline)
        return
    if server.status not in ON or server.status in _OWNERS_AFFAIR:
        raise _refused(server, 'restarted')
    kind = 'HARD' if hard else 'SOFT'
    _act(connection, server, 'reboot_server', 'reboot', kind)
    _wait(connection, server, ON, deadline)


def _settled(
    connection: Connection, server: MachineServer, deadline: Deadline
) -> MachineServer:
    """Wait until nothing else is being done to a server."""
    if server.status in _MOVING or server.task:
        return _wait(connection, server, None, deadline)
    return server


def _act(
    connection: Connection,
    server: MachineServer,
    action: str,
    word: str,
    *arguments: str,
) -> None:
    call: Callable[..., Any] = getattr(connection.compute, action)
    with failures.step(f'{word} server {server.name}'):
        call(server.id, *arguments)


def _wait(
    connection: Connection,
    server: MachineServer,
    wanted: frozenset[str] | None,
    deadline: Deadline,
) -> MachineServer:
    """Wait for one of the states, or for any that lasts."""
    for now in servers.watch(connection, server.id, deadline):
        if now is None:
            raise errors.NotFound(f"Machine '{server.name}' was deleted")
        if now.status in _MOVING or now.task:
            continue
        if wanted is None or now.status in wanted:
            return now
        if now.status == 'ERROR':
            raise errors.CloudFailure(
                f"Nova put machine '{server.name}' in ERROR: "
                + (now.fault or 'it gives no fault')
            )
    raise deadline.exceeded(f"Machine '{server.name}' did not get there")


def _refused(server: MachineServer, done: str) -> errors.InvalidRequest:
    way_out = _OWNERS_AFFAIR.get(server.status, 'openstack server show {id}')
    return errors.InvalidRequest(
        f"Machine '{server.name}' is {server.status} and cannot be {done} "
        'from there',
        'See to that first: ' + way_out.format(id=server.id),
    )
