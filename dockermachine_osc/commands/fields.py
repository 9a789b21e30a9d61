# SPDX-License-Identifier: Apache-2.0
"""How a machine looks as columns; values stay typed for ``-f json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from osc_lib.cli import format_columns

if TYPE_CHECKING:
    from dockermachine_osc.machines import Machine


def fields(machine: Machine) -> tuple[Sequence[str], Sequence[Any]]:
    """Give everything known of one machine; there are no secrets in it."""
    server, record = machine.server, machine.server.record
    row: dict[str, Any] = {
        'access': record.access,
        'address': record.address,
        'addresses': format_columns.ListColumn(list(server.addresses)),
        'availability_zone': server.availability_zone,
        'ca_expires': record.ca_expires,
        'client_expires': record.client_expires,
        'created_at': server.created,
        'docker_context': machine.context or None,
        'engine_answer': _answer(machine),
        'engine_port': record.engine_port if record.access == 'tls' else None,
        'engine_source': record.engine_source,
        'engine_version': _version(machine),
        'flavor': server.flavor,
        'host_key': record.host_key,
        'id': server.id,
        'image': record.image,
        'image_id': server.image_id,
        'key_name': server.key_name or None,
        'local_files': str(machine.folder.path) if machine.folder else None,
        'machine_id': record.id,
        'name': server.name,
        'origin': record.origin,
        'owned': format_columns.DictColumn(_resources(machine)),
        'server_expires': record.server_expires,
        'server_sha256': record.server_fingerprint,
        'ssh_port': record.ssh_port,
        'ssh_user': record.ssh_user,
        'state': machine.state,
        'status': server.status,
        'tags': format_columns.ListColumn(list(server.tags)),
        'url': machine.url,
    }
    if server.fault:
        row['fault'] = server.fault
    if record.problems:
        row['problems'] = format_columns.ListColumn(list(record.problems))
    return tuple(row), tuple(row.values())


def _resources(machine: Machine) -> dict[str, str]:
    record = machine.server.record
    found = {
        'floating_ip_id': record.floating_ip_id,
        'port_id': record.port_id,
        'security_group_id': record.security_group_id,
    }
    return {key: value for key, value in found.items() if value}


def _version(machine: Machine) -> str:
    live = getattr(machine.engine, 'version', '')
    return live or machine.server.record.engine_version


LIST_COLUMNS = ('ID', 'Name', 'State', 'URL', 'Engine', 'Flavor', 'Image')
LONG_COLUMNS = (
    *LIST_COLUMNS,
    'Status',
    'Answer',
    'Certificate Days',
    'Keys Here',
    'Availability Zone',
    'Created At',
)


def row(machine: Machine, *, long: bool) -> tuple[Any, ...]:
    """Give a machine's row of ``list``."""
    server = machine.server
    short = (
        server.id,
        server.name,
        machine.state,
        machine.url,
        _version(machine),
        server.flavor,
        server.record.image,
    )
    if not long:
        return short
    return (
        *short,
        server.status,
        _answer(machine),
        _days_left(machine),
        machine.folder is not None,
        server.availability_zone,
        server.created,
    )


def _answer(machine: Machine) -> str | None:
    """Say what the engine itself answered, None if it was not asked."""
    if machine.engine is None:
        return None
    return str(getattr(machine.engine, 'message', 'ok')).splitlines()[0]


def _days_left(machine: Machine) -> int | None:
    from dockermachine_osc.machines.expiry import days_left

    return days_left(machine.server.record.server_expires)
