# SPDX-License-Identifier: Apache-2.0
"""A machine: what the cloud and what this workstation know of it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dockermachine_osc import openssh, store
from dockermachine_osc.errors import MachineError, StoreFailure
from dockermachine_osc.local_record import NewerFiles
from dockermachine_osc.machines import endpoint, expiry
from dockermachine_osc.record import PREFIX, READY, Record

if TYPE_CHECKING:
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.engine import EngineFacts
    from dockermachine_osc.store import MachineFolder


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine; ``folder`` is None where this workstation has no keys.

    ``engine`` is what the engine itself answered just now, or the error; None
    if it was not asked.
    """

    server: MachineServer
    folder: MachineFolder | None
    context: str = ''
    engine: EngineFacts | MachineError | None = None

    @property
    def state(self) -> str:
        """In one word: running, or what keeps it from being that."""
        if self.server.task == 'deleting':
            return 'deleting'
        if not self.server.record.id:
            return INCOMPLETE
        if self.server.status == 'ERROR':
            return 'error'
        if self.server.record.state != READY:
            return self.server.record.state
        return _STATES.get(self.server.status, self.server.status.lower())

    @property
    def url(self) -> str:
        """Where Docker clients find the engine, '' if there is no address."""
        return endpoint_of(self.server.record, self.folder).url

    @property
    def warning(self) -> str:
        """Say which certificate ends soon, '' if none does."""
        return expiry.warning(self.server.name, self.server.record)


#: Has our tag and no record: an adopt, or the delete of what was adopted, was
#: cut off.
INCOMPLETE = 'incomplete'
_STATES = {
    'ACTIVE': 'running',
    'SHUTOFF': 'stopped',
    'SHELVED_OFFLOADED': 'shelved',
    'VERIFY_RESIZE': 'running',
}


def endpoint_of(
    record: Record, folder: MachineFolder | None
) -> endpoint.Endpoint:
    """Give what a Docker client has to know of a machine.

    :param folder: with its keys, None where this workstation has none.
    """
    if record.access == endpoint.TLS:
        return endpoint.over_tls(
            record.address, record.engine_port, folder.path if folder else None
        )
    if folder is None:
        return endpoint.elsewhere(
            record.address, record.ssh_user, record.ssh_port
        )
    return endpoint.over_ssh(folder.name, record.id)


def has_keys(folder: MachineFolder, access: object) -> bool:
    """Tell whether a Docker client can use the folder.

    :param access: how it gets to the engine, by the record.
    """
    names = endpoint.KEYS.get(str(access), endpoint.KEYS[endpoint.TLS])
    return all(folder.has(name) for name in names)


def owns(folder: MachineFolder, server: MachineServer) -> bool:
    """Tell whether a folder is that of a machine, whole or not.

    Where the local record is lost, the keys tell: what the cloud says of
    them others can write, but then they open nothing else than before.

    :raises NewerFiles: if it is of a newer release.
    """
    if not folder.exists():
        return False
    try:
        folder.load()
    except NewerFiles:
        raise
    except StoreFailure:
        return bool(server.record.id) and has_its_keys(folder, server.record)
    return is_of(folder, server)


def has_its_keys(folder: MachineFolder, record: Record) -> bool:
    """Tell whether the keys in a folder are those of a machine."""
    if record.access == endpoint.SSH:
        with contextlib.suppress(StoreFailure):
            pinned = folder.read(store.KNOWN_HOSTS).decode(errors='replace')
            return bool(record.host_key) and record.host_key in pinned
        return False
    # Here, so that what only lists loads no cryptography.
    from dockermachine_osc import pki

    with contextlib.suppress(StoreFailure):
        found = pki.facts(folder.read(store.CA)).fingerprint
        return found == record.ca_fingerprint
    return False


def check_replaceable(folder: MachineFolder) -> None:
    """Refuse to clear away keys of which nobody knows what they open.

    :raises StoreFailure: if the record of a folder with keys is lost, or of
        a newer release.
    """
    keys = {name for names in endpoint.KEYS.values() for name in names}
    keys |= {store.CA_KEY, store.SSH_KEY}
    try:
        folder.load()
    except StoreFailure as error:
        if isinstance(error, NewerFiles) or any(map(folder.has, keys)):
            error.message += ' There are keys beside it, which stay.'
            error.hint = (
                'If that machine is gone, remove them: openstack docker '
                f'machine delete {folder.name}'
            )
            raise


def private_key(folder: MachineFolder) -> Path | None:
    """Give the file of the key to log in with; None leaves it to the agent."""
    if folder.has(store.SSH_KEY):
        return folder.path / store.SSH_KEY
    users = local_record(folder).get('ssh_key')
    return Path(users) if isinstance(users, str) and users else None


def target(record: Record, folder: MachineFolder) -> openssh.Target:
    """Give where the system's ssh finds a machine."""
    return openssh.Target(
        record.address,
        record.ssh_port,
        record.ssh_user,
        folder.path / store.KNOWN_HOSTS,
        private_key(folder),
    )


def local_record(folder: MachineFolder) -> dict[str, object]:
    """Read a machine's local record; nothing if there is none to be read."""
    try:
        return folder.load()
    except StoreFailure:
        return {}


def is_of(folder: MachineFolder, server: MachineServer) -> bool:
    """Tell whether files are of this very server.

    The id alone would not do: anybody can copy it to another server.
    """
    local = local_record(folder)
    return local.get('id') == server.record.id and local.get('server_id') in (
        None,
        server.id,
    )


def as_known_here(
    server: MachineServer, folder: MachineFolder
) -> MachineServer:
    """Give a machine with the access that its files here say.

    That never changes; who writes another one into the metadata would lead
    docker another way.
    """
    known = local_record(folder).get('access')
    record = server.record
    if known not in endpoint.KEYS or known == record.access:
        return server
    problem = f'{PREFIX}access is not {known}, as it is here'
    record = dataclasses.replace(
        record, access=str(known), problems=(*record.problems, problem)
    )
    return dataclasses.replace(server, record=record)


def remembered(local: Mapping[str, object]) -> Record:
    """Give what a local record says, as far as it fits: see local_facts."""
    items = {
        f'{PREFIX}{key.replace("_", "-")}': str(value)
        for key, value in local.items()
    }
    return Record.from_metadata(items)


def local_facts(server: MachineServer) -> dict[str, object]:
    """Give what the local record keeps so that ``env`` needs no network."""
    record = server.record
    return {
        'id': record.id,
        'server_id': server.id,
        'address': record.address,
        'engine_port': record.engine_port,
        'access': record.access,
        'ssh_user': record.ssh_user,
        'ssh_port': record.ssh_port,
        'ca_expires': record.ca_expires,
        'server_expires': record.server_expires,
        'client_expires': record.client_expires,
    }
