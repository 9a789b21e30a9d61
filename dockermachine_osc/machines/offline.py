# SPDX-License-Identifier: Apache-2.0
"""What this workstation knows of a machine without asking any network."""

from __future__ import annotations

import dataclasses

from dockermachine_osc import errors, openssh, store
from dockermachine_osc.machines import expiry
from dockermachine_osc.machines.endpoint import KEYS, Endpoint
from dockermachine_osc.machines.machine import (
    endpoint_of,
    remembered,
    target,
)


@dataclasses.dataclass(frozen=True)
class LocalMachine:
    """A machine as its local record has it.

    ``warning`` says which certificate ends soon, '' if none does; it comes
    from ``warned_from`` on, a time.time(), None for never.
    """

    name: str
    address: str
    endpoint: Endpoint
    ssh_target: openssh.Target
    folder: store.MachineFolder
    warning: str = ''
    warned_from: float | None = None


def local_machine(
    files: store.Store, fingerprint: str, cloud: str, name: str
) -> LocalMachine:
    """Find a machine in the local files.

    :param fingerprint: of the cloud's configuration, see identity.fingerprint.
    :param cloud: the cloud's name, for the error message.
    :raises NotFound: if it has no keys on this workstation.
    :raises StoreFailure: if its record is damaged, or a file is missing.
    """
    store.check_name(name)
    scope = files.recall(fingerprint)
    folder = scope.machine(name) if scope else None
    if scope is None or folder is None or not folder.exists():
        raise _unknown(scope, cloud, name)
    scope.settle(name)
    record = remembered(folder.load())
    if not record.address:
        raise errors.StoreFailure(
            f"The local record of machine '{name}' has no address",
            f'Read it from the cloud: openstack docker machine show {name}',
        )
    _check_whole(folder, record.access)
    warnings = (_closed(folder), expiry.warning(name, record))
    return LocalMachine(
        name,
        record.address,
        endpoint_of(record, folder),
        target(record, folder),
        folder,
        '\n'.join(filter(None, warnings)),
        expiry.warned_from(record),
    )


def _check_whole(folder: store.MachineFolder, access: str) -> None:
    for filename in KEYS[access]:
        if not folder.has(filename):
            folder.read(filename)


def _closed(folder: store.MachineFolder) -> str:
    """Close what others could read, as ssh would refuse it; say so."""
    opened = ', '.join(folder.tighten())
    if not opened:
        return ''
    return (
        f"The modes of {opened} of machine '{folder.name}' let other users "
        f'read them. If somebody has: openstack docker machine cert renew '
        f'--ca {folder.name}'
    )


def _unknown(
    scope: store.Scope | None, cloud: str, name: str
) -> errors.NotFound:
    where = f"cloud '{cloud}'" if cloud else 'this cloud'
    known = ', '.join(scope.names()) if scope else ''
    return errors.NotFound(
        f"Machine '{name}' of {where} has no keys on this workstation"
        + (f'; those that have: {known}' if known else ''),
        'See what the cloud has: openstack docker machine list',
    )
