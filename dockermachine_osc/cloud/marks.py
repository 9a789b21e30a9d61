# SPDX-License-Identifier: Apache-2.0
"""What bears the mark of a machine: found, marked anew, and deleted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dockermachine_osc.cloud import failures
from dockermachine_osc.record import is_uuid, mark, read_mark
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from openstack.connection import Connection
    from openstack.network.v2.floating_ip import FloatingIP
    from openstack.network.v2.port import Port

#: How Neutron refuses to delete a port that is bound to a server, and for
#: how many seconds that is waited for.
_HELD = (403, 409)
_NOVA_LETS_GO = 30.0


@dataclasses.dataclass(frozen=True)
class Marked:
    """A port or floating IP that carries the mark of a machine.

    ``created`` is when Neutron says it was, in ISO 8601, or ''; ``used_by``
    the id of what it is plugged into, or leads to: a server's, if it is one.
    """

    kind: str
    id: str
    machine_id: str
    machine_name: str
    label: str
    created: str = ''
    used_by: str = ''


def find(connection: Connection) -> list[Marked]:
    """List the ports and floating IPs of this project that bear a mark."""
    network, project_id = connection.network, connection.current_project_id
    with failures.step('list ports and floating IPs'):
        addresses = list(network.ips(project_id=project_id))
        ports = list(network.ports(project_id=project_id))
        found: list[FloatingIP | Port] = [*addresses, *ports]
        users = {str(port.id): _device(port) for port in ports}
        return [m for resource in found if (m := _marked(resource, users))]


def _device(port: Port) -> str:
    """Give what a port is plugged into; its owner can write any text there."""
    device = port.device_id or ''
    return device if is_uuid(device) else ''


def _marked(
    resource: FloatingIP | Port, users: Mapping[str, str]
) -> Marked | None:
    found = read_mark(resource.description)
    if found is None:
        return None
    floats = hasattr(resource, 'floating_ip_address')
    kind = 'floating IP' if floats else 'port'
    address = resource.floating_ip_address if floats else None
    label = failures.plain(address or resource.id)
    created = failures.plain(resource.created_at or '')
    port_id = resource.port_id if floats else resource.id
    used_by = users.get(str(port_id or ''), '')
    return Marked(kind, str(resource.id), *found, label, created, used_by)


def write_anew(connection: Connection, resource: Marked, name: str) -> None:
    """Write a machine's new name into the mark of what it owns."""
    network = connection.network
    text = mark(resource.machine_id, name)
    with failures.step(f'mark {resource.kind} {resource.label}'):
        if resource.kind == 'port':
            network.update_port(
                resource.id, name=f'docker-machine-{name}', description=text
            )
        else:
            network.update_ip(resource.id, description=text)


def delete(
    connection: Connection, resource: Marked, deadline: Deadline
) -> None:
    """Delete a port or floating IP; gone already is fine.

    Nova holds on to a port for a moment after the server is gone, if
    that was deleted while it was being built; Neutron then says no.
    """
    if resource.kind != 'port':
        return _delete(connection, resource)
    patience = Deadline(min(_NOVA_LETS_GO, deadline.remaining))
    for _ in patience.polls():
        try:
            return _delete(connection, resource)
        except failures.ApiError as error:
            if error.status not in _HELD or not patience.remaining:
                raise
    return _delete(connection, resource)


def _delete(connection: Connection, resource: Marked) -> None:
    network = connection.network
    remove = {
        'floating IP': network.delete_ip,
        'port': network.delete_port,
    }[resource.kind]
    with failures.step(f'delete {resource.kind} {resource.label}'):
        remove(resource.id, ignore_missing=True)
