# SPDX-License-Identifier: Apache-2.0
"""What this workstation knows of a machine without asking any network."""

from __future__ import annotations

import dataclasses

from dockermachine_osc import errors, openssh, store
from dockermachine_osc.machines import expiry
from dockermachine_osc.machines.endpoint import Endpoint
from dockermachine_osc.machines.machine import (
    endpoint_of,
    has_keys,
    local_record,
    remembered,
    target,
)


@dataclasses.dataclass(frozen=True)
class LocalMachine:
    """A machine as its local record has it.

    ``warning`` says which certificate ends soon, '' if none does.
    """

    name: str
    address: str
    endpoint: Endpoint
    ssh_target: openssh.Target
    warning: str = ''


def local_machine(
    files: store.Store, fingerprint: str, cloud: str, name: str
) -> LocalMachine:
    """Find a machine in the local files.

    :param fingerprint: of the cloud's configuration, see identity.fingerprint.
    :param cloud: the cloud's name, for the error message.
    :raises NotFound: if it has no keys on this workstation.
    :raises StoreFailure: if its record is damaged.
    """
    store.check_name(name)
    scope = files.recall(fingerprint)
    folder = scope.machine(name) if scope else None
    if folder is None or not _is_here(folder):
        raise _unknown(scope, cloud, name)
    record = remembered(folder.load())
    if not record.address:
        raise errors.StoreFailure(
            f"The local record of machine '{name}' has no address",
            f'Read it from the cloud: openstack docker machine show {name}',
        )
    return LocalMachine(
        name,
        record.address,
        endpoint_of(record, folder),
        target(record, folder),
        expiry.warning(name, record),
    )


def _is_here(folder: store.MachineFolder) -> bool:
    access = local_record(folder).get('access')
    return folder.exists() and has_keys(folder, access)


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
