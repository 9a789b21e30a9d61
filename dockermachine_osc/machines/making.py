# SPDX-License-Identifier: Apache-2.0
"""Asking the cloud for a machine's port, address and server."""

from __future__ import annotations

import functools
import ipaddress
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dockermachine_osc import errors, interrupts, sidebyside, store
from dockermachine_osc.cloud import Address
from dockermachine_osc.engine import AtOnce
from dockermachine_osc.machines import errand
from dockermachine_osc.record import is_address

if TYPE_CHECKING:
    from openstack.network.v2.port import Port

    from dockermachine_osc.cloud import Cloud
    from dockermachine_osc.machines.draft import Draft
    from dockermachine_osc.report import Steps


def make(cloud: Cloud, draft: Draft, steps: Steps) -> None:
    """Make port, address and server.

    The address comes before the server, so that the certificate knows its
    names and the record is complete from the server's first moment. It is led
    to the port afterwards: that takes Neutron longer than all else, and Nova
    has begun by then, which needs Neutron only later.
    """
    steps.begin('Creating the port and its address')
    ports, group, address = _ports_and_address(cloud, draft)
    port = ports[draft.plan.interfaces.index(draft.plan.main)]
    names = _describe(draft, ports, port, group, address)
    user_data = _user_data(draft, names)
    steps.begin('Creating the server')
    with interrupts.held():
        _make_server(cloud, draft, ports, user_data)
    with interrupts.held():
        _attach(cloud, draft, address, port)


def _ports_and_address(
    cloud: Cloud, draft: Draft
) -> tuple[list[Port], str, Address | None]:
    """Make them side by side; on Ctrl-C, what has begun is waited for."""
    found: dict[str, Any] = sidebyside.all_of(
        {
            'ports': functools.partial(_ports, cloud, draft),
            'address': functools.partial(_address, cloud, draft),
        },
        2,
        threading.Event(),
    )
    return *found['ports'], found['address']


def _describe(
    draft: Draft,
    ports: Sequence[Port],
    port: Port,
    group: str,
    address: Address | None,
) -> Sequence[str]:
    """Write into the draft what has been made; give the engine's names."""
    fixed = _fixed_address(port, draft.plan.ip_version)
    draft.record = draft.record.replace(
        address=address.floating if address else fixed,
        port_id=port.id,
        floating_ip_id=address.id if address else '',
        security_group_id=group,
    )
    names = errand.names_for(
        (draft.record.address, fixed, *_fixed_ips(ports)),
        draft.request.name,
        draft.request.tls_sans,
    )
    draft.goods, draft.record = draft.access.goods(
        draft.record, draft.folder, names
    )
    return names


def _make_server(
    cloud: Cloud, draft: Draft, ports: Sequence[Port], user_data: bytes
) -> None:
    server = cloud.make_server(
        draft.request,
        draft.plan,
        [port.id for port in ports],
        draft.record,
        user_data,
    )
    draft.server_id = server.id


def _user_data(draft: Draft, names: Sequence[str]) -> bytes:
    if draft.needs_no_visit:
        draft.asked = draft.access.asked(names)
    if not draft.asked:
        return draft.user_data()
    ca = draft.folder.read(store.CA)
    return draft.user_data(AtOnce(draft.asked.render(), ca))


def _ports(cloud: Cloud, draft: Draft) -> tuple[list[Port], str]:
    """Give a port for each interface, and the id of our group if it is used.

    What is the user's is used as it is.
    """
    plan, name = draft.plan, draft.request.name
    group = cloud.make_group(plan)
    ports = []
    for interface in plan.interfaces:
        if interface.port:
            ports.append(interface.port)
            continue
        port, group = cloud.make_port(
            plan, interface, group, draft.machine_id, name
        )
        ports.append(port)
    return ports, group


def _address(cloud: Cloud, draft: Draft) -> Address | None:
    """Give the floating IP; its id is empty if it is to be left alone."""
    plan, name = draft.plan, draft.request.name
    if plan.floating_ip:
        address = str(plan.floating_ip.floating_ip_address)
        # One that is on the user's port stays there whatever happens.
        leads_there = plan.floating_ip.port_id
        return Address('' if leads_there else plan.floating_ip.id, address)
    if not plan.external:
        return None
    made = cloud.make_floating_ip(plan.external, draft.machine_id, name)
    if not is_address(made.floating):
        # Made, and so removed: but nobody will be reached there.
        raise errors.CloudFailure(
            f"Neutron's floating IP {made.id} has no address: "
            f"'{made.floating}'"
        )
    return made


def _attach(
    cloud: Cloud, draft: Draft, address: Address | None, port: Port
) -> None:
    if not address or not address.id:
        return
    if draft.plan.floating_ip:
        draft.attached = (address.id, port.id)
    cloud.attach_floating_ip(address, port)


def _fixed_address(port: Port, version: int) -> str:
    for address in _fixed_ips([port]):
        if ipaddress.ip_address(address).version == version:
            return address
    raise errors.CloudFailure(
        f'Port {port.id} has no IPv{version} address',
        f'Choose a network with an IPv{version} subnet: openstack subnet '
        f'list --ip-version {version}',
    )


def _fixed_ips(ports: Sequence[Port]) -> list[str]:
    """Give the addresses; a port in a form that no API has, has none."""
    lists = [p.fixed_ips for p in ports if isinstance(p.fixed_ips, list)]
    fixed = [f for listed in lists for f in listed if isinstance(f, dict)]
    found = [f.get('ip_address') for f in fixed]
    return [str(a) for a in found if is_address(str(a))]
