# SPDX-License-Identifier: Apache-2.0
"""Taking a machine away, whole or half-made: the one way for all cases.

What belongs to a machine is found by the mark that each resource carries, not
by the ids in the server's metadata: anybody in the project can write those,
and after a crash there may be no server to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockermachine_osc import answers, errors
from dockermachine_osc.machines import contexting, ssh_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.cloud.marks import Marked
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder
    from dockermachine_osc.waiting import Deadline


def owners(
    cloud: Cloud, name: str, server: MachineServer | None, *, stale: bool
) -> Sequence[str]:
    """Give the ids of the machines to delete: one, or crashed ones'.

    :param stale: whether there are files of that name, and of no server.
    :raises InvalidRequest: if only a server has that name, and is no machine.
    """
    if server:
        return [server.record.id]
    if not stale and (other := cloud.server_named(name)):
        raise errors.InvalidRequest(
            f"Server '{name}' ({other}) is not a machine of this tool",
            f'To delete it all the same: openstack server delete {other}',
        )
    alive = {m.record.id for m in cloud.machines()}
    return sorted(
        {
            m.machine_id
            for m in cloud.marked()
            if name in (m.machine_name, m.machine_id)
        }
        - alive
    )


def remove_from_cloud(
    cloud: Cloud,
    machine_id: str,
    server: MachineServer | None,
    deadline: Deadline,
) -> list[str]:
    """Remove what is owned by a machine and wait until it is gone.

    :returns: what was removed, in words.
    :raises InvalidRequest: if another server uses any of it; nothing is
        removed then.
    :raises CloudFailure: if something is left; the rest has been tried.
    """
    removed: list[str] = []
    marked = [m for m in cloud.marked() if m.machine_id == machine_id]
    _check_users(cloud, server, marked)
    if server:
        cloud.delete_server(server.id)
    # Addresses need not wait for the server; a port that it uses must.
    problems = _delete(
        cloud, _of_kind(marked, 'floating IP'), removed, deadline
    )
    if server:
        cloud.wait_server_gone(server.id, deadline)
        removed.insert(0, f'server {server.id}')
        _release(cloud, server, marked)
    problems += _delete(cloud, _of_kind(marked, 'port'), removed, deadline)
    removed += [f'security group {g}' for g in cloud.remove_unused_groups()]
    if problems:
        raise errors.CloudFailure('\n'.join(str(p) for p in problems))
    return removed


def user_of(
    cloud: Cloud, marked: Iterable[Marked], server_id: str = ''
) -> tuple[Marked, MachineServer] | None:
    """Find one of these that a server uses, other than the one given."""
    for resource in marked:
        if resource.used_by not in ('', server_id) and (
            user := cloud.server(resource.used_by)
        ):
            return resource, user
    return None


def _check_users(
    cloud: Cloud, server: MachineServer | None, marked: Iterable[Marked]
) -> None:
    """Refuse to take from a server what it uses.

    The id of its machine may have been copied to another server's metadata,
    or its own tag or metadata been lost.
    """
    found = user_of(cloud, marked, server.id if server else '')
    if not found:
        return
    resource, user = found
    what, other = f'{resource.kind} {resource.label}', f"'{user.name}'"
    if server:
        raise errors.InvalidRequest(
            f"Server '{server.name}' ({server.id}) has the machine id of "
            f'server {other} ({user.id}), which uses {what}: nothing was '
            'deleted',
            f'The copy alone: openstack server delete {server.id}; the '
            f'machine: openstack docker machine delete {user.id}',
        )
    raise errors.InvalidRequest(
        f"{what} of machine '{resource.machine_name}' is used by server "
        f'{other} ({user.id}), which is no such machine: nothing was deleted',
        'If that is to keep it, take its description away: openstack '
        f"{resource.kind.lower()} set --description '' {resource.id}",
    )


def remove_locally(
    folder: MachineFolder, contexts: Contexts, machine_id: str, steps: Steps
) -> None:
    """Remove the Docker context, the entry for ssh, and the files."""
    # Not by the record alone: it may be lost, or not yet tell.
    names = {contexting.name_of(folder), *contexts.made_for(machine_id)}
    for context in filter(None, names):
        contexts.remove(context, machine_id)
    contexts.sweep()
    folder.remove()
    answers.forget(folder.scope.root, folder.name)
    if ssh_entries.in_use(folder.scope.root) and (
        said := ssh_entries.refresh(folder.scope.root)
    ):
        steps.note(said)


def _of_kind(marked: Iterable[Marked], kind: str) -> list[Marked]:
    return [m for m in marked if m.kind == kind]


def _delete(
    cloud: Cloud,
    resources: list[Marked],
    removed: list[str],
    deadline: Deadline,
) -> list[errors.CloudFailure]:
    """Delete each, going on after a failure; give the failures."""
    problems = []
    for resource in resources:
        try:
            cloud.delete_marked(resource, deadline)
            removed.append(f'{resource.kind} {resource.label}')
        except errors.CloudFailure as error:
            problems.append(error)
    return problems


def _release(
    cloud: Cloud, server: MachineServer, marked: list[Marked]
) -> None:
    """Lead a floating IP of the user's away from a port of the user's.

    On a port of ours it comes free by itself as the port is deleted.
    """
    owned = {m.id for m in marked}
    record = server.record
    if (
        record.floating_ip_id
        and record.floating_ip_id not in owned
        and record.port_id not in owned
    ):
        cloud.detach_floating_ip(
            record.floating_ip_id, record.port_id, server.id
        )
