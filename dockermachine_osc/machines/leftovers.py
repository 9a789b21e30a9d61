# SPDX-License-Identifier: Apache-2.0
"""What looks left over from Docker Machine in a project; nothing is removed.

A failed create of its leaves the server and the key pair; the removal of a
machine leaves its floating IP, always (drivers/openstack/openstack.go).
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors, store
from dockermachine_osc.machines.machine import local_record
from dockermachine_osc.record import IMPORTED

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.docker_machine_files import Entry
    from dockermachine_osc.store import MachineFolder, Scope

#: In the local record: what Docker Machine had made for a server.
MADE = 'docker_machine'
# The machine's name, with dots as underscores, and a random id.
_KEY_PAIR = re.compile(r'(?P<machine>.+)-[0-9a-f]{64}')


@dataclasses.dataclass(frozen=True)
class Leftover:
    """A resource, why it is shown, and the command that would remove it."""

    kind: str
    name: str
    server: str
    why: str
    removed_by: str


def find(
    cloud: Cloud, entries: Sequence[Entry], servers: Sequence[MachineServer]
) -> list[Leftover]:
    """List key pairs, servers and floating IPs that nothing here uses."""
    return [
        *_key_pairs(cloud, servers),
        *_servers(entries, servers),
        *_floating_ips(cloud, entries),
    ]


def _key_pairs(
    cloud: Cloud, servers: Sequence[MachineServer]
) -> Iterator[Leftover]:
    used = {server.key_name for server in servers}
    for name in sorted(set(cloud.key_pairs()) - used):
        if found := _KEY_PAIR.fullmatch(name):
            yield Leftover(
                'key pair',
                name,
                '',
                'named as Docker Machine names that of a machine '
                f"'{found['machine']}', and no server of this project has "
                'it; your other projects may',
                f'openstack keypair delete {shlex.quote(name)}',
            )


def _servers(
    entries: Sequence[Entry], servers: Sequence[MachineServer]
) -> Iterator[Leftover]:
    known = {entry.server_id for entry in entries}
    for server in servers:
        found = _KEY_PAIR.fullmatch(server.key_name)
        if (
            found
            and found['machine'] == server.name.replace('.', '_')
            and server.id not in known
            and not server.record.id
        ):
            yield Leftover(
                'server',
                server.name,
                server.name,
                'its key pair is named as by Docker Machine, and it is none '
                'of those in the folder; another workstation may have it',
                f'openstack server delete {server.id}',
            )


def _floating_ips(
    cloud: Cloud, entries: Sequence[Entry]
) -> Iterator[Leftover]:
    names = {e.address: e.name for e in entries if e.address}
    for address in sorted(cloud.unused_floating_ips()):
        machine = names.get(address)
        was = f", the address of Docker Machine's '{machine}'"
        yield Leftover(
            'floating IP',
            address,
            '',
            'unused floating IP' + (was if machine else ''),
            f'openstack floating ip delete {address}',
        )


def made_for(
    cloud: Cloud, files: Scope, server: MachineServer | None
) -> list[str]:
    """Say what Docker Machine had made for a server that is to be deleted.

    Only what its config.json named, and the cloud says is of this server.
    """
    if server is None or server.record.origin != IMPORTED:
        return []
    folder = files.machine(server.name)
    made = local_record(folder).get(MADE)
    if not isinstance(made, dict):
        return []
    said = []
    pair, address = made.get('key_pair'), made.get('floating_ip')
    if pair and pair == server.key_name and _is_its(cloud, pair, folder):
        said.append(
            f'Docker Machine had made key pair {pair} for it. To delete it: '
            f'openstack keypair delete {shlex.quote(pair)}'
        )
    if address and address in server.floating:
        said.append(
            f'Floating IP {address} was its address. To give it up: '
            f'openstack floating ip delete {address}'
        )
    return said


def _is_its(cloud: Cloud, pair: str, folder: MachineFolder) -> bool:
    """Tell whether a key pair has the public half of the machine's key."""
    # Here, so that what only lists loads no cryptography.
    from dockermachine_osc import pki

    try:
        private = folder.read(store.SSH_KEY)
        ours = pki.public_ssh_key(private).split()[1:2]
    except errors.MachineError:
        return False
    return cloud.public_key(pair).split()[1:2] == ours
