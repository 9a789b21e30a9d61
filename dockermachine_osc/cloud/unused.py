# SPDX-License-Identifier: Apache-2.0
"""Key pairs and floating IPs, as far as others may have left them here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockermachine_osc.cloud import failures
from dockermachine_osc.record import read_mark

if TYPE_CHECKING:
    from openstack.connection import Connection


def key_pairs(connection: Connection) -> list[str]:
    """List the names of the user's key pairs, of whatever project."""
    with failures.step('list key pairs'):
        found = list(connection.compute.keypairs())
    return [failures.plain(pair.name) for pair in found]


def public_key(connection: Connection, name: str) -> str:
    """Read the public key of a key pair, '' if there is none of the name."""
    with failures.step(f'read key pair {name}'):
        found = connection.compute.find_keypair(name, ignore_missing=True)
    return str(found.public_key or '') if found else ''


def floating_ips(connection: Connection, project_id: str) -> list[str]:
    """List the project's floating IPs that lead nowhere and are not ours."""
    with failures.step('list floating IPs'):
        found = list(connection.network.ips(project_id=project_id))
    return [
        failures.plain(ip.floating_ip_address)
        for ip in found
        if not ip.port_id and read_mark(ip.description) is None
    ]
