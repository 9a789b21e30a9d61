# SPDX-License-Identifier: Apache-2.0
"""delete: of what was made here, of what was adopted, of what is left."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dockermachine_osc import errors, store
from dockermachine_osc.machines import leftovers, removal
from dockermachine_osc.machines.machine import (
    check_replaceable,
    has_its_keys,
    local_record,
)
from dockermachine_osc.report import Steps
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.report import Reporter
    from dockermachine_osc.store import MachineFolder, Scope


@dataclasses.dataclass(frozen=True)
class Deletion:
    """Who deletes, where, and for how many seconds at most."""

    cloud: Cloud
    files: Scope
    contexts: Contexts
    timeout: float
    reporter: Reporter

    def delete(
        self,
        name: str,
        server: MachineServer | None,
        *,
        with_server: bool,
        leave_host: bool,
    ) -> bool:
        """Delete a machine with all that it owns; see Machines.delete.

        :param server: None if there is none of that name any more.
        :returns: whether there was anything to delete.
        """
        with _locked(self.files, name):
            if server and server.record.server_stays and not with_server:
                self._leave(server, host=not leave_host)
                return True
            notes = leftovers.made_for(self.cloud, self.files, server)
            if server and server.record.newer:
                notes.append(
                    f"'{name}' was a machine of a newer release: what only "
                    'that knows of is still there'
                )
            stale = not server and self._is_stale(name)
            ids = removal.owners(self.cloud, name, server, stale=stale)
            for machine_id in ids:
                own = server if _is(server, machine_id) else None
                removal.remove_from_cloud(
                    self.cloud, machine_id, own, Deadline(self.timeout)
                )
                self._remove_locally(name, machine_id, server)
            there = bool(ids) or self._forget(name)
        for note in notes:
            self.reporter.note(note)
        return there

    def _leave(self, server: MachineServer, *, host: bool) -> None:
        """Take back what adopting has changed; the server stays."""
        from dockermachine_osc.machines import adoption

        if not server.record.id:
            self.reporter.note(
                f"'{server.name}' ({server.id}) has the tag of a machine, and "
                'no record of one: that is taken off, and the server stays'
            )
        adoption.leave(
            self.cloud,
            server,
            self.files.machine(server.name),
            Deadline(self.timeout),
            Steps(self.reporter),
            host=host,
        )
        self._remove_locally(server.name, self._left_id(server), server)

    def _left_id(self, server: MachineServer) -> str:
        """Give the id of a server's machine; here, if it has no record."""
        local = local_record(self.files.machine(server.name))
        if server.record.id or local.get('server_id') not in (None, server.id):
            return server.record.id
        return str(local.get('id') or '')

    def _is_stale(self, name: str) -> bool:
        """Tell whether here are files of a machine that has no server."""
        try:
            folder = self.files.machine(name)
        except errors.InvalidRequest:
            return False
        known = str(local_record(folder).get('server_id') or '')
        return folder.exists() and not (known and self.cloud.server(known))

    def _forget(self, name: str) -> bool:
        """Remove what is only local; tell whether there was anything."""
        self.cloud.remove_unused_groups()
        folder = self.files.machine(name)
        there = folder.exists()
        machine_id = str(local_record(folder).get('id') or '')
        if there and not machine_id:
            self.reporter.note(
                f'{folder.path} is removed, though its record cannot be read'
            )
        removal.remove_locally(
            folder, self.contexts, machine_id, Steps(self.reporter)
        )
        return there

    def _remove_locally(
        self, name: str, machine_id: str, server: MachineServer | None
    ) -> None:
        """Remove the local files, if they are of this very machine."""
        try:
            folder = self.files.machine(name)
        except errors.InvalidRequest:
            return
        if self._is_its(folder, machine_id, server):
            removal.remove_locally(
                folder, self.contexts, machine_id, Steps(self.reporter)
            )

    def _is_its(
        self,
        folder: MachineFolder,
        machine_id: str,
        server: MachineServer | None,
    ) -> bool:
        """Tell whether a folder is that of a machine that is gone.

        Keys of which that cannot be told may open another machine.
        """
        try:
            check_replaceable(folder)
        except errors.StoreFailure as error:
            if server and has_its_keys(folder, server.record):
                return True
            self.reporter.warn(str(error))
            return False
        local = local_record(folder)
        of_others = server and local.get('server_id') not in (None, server.id)
        return local.get('id') in (machine_id, None) and not of_others


@contextlib.contextmanager
def _locked(files: Scope, name: str) -> Iterator[None]:
    """Lock a machine's files; names of other tools' making have none."""
    try:
        store.check_name(name)
    except errors.InvalidRequest:
        yield
        return
    with files.lock(name, wait=False):
        yield


def _is(server: MachineServer | None, machine_id: str) -> bool:
    return server is not None and server.record.id == machine_id
