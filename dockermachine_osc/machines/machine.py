# SPDX-License-Identifier: Apache-2.0
"""A machine: what the cloud and what this workstation know of it."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dockermachine_osc import store
from dockermachine_osc.errors import MachineError, StoreFailure
from dockermachine_osc.record import READY

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
    folder: Path | None
    context: str = ''
    engine: EngineFacts | MachineError | None = None

    @property
    def state(self) -> str:
        """In one word: running, or what keeps it from being that."""
        if self.server.task == 'deleting':
            return 'deleting'
        if self.server.status == 'ERROR':
            return 'error'
        if self.server.record.state != READY:
            return self.server.record.state
        return _STATES.get(self.server.status, self.server.status.lower())

    @property
    def url(self) -> str:
        """Where Docker clients find the engine, '' if there is no address."""
        return engine_url(
            self.server.record.address, self.server.record.engine_port
        )


_STATES = {
    'ACTIVE': 'running',
    'SHUTOFF': 'stopped',
    'SHELVED_OFFLOADED': 'shelved',
    'VERIFY_RESIZE': 'running',
}


def engine_url(address: str, port: int) -> str:
    """Give the value of DOCKER_HOST."""
    if not address:
        return ''
    host = f'[{address}]' if ':' in address else address
    return f'tcp://{host}:{port}'


def days_left(expires: str) -> int | None:
    """Give whole days until an ISO 8601 time; None if there is none."""
    if not expires:
        return None
    moment = datetime.datetime.fromisoformat(expires)
    return (moment - datetime.datetime.now(datetime.UTC)).days


def has_keys(folder: MachineFolder) -> bool:
    """Tell whether a Docker client can use the folder."""
    names = (store.CA, store.CERT, store.KEY)
    return all(folder.has(name) for name in names)


def private_key(folder: MachineFolder) -> Path | None:
    """Give the file of the key to log in with; None leaves it to the agent."""
    if folder.has(store.SSH_KEY):
        return folder.path / store.SSH_KEY
    users = local_record(folder).get('ssh_key')
    return Path(users) if isinstance(users, str) and users else None


def local_record(folder: MachineFolder) -> dict[str, object]:
    """Read a machine's local record; nothing if there is none to be read."""
    try:
        return folder.load()
    except StoreFailure:
        return {}


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
    }
