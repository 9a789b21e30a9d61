# SPDX-License-Identifier: Apache-2.0
"""Which server of this project is which machine of Docker Machine."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.cloud.adopted import canonical
from dockermachine_osc.docker_machine_files import GENERIC

if TYPE_CHECKING:
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.docker_machine_files import Entry


class NotHere(errors.NotFound):
    """An entry is none of this project's servers."""


def match(
    entry: Entry, servers: Sequence[MachineServer], auth_url: str
) -> MachineServer:
    """Find the server of an entry.

    One of driver openstack by its id; one whose id never reached the file,
    as after a create that failed, by name and address; one of driver generic
    by its address.

    :param auth_url: of this cloud's Keystone.
    :raises NotHere: saying whether it is gone or of another cloud.
    """
    if entry.driver == GENERIC:
        return _by_address(entry, servers)
    if entry.server_id:
        for server in servers:
            if server.id == entry.server_id:
                return server
        raise _missing(entry, auth_url)
    return _by_name(entry, servers, auth_url)


def _by_address(
    entry: Entry, servers: Sequence[MachineServer]
) -> MachineServer:
    found = [s for s in servers if canonical(entry.address) in s.addresses]
    if not entry.address:
        raise NotHere('its config.json has no address')
    if not found:
        raise NotHere(
            f'no server of this project has its address {entry.address}',
            'A host that is none: docker context create',
        )
    if len(found) > 1:
        ids = ', '.join(s.id for s in found)
        raise NotHere(
            f'several servers have its address {entry.address}: {ids}',
            'Take over the right one: openstack docker machine adopt <id>',
        )
    return found[0]


def _by_name(
    entry: Entry, servers: Sequence[MachineServer], auth_url: str
) -> MachineServer:
    """Find one of which Docker Machine has not noted the id."""
    named = [s for s in servers if s.name == entry.name]
    for server in named:
        if entry.address and canonical(entry.address) in server.addresses:
            return server
    if _is_elsewhere(entry, auth_url):
        raise _missing(entry, auth_url)
    ids = ', '.join(s.id for s in named)
    raise NotHere(
        'its creation failed before Docker Machine had noted the server'
        + (f'; there are servers of its name: {ids}' if ids else ''),
        'Take the server over: openstack docker machine adopt <id>, or '
        'delete it: openstack server delete <id>'
        if ids
        else '',
    )


def _missing(entry: Entry, auth_url: str) -> NotHere:
    if _is_elsewhere(entry, auth_url):
        return NotHere(
            f'it is on another cloud: {_host(entry.auth_url)}',
            'Import it there: openstack --os-cloud <cloud> docker machine '
            f'import {entry.name}',
        )
    return NotHere(
        f'its server {entry.server_id or entry.name} is gone, or in another '
        'project or region'
    )


def _is_elsewhere(entry: Entry, auth_url: str) -> bool:
    """Tell by the host of Keystone: one cloud may be written in many ways."""
    there, here = _host(entry.auth_url), _host(auth_url)
    return bool(there and here) and there != here


def _host(url: str) -> str:
    """Give the host of a URL; there may be a password before it."""
    try:
        return (urllib.parse.urlsplit(url).hostname or '').lower()
    except ValueError:
        return ''
