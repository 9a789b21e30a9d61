# SPDX-License-Identifier: Apache-2.0
"""Servers as this package sees them, and how they are asked for and ended."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import TYPE_CHECKING, Any

from dockermachine_osc import errors
from dockermachine_osc.cloud import disks, failures, listing, patience
from dockermachine_osc.record import TAG, Record
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from openstack.compute.v2.server import Server
    from openstack.connection import Connection

    from dockermachine_osc.cloud.plan import Plan
    from dockermachine_osc.request import CreateRequest

_GONE = 404
#: Seconds after which a server may be ACTIVE, or in ERROR, unless its host
#: answers before.
_FIRST_LOOK = 2.5


@dataclasses.dataclass(frozen=True)
class MachineServer:
    """A Nova server that is a machine.

    ``addresses`` are the texts Nova gives, ``floating`` those that are
    floating; ``groups`` the names of its ports' security groups; ``fault`` is
    Nova's own word on why it is in ERROR.
    """

    id: str
    name: str
    status: str
    task: str
    record: Record
    addresses: tuple[str, ...] = ()
    floating: tuple[str, ...] = ()
    flavor: str = ''
    image_id: str = ''
    availability_zone: str = ''
    created: str = ''
    key_name: str = ''
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    fault: str = ''


def from_sdk(server: Server) -> MachineServer:
    """Take over what the SDK has read; it is untrusted text."""
    return from_nova(server.to_dict(computed=False, original_names=True))


def from_nova(server: Mapping[str, Any]) -> MachineServer:
    """Take over what the API says; it is untrusted text.

    :raises LookupError, ValueError: it has no id.
    """
    # By its id a server is compared with its rivals, and deleted.
    if not server['id'] or not isinstance(server['id'], str):
        raise ValueError('a server without an id')
    flavor: Any = server.get('flavor') or {}
    addresses = list(_addresses(server))
    return MachineServer(
        id=server['id'],
        name=_text(server, 'name'),
        status=_text(server, 'status'),
        task=_text(server, 'OS-EXT-STS:task_state'),
        record=Record.from_metadata(server.get('metadata') or {}),
        addresses=tuple(address for address, _ in addresses),
        floating=tuple(a for a, kind in addresses if kind != 'fixed'),
        flavor=_text(flavor, 'original_name'),
        # It is '' where the server was booted from a volume.
        image_id=_text(server.get('image') or {}, 'id'),
        availability_zone=_text(server, 'OS-EXT-AZ:availability_zone'),
        created=_text(server, 'created'),
        key_name=_text(server, 'key_name'),
        tags=tuple(failures.plain(t) for t in server.get('tags') or ()),
        groups=tuple(
            _text(g, 'name') for g in server.get('security_groups') or ()
        ),
        fault=_text(server.get('fault') or {}, 'message'),
    )


def _text(item: Mapping[str, Any], key: str) -> str:
    return failures.plain(item.get(key) or '')


def _addresses(server: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield each address with its kind: fixed or floating."""
    for addresses in (server.get('addresses') or {}).values():
        for address in addresses:
            kind = address.get('OS-EXT-IPS:type') or 'fixed'
            yield failures.plain(address.get('addr', '')), kind


def create(
    connection: Connection,
    request: CreateRequest,
    plan: Plan,
    port_ids: Sequence[str],
    record: Record,
    user_data: bytes,
) -> MachineServer:
    """Ask for the server; it carries its record from its first moment.

    :param port_ids: a port for each interface of the plan.
    """
    tags = [interface.tag for interface in plan.interfaces]
    attributes: dict[str, Any] = {
        'name': request.name,
        'image_id': plan.image.resource.id,
        'flavor_id': plan.flavor.resource.id,
        'networks': [
            {'port': port_id} | ({'tag': tag} if tag else {})
            for port_id, tag in zip(port_ids, tags, strict=True)
        ],
        'user_data': base64.b64encode(user_data).decode(),
        'metadata': {**request.properties, **record.to_metadata()},
        'tags': [TAG, *request.tags],
    }
    optional = {
        'key_name': request.key_name,
        'availability_zone': request.availability_zone,
        'config_drive': request.config_drive,
        'scheduler_hints': _hints(request, plan),
    }
    attributes.update({k: v for k, v in optional.items() if v})
    if devices := disks.mapping(request, plan.image.resource):
        attributes['block_device_mapping'] = devices

    def make() -> MachineServer:
        with failures.step(f'create server {request.name}'):
            return from_sdk(connection.compute.create_server(**attributes))

    def find() -> MachineServer | None:
        found = (m for m in machines(connection) if m.record.id == record.id)
        return next(found, None)

    return patience.made_once(make, find)


def _hints(request: CreateRequest, plan: Plan) -> dict[str, Any]:
    """Give what the scheduler is told; one value stands without a list."""
    hints = {
        key: values[0] if len(values) == 1 else list(values)
        for key, values in request.hints.items()
    }
    return hints | ({'group': plan.server_group} if plan.server_group else {})


def get(connection: Connection, server_id: str) -> MachineServer | None:
    """Read a server; None if it is gone."""
    try:
        with failures.step(f'read server {server_id}'):
            return from_sdk(connection.compute.get_server(server_id))
    except failures.ApiError as error:
        if error.status == _GONE:
            return None
        raise


def machines(
    connection: Connection,
    *,
    name: str = '',
    status: str = '',
    tags: Sequence[str] = (),
) -> list[MachineServer]:
    """List the machines of this project with one request a page.

    Nova has no filter on metadata for members, so it filters on the tag. One
    that has the tag alone is among them, without an id in its record: an
    adopt or a delete of an adopted machine was cut off.

    :param name: a regular expression that is to be found in the name.
    :param status: of the server, as Nova has it.
    :param tags: all of which the server has.
    """
    filters = {'name': name, 'status': status, 'tags': ','.join((TAG, *tags))}
    with failures.step('list machines'):
        found = listing.servers(
            connection, {k: v for k, v in filters.items() if v}
        )
        return [from_nova(s) for s in found if TAG in (s.get('tags') or ())]


def watch(
    connection: Connection, server_id: str, deadline: Deadline
) -> Iterator[MachineServer | None]:
    """Yield a server again and again until the deadline; None if it is gone.

    A fault of the API that passes is no answer, and asked again.
    """
    for _ in deadline.polls():
        try:
            server = get(connection, server_id)
        except failures.ApiError as error:
            if not error.passing:
                raise
            continue
        yield server


def pattern(name: str) -> str:
    """Give a name as Nova's filter takes it: as a regular expression."""
    return re.sub(r'([][(){}.*+?^$|\\])', r'\\\1', name)


def named(connection: Connection, name: str) -> list[MachineServer]:
    """List the servers of exactly that name, machines or not."""
    with failures.step(f'look for server {name}'):
        found = listing.servers(connection, {'name': pattern(name)})
        return [from_nova(s) for s in found if s.get('name') == name]


def _watch_among(
    connection: Connection,
    server_id: str,
    name: str,
    deadline: Deadline,
    meet: Callable[[Sequence[MachineServer]], None],
    pause: Callable[[float], object],
) -> Iterator[MachineServer | None]:
    """Do as watch does, and have a look at the others of its name.

    Seldom, as each look costs the cloud a tenth of a second of CPU, and the
    pause ends when the host itself answers.
    """
    pause(min(_FIRST_LOOK, deadline.remaining))
    for _ in deadline.polls(first=2.0, most=6.0, factor=1.6, pause=pause):
        try:
            same = named(connection, name)
            ours = [s for s in same if s.id == server_id]
            server = ours[0] if ours else get(connection, server_id)
        except failures.ApiError as error:
            if not error.passing:
                raise
            continue
        meet(same)
        yield server


def wait_active(
    connection: Connection,
    server_id: str,
    name: str,
    deadline: Deadline,
    meet: Callable[[Sequence[MachineServer]], None],
    pause: Callable[[float], object],
) -> MachineServer:
    """Wait until Nova says ACTIVE.

    :param meet: is told at each look of all servers of that name, and raises
        if that ends the wait.
    :param pause: between two looks; see :meth:`Deadline.polls`.
    :raises CloudFailure: at once when Nova says ERROR, with its fault.
    :raises DeadlineExceeded: if it takes longer than the deadline.
    """
    looks = _watch_among(connection, server_id, name, deadline, meet, pause)
    for server in looks:
        if server is None:
            raise errors.CloudFailure(
                'The server disappeared while it was being built: somebody '
                'deleted it'
            )
        if server.status == 'ACTIVE':
            return server
        if server.status == 'ERROR':
            raise errors.CloudFailure(
                'Nova put the server in ERROR: '
                + (server.fault or 'it gives no fault'),
                'Another --flavor or --availability-zone may have room; '
                'otherwise ask the operator',
            )
    raise deadline.exceeded('The server did not become ACTIVE')


def delete(connection: Connection, server_id: str) -> None:
    """Ask Nova to delete a server; gone already is fine."""
    with failures.step(f'delete server {server_id}'):
        connection.compute.delete_server(server_id, ignore_missing=True)


def wait_gone(
    connection: Connection, server_id: str, deadline: Deadline
) -> None:
    """Wait until Nova has forgotten a server that it was asked to delete.

    :raises CloudFailure: if Nova twice puts it in ERROR instead.
    :raises DeadlineExceeded: if it takes longer than the deadline.
    """
    asked_again = False
    for server in watch(connection, server_id, deadline):
        if server is None or server.status in ('DELETED', 'SOFT_DELETED'):
            return
        if server.status != 'ERROR' or server.task == 'deleting':
            continue
        if asked_again:
            raise errors.CloudFailure(
                f'Nova could not delete server {server_id}: '
                + (server.fault or 'it is in ERROR'),
                'Try again; if it stays, ask the operator',
            )
        # A build that fails while the deletion waits for it takes the word
        # for that away: it looks as if the deletion had failed.
        delete(connection, server_id)
        asked_again = True
    raise deadline.exceeded(f'Server {server_id} was not gone')


def console(connection: Connection, server_id: str) -> str | None:
    """Read the console log; None if this cloud does not show it."""
    try:
        with failures.step('read the console log'):
            answer = connection.compute.get_server_console_output(server_id)
    except failures.ApiError as error:
        # Not ready yet, or a passing fault: asked again by the caller.
        return '' if error.passing or error.status in (404, 409) else None
    return str(answer.get('output') or '')
