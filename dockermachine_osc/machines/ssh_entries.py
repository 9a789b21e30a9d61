# SPDX-License-Identifier: Apache-2.0
"""Which machines the system's ssh is to know by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dockermachine_osc import errors, store
from dockermachine_osc.machines import endpoint
from dockermachine_osc.machines.machine import (
    local_record,
    remembered,
    target,
)
from dockermachine_osc.sshconfig import Entry, SshConfig

if TYPE_CHECKING:
    from pathlib import Path

    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder


def refresh(root: Path) -> str:
    """Bring ssh's knowledge up to date with our files, of all clouds.

    :param root: of our files.
    :returns: what to tell the user, '' if there is nothing.
    :raises StoreFailure: if our own files cannot be read or written.
    """
    entries = [e for folder in _folders(root) if (e := _entry(folder))]
    return SshConfig(root).update(entries)


def _folders(root: Path) -> Iterator[MachineFolder]:
    for path in sorted(root.glob('scopes/*/machines/*')):
        scope = store.Scope(root, path.parents[1].name)
        if path.is_dir() and path.name in scope.names():
            yield scope.machine(path.name)


def _entry(folder: MachineFolder) -> Entry | None:
    """Give a machine's entry; None for one of another access, or damaged."""
    record = remembered(local_record(folder))
    if record.access != endpoint.SSH or not (record.id and record.address):
        return None
    try:
        pinned = folder.read(store.KNOWN_HOSTS).decode(errors='replace')
    except errors.StoreFailure:
        return None
    login = target(record, folder)
    return Entry(
        endpoint.alias(folder.name, record.id),
        login.address,
        login.port,
        login.user,
        login.known_hosts,
        (pinned.split() or [''])[0],
        login.key,
    )


def is_listed(folder: MachineFolder) -> bool:
    """Tell whether ssh is to know a machine by a name."""
    return local_record(folder).get('access') == endpoint.SSH


def in_use(root: Path) -> bool:
    """Tell whether ssh knows a machine, or one that is gone, by a name.

    :param root: of our files.
    """
    return SshConfig(root).path.is_file()


def offer(folder: MachineFolder, steps: Steps) -> None:
    """Have ssh know a machine that has become ready: no reason to fail."""
    if not is_listed(folder):
        return
    try:
        said = refresh(folder.scope.root)
    except errors.StoreFailure as error:
        said = f'docker cannot find this machine yet: {error}'
    if said:
        steps.warn(said)
