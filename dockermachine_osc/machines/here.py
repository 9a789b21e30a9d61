# SPDX-License-Identifier: Apache-2.0
"""What this workstation has of the machines in the cloud."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.machines import contexting, renaming, ssh_entries
from dockermachine_osc.machines.machine import (
    Machine,
    as_known_here,
    has_keys,
    local_facts,
    local_record,
    owns,
)

if TYPE_CHECKING:
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.store import MachineFolder, Scope


class Here:
    """The files of one project, and the contexts of this user."""

    def __init__(self, files: Scope, contexts: Contexts) -> None:
        self._files = files
        self._contexts = contexts

    def machine(self, server: MachineServer) -> Machine:
        """Put the cloud's and the workstation's knowledge together."""
        with contextlib.suppress(errors.MachineError):
            folder = self.folder(server)
            if folder:
                server = as_known_here(server, folder)
            if folder and has_keys(folder, server.record.access):
                context = contexting.name_of(folder)
                return Machine(server, folder, context)
        return Machine(server, None)

    def folder(self, server: MachineServer) -> MachineFolder | None:
        """Give a machine's folder, whole or not; None if it is not here.

        :raises StoreFailure: if it cannot be used: of a newer release, ...
        """
        try:
            folder = renaming.follow(self._files, server)
        except errors.InvalidRequest:
            return None
        self._files.settle(folder.name)
        return folder if owns(folder, server) else None

    @contextlib.contextmanager
    def worked_on(
        self, server: MachineServer
    ) -> Iterator[tuple[MachineServer, MachineFolder]]:
        """Keep others off a machine's files meanwhile.

        What is missing of them is found where it is needed: most of it can
        be made anew.

        :raises StoreFailure: if its files are not on this workstation.
        """
        folder = self.folder(server)
        if folder is None:
            raise errors.StoreFailure(
                f"The keys of machine '{server.name}' are not on this "
                'workstation',
                'Do this where the machine was created',
            )
        server = as_known_here(server, folder)
        with self._files.lock(server.name, wait=False):
            if not local_record(folder):
                self.remember(server, folder)
            yield server, folder

    def remember(self, server: MachineServer, folder: MachineFolder) -> None:
        """Bring files and context up to date with what the cloud says.

        The caller holds the lock of the machine's files.

        :raises StoreFailure: if they cannot be written.
        """
        known = local_record(folder)
        lost = {} if known else self._lost(server)
        fresh = known | lost | _said(server)
        if fresh != known:
            folder.save(fresh)
        record = server.record.replace(address=str(fresh.get('address', '')))
        contexting.refresh(self._contexts, folder, record)
        if ssh_entries.is_listed(folder):
            ssh_entries.refresh(self._files.root)

    def _lost(self, server: MachineServer) -> dict[str, object]:
        """Give what a record that was lost said, and the cloud does not."""
        made = self._contexts.made_for(server.record.id)
        return {'context': made[0]} if made else {}


def _said(server: MachineServer) -> dict[str, object]:
    """Give what the cloud says that fits; anybody in the project can write it.

    An address that is not the server's is found out by `check`, and mended by
    `provision`.
    """
    facts = {key: value for key, value in local_facts(server).items() if value}
    if server.addresses and server.record.address not in server.addresses:
        facts.pop('address', None)
    return facts
