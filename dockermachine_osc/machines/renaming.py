# SPDX-License-Identifier: Apache-2.0
"""Another name for a machine: in the cloud, and then in the files here.

The cloud comes first. Files that stand under a former name are found by the
machine's id and follow, on this workstation at once and on others whenever
they meet the machine; so it does not matter who has renamed the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockermachine_osc import errors, store
from dockermachine_osc.machines.machine import is_of

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.store import MachineFolder, Scope


def rename(
    cloud: Cloud, files: Scope, server: MachineServer, name: str
) -> bool:
    """Rename a machine in the cloud; tell whether it had another name.

    :raises InvalidRequest: if no machine can have that name.
    :raises NameTaken: if a server or files here have it.
    """
    store.check_name(name)
    if name != server.name:
        _check_free(cloud, files, server, name)
        cloud.rename_server(server.id, name)
    # Also if it had the name: one that was cut off is finished.
    marks = [m for m in cloud.marked() if m.machine_id == server.record.id]
    for marked in marks:
        if marked.machine_name != name:
            cloud.mark_anew(marked, name)
    return name != server.name


def _check_free(
    cloud: Cloud, files: Scope, server: MachineServer, name: str
) -> None:
    if other := cloud.server_named(name):
        raise errors.NameTaken(
            f"Server '{name}' exists already in this project: {other}",
            'Choose another name',
        )
    folder = files.machine(name)
    if folder.exists() and not is_of(folder, server):
        raise errors.NameTaken(
            f"There are files of another machine '{name}' on this workstation",
            'If that machine is gone, remove them: openstack docker machine '
            f'delete {name}',
        )


def follow(files: Scope, server: MachineServer) -> MachineFolder:
    """Give a machine's folder, found under whatever name it had here.

    :raises InvalidRequest: if no machine can have the server's name.
    :raises StoreFailure: if it cannot be renamed, or is being worked on.
    """
    folder = files.machine(server.name)
    if folder.exists() or not server.record.id:
        return folder
    for name in files.names():
        former = files.machine(name)
        if is_of(former, server):
            with files.lock(name, wait=False):
                return former.rename(server.name)
    return folder
