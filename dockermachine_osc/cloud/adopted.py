# SPDX-License-Identifier: Apache-2.0
"""Servers that were there before they became machines, and outlive that."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dockermachine_osc import errors
from dockermachine_osc.cloud import (
    failures,
    groups,
    listing,
    patience,
    servers,
)
from dockermachine_osc.record import PREFIX, TAG, Record

if TYPE_CHECKING:
    from openstack.connection import Connection

    from dockermachine_osc.cloud.groups import Rules
    from dockermachine_osc.cloud.servers import MachineServer

_GONE = 404


def find_server(connection: Connection, wanted: str) -> MachineServer:
    """Find any server of the project by name, id or one of its addresses.

    :raises NotFound: if there is none.
    :raises Ambiguous: if several have that name.
    """
    names = {wanted, canonical(wanted)}
    found = [
        server
        for server in everything(connection)
        if names & {server.id, server.name, *server.addresses}
    ]
    if not found:
        raise errors.NotFound(
            f"No server here has the name, id or address '{wanted}'",
            'See those there are: openstack server list',
        )
    if len(found) > 1:
        ids = '\n'.join(f'  {s.id}  {s.name}' for s in found)
        raise errors.Ambiguous(
            f"{len(found)} servers fit '{wanted}':\n{ids}",
            'Give the id instead',
        )
    return found[0]


def canonical(text: str) -> str:
    """Give an address as the cloud writes it, other texts as they are."""
    try:
        return str(ipaddress.ip_address(text.strip('[]')))
    except ValueError:
        return text


def everything(connection: Connection) -> list[MachineServer]:
    """List all servers of the project, machines or not."""
    with failures.step('list servers'):
        found = listing.servers(connection, {})
        return [servers.from_nova(server) for server in found]


def mark(connection: Connection, server_id: str, record: Record) -> None:
    """Make a server a machine: the tag first, then its record.

    By the tag it is listed: cut off in between, it can be seen and let go.
    """

    def write() -> None:
        with failures.step(f'mark server {server_id}'):
            connection.compute.add_tag_to_server(server_id, TAG)
            connection.compute.set_server_metadata(
                server_id, **record.to_metadata()
            )

    patience.repeated(write)


def unmark(connection: Connection, server_id: str) -> None:
    """Make a machine a server like any other; gone already is fine.

    The id goes first: cut off at any point after that, no delete takes the
    server for one to be deleted. The tag, by which it is listed, goes last.
    """
    compute = connection.compute
    try:
        with failures.step(f'read server {server_id}'):
            metadata = compute.get_server(server_id).metadata or {}
    except failures.ApiError as error:
        if error.status != _GONE:
            raise
        return
    ours = [key for key in metadata if key.startswith(PREFIX)]
    for key in sorted(ours, key=lambda k: k != f'{PREFIX}id'):
        _drop(server_id, compute.delete_server_metadata, [key])
    _drop(server_id, compute.remove_tag_from_server, TAG)


def _drop(server_id: str, call: Callable[..., Any], what: object) -> None:
    """Take a mark off a server, if it is there."""
    try:
        with failures.step(f'unmark server {server_id}'):
            call(server_id, what)
    except failures.ApiError as error:
        if error.status != _GONE:
            raise


def make_group(connection: Connection, rules: Rules) -> str:
    """Give the id of the security group of these rules, made if need be."""
    known = groups.find(connection, [rules])
    return groups.ensure(connection, rules, known)


def open_to(connection: Connection, server_id: str, group: str) -> None:
    """Put a server into a security group."""

    def add() -> None:
        with failures.step(f'add security group {group} to the server'):
            connection.compute.add_security_group_to_server(server_id, group)

    patience.repeated(add)


def close_to(connection: Connection, server_id: str, group: str) -> None:
    """Take a security group from a server again; gone already is fine.

    :param group: the id, '' if none was added.
    """
    if not group:
        return

    def take() -> None:
        with failures.step(f'take security group {group} from the server'):
            connection.compute.remove_security_group_from_server(
                server_id, group
            )

    try:
        patience.repeated(take)
    except failures.ApiError as error:
        if error.status != _GONE:
            raise
