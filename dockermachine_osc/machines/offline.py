# SPDX-License-Identifier: Apache-2.0
"""What this workstation knows of a machine without asking any network."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path

from dockermachine_osc import errors, openssh, store
from dockermachine_osc.machines.machine import (
    engine_url,
    has_keys,
    private_key,
)


@dataclasses.dataclass(frozen=True)
class LocalMachine:
    """A machine as its local record has it."""

    name: str
    cert_path: Path
    address: str
    engine_port: int
    ssh_user: str = ''
    ssh_port: int = 22
    ssh_key: Path | None = None

    @property
    def ssh_target(self) -> openssh.Target:
        """Where the system's ssh finds the machine."""
        return openssh.Target(
            self.address,
            self.ssh_port,
            self.ssh_user,
            self.cert_path / store.KNOWN_HOSTS,
            self.ssh_key,
        )

    @property
    def url(self) -> str:
        """The value of DOCKER_HOST."""
        return engine_url(self.address, self.engine_port)


def local_machine(
    files: store.Store, fingerprint: str, cloud: str, name: str
) -> LocalMachine:
    """Find a machine in the local files.

    :param fingerprint: of the cloud's configuration, see store.fingerprint.
    :param cloud: the cloud's name, for the error message.
    :raises NotFound: if it has no keys on this workstation.
    :raises StoreFailure: if its record is damaged.
    """
    store.check_name(name)
    scope = files.recall(fingerprint)
    folder = scope.machine(name) if scope else None
    if folder is None or not folder.exists() or not has_keys(folder):
        raise _unknown(scope, cloud, name)
    record = folder.load()
    try:
        address = str(ipaddress.ip_address(str(record['address'])))
        ports = [int(str(record[k])) for k in ('engine_port', 'ssh_port')]
    except (KeyError, ValueError):
        raise errors.StoreFailure(
            f"The local record of machine '{name}' has no address",
            f'Read it from the cloud: openstack docker machine show {name}',
        ) from None
    user = str(record.get('ssh_user') or '')
    return LocalMachine(
        name,
        folder.path,
        address,
        ports[0],
        user,
        ports[1],
        private_key(folder),
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
