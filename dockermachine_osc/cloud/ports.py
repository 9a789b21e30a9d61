# SPDX-License-Identifier: Apache-2.0
"""Ports and floating IPs of machines: made once, with their marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dockermachine_osc.cloud import failures, patience
from dockermachine_osc.record import mark

if TYPE_CHECKING:
    from openstack.connection import Connection
    from openstack.network.v2.floating_ip import FloatingIP
    from openstack.network.v2.network import Network
    from openstack.network.v2.port import Port

    from dockermachine_osc.cloud.interfaces import Interface


def create(
    connection: Connection,
    interface: Interface,
    group_ids: Sequence[str],
    machine_id: str,
    name: str,
) -> Port:
    """Make the port of one of a machine's interfaces."""
    network = connection.network
    known: dict[str, Any] = {
        'description': mark(machine_id, name),
        'network_id': interface.network_id,
    }
    if interface.fixed_ips:
        known['fixed_ips'] = [{'ip_address': a} for a in interface.fixed_ips]

    def make() -> Port:
        with failures.step(f'create port {name}'):
            return network.create_port(
                name=f'docker-machine-{name}',
                security_group_ids=group_ids,
                **known,
            )

    def find() -> Port | None:
        with failures.step(f'look for port {name}'):
            found = network.ports(network_id=interface.network_id)
            wanted = known['description']
            return next((p for p in found if p.description == wanted), None)

    return patience.made_once(make, find)


def create_floating_ip(
    connection: Connection, external: Network, machine_id: str, name: str
) -> FloatingIP:
    """Make a floating IP that leads nowhere yet."""
    network = connection.network
    where = failures.plain(external.name)
    wanted = mark(machine_id, name)

    def make() -> FloatingIP:
        with failures.step(f'create a floating IP from {where}'):
            return network.create_ip(
                floating_network_id=external.id, description=wanted
            )

    def find() -> FloatingIP | None:
        with failures.step('look for the floating IP'):
            found = network.ips(floating_network_id=external.id)
            return next((a for a in found if a.description == wanted), None)

    return patience.made_once(make, find)
