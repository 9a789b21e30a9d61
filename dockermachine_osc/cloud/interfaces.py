# SPDX-License-Identifier: Apache-2.0
"""The server's network interfaces, and which of them has its address.

Decided from the survey, without any I/O.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors, nics
from dockermachine_osc.cloud import choices, failures
from dockermachine_osc.cloud.choices import Choice
from dockermachine_osc.cloud.groups import version_of
from dockermachine_osc.record import read_mark

if TYPE_CHECKING:
    from openstack.network.v2.network import Network
    from openstack.network.v2.port import Port
    from openstack.network.v2.subnet import Subnet

    from dockermachine_osc.cloud.survey import Survey
    from dockermachine_osc.nics import Nic
    from dockermachine_osc.request import CreateRequest

#: Values of a subnet's ipv6_address_mode with which servers make their
#: addresses themselves: every port gets one, and none can be asked for.
_AUTOMATIC = ('slaac', 'dhcpv6-stateless')


@dataclasses.dataclass(frozen=True)
class Interface:
    """One interface: on a port of the user's, or on one to be made.

    ``versions`` are those of IP that it has, or will have, addresses of;
    ``routed`` those of which its subnets name a gateway.
    """

    network_id: str
    versions: frozenset[int]
    routed: frozenset[int]
    network: Choice[Network] | None = None
    port: Port | None = None
    fixed_ips: tuple[str, ...] = ()
    tag: str = ''


def named(request: CreateRequest, survey: Survey) -> tuple[Interface, ...]:
    """Give the interfaces that the user has named, in that order.

    :raises NotFound: for a network or port that is not there.
    :raises Ambiguous: for a name that several have.
    :raises InvalidRequest: for what cannot be used, or is there twice.
    """
    found = tuple(_named(nic, survey) for nic in request.nics)
    seen: set[str] = set()
    for interface, nic in zip(found, request.nics, strict=True):
        if interface.port and interface.port.id in seen:
            raise nics.twice('port', nic.port)
        if interface.network_id in seen:
            raise nics.twice('network', _name(interface, survey))
        seen |= {interface.network_id}
        seen |= {interface.port.id} if interface.port else set()
    return found


def on(chosen: Choice[Network], survey: Survey) -> Interface:
    """Give the interface on a network that was chosen."""
    subnets = _subnets(chosen.resource.id, survey)
    return Interface(
        chosen.resource.id,
        _versions(subnets),
        _routed(subnets),
        network=chosen,
    )


def _named(nic: Nic, survey: Survey) -> Interface:
    if nic.port:
        return _with_port(nic, survey)
    chosen = choices.pick_network(nic.network, survey)
    plain = dataclasses.replace(on(chosen, survey), tag=nic.tag)
    if not nic.fixed_ips:
        return plain
    subnets = _subnets(plain.network_id, survey)
    for address in nic.fixed_ips:
        _check_fixed(address, chosen.resource, subnets, survey)
    automatic = {s.ip_version for s in subnets if _is_automatic(s)}
    versions = {version_of(address) for address in nic.fixed_ips} | automatic
    return dataclasses.replace(
        plain, fixed_ips=nic.fixed_ips, versions=frozenset(versions)
    )


def _with_port(nic: Nic, survey: Survey) -> Interface:
    # One that two of the options name has been found twice.
    found = {p.id: p for p in survey.ports if nic.port in (p.id, p.name)}
    port = choices.pick('Port', nic.port, [*found.values()]).resource
    _check_port(nic.port, port, survey)
    fixed = tuple(str(f['ip_address']) for f in port.fixed_ips or ())
    return Interface(
        str(port.network_id),
        frozenset(map(version_of, fixed)),
        _routed(_subnets(str(port.network_id), survey)),
        port=port,
        fixed_ips=fixed,
        tag=nic.tag,
    )


def _check_port(wanted: str, port: Port, survey: Survey) -> None:
    free = 'Choose one that is free: openstack port list'
    if port.project_id != survey.project_id:
        raise errors.InvalidRequest(
            f"Port '{wanted}' belongs to another project", free
        )
    if port.device_id:
        raise errors.InvalidRequest(
            f"Port '{wanted}' is in use by {failures.plain(port.device_id)}",
            free,
        )
    if found := read_mark(port.description):
        raise errors.InvalidRequest(
            f"Port '{wanted}' was made for machine '{found[1]}' and goes "
            'with it, so it is no port of yours',
            free,
        )
    if not port.fixed_ips:
        raise errors.InvalidRequest(
            f"Port '{wanted}' has no address",
            f'Give it one: openstack port set --fixed-ip ... {port.id}',
        )


# ---------------------------------------------------------------- subnets


def _subnets(network_id: str, survey: Survey) -> list[Subnet]:
    return [s for s in survey.subnets if s.network_id == network_id]


def _versions(subnets: Sequence[Subnet]) -> frozenset[int]:
    """Give the versions; both where the cloud does not show the subnets."""
    return frozenset(s.ip_version for s in subnets) or frozenset((4, 6))


def _routed(subnets: Sequence[Subnet]) -> frozenset[int]:
    return frozenset(s.ip_version for s in subnets if s.gateway_ip)


def _is_automatic(subnet: Subnet) -> bool:
    return subnet.ipv6_address_mode in _AUTOMATIC


def _check_fixed(
    text: str, network: Network, subnets: Sequence[Subnet], survey: Survey
) -> None:
    """Refuse a fixed IP that Neutron would not give.

    Of addresses that other projects have, only Neutron knows.
    """
    name = failures.plain(network.name)
    address = ipaddress.ip_address(text)
    around = [s for s in subnets if address in ipaddress.ip_network(s.cidr)]
    if not around:
        ranges = ', '.join(str(s.cidr) for s in subnets) or 'none it shows'
        raise errors.InvalidRequest(
            f"{text} is in no subnet of network '{name}': {ranges}",
            f'See them: openstack subnet list --network {network.id}',
        )
    (subnet, *_) = around
    if _is_automatic(subnet):
        raise errors.InvalidRequest(
            f'{text} cannot be asked for: in subnet {subnet.cidr} of network '
            f"'{name}' servers make their own addresses "
            f'({subnet.ipv6_address_mode})'
        )
    if text == subnet.gateway_ip or _is_reserved(address, subnet):
        raise errors.InvalidRequest(
            f"{text} is no address for a server: it is the gateway's, or the "
            f'first or last of {subnet.cidr}'
        )
    for port in survey.taken:
        fixed = [f['ip_address'] for f in port.fixed_ips or ()]
        if text in fixed and port.network_id == network.id:
            raise errors.InvalidRequest(
                f"{text} of network '{name}' is taken, by port {port.id}",
                'Choose another, or use that port with port-id if it is free',
            )


def _is_reserved(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, subnet: Subnet
) -> bool:
    """Tell whether an address names the subnet, or all hosts in it.

    There is no such thing in the smallest subnets (RFC 3021, RFC 6164).
    """
    block = ipaddress.ip_network(subnet.cidr)
    if block.num_addresses <= 2:
        return False
    last = block.broadcast_address if block.version == 4 else None
    return address in (block.network_address, last)


# ------------------------------------------------------------ the address


def with_floating_ip(
    found: Sequence[Interface], survey: Survey, exits: set[str]
) -> Interface:
    """Choose the interface that gets the floating IP: the first that can.

    :param exits: ids of the external networks that it may come from.
    :raises InvalidRequest: if none can.
    """
    for interface in found:
        if 4 in interface.versions and choices.leads_out(
            interface.network_id, survey, exits
        ):
            return interface
    first = next((i for i in found if 4 in i.versions), None)
    if first is None:
        raise errors.InvalidRequest(
            'A floating IP is IPv4, and no interface of the server is: '
            f"'{_name(found[0], survey)}' is IPv6 only",
            'Use the address in its own network: --no-floating-ip',
        )
    raise choices.no_way_out(first.network_id, survey)


def with_fixed_ip(
    found: Sequence[Interface], survey: Survey, version: int | None
) -> tuple[Interface, int]:
    """Choose the interface whose own address is the machine's.

    The first that can be reached from elsewhere: its subnet has a gateway.

    :param version: of IP, None for 4 where there is one.
    :returns: the interface, and the version of the address.
    :raises InvalidRequest: if none has an address of that version.
    """
    if version is None:
        version = 4 if any(4 in i.versions for i in found) else 6
    usable = [i for i in found if version in i.versions]
    if not usable:
        names = ', '.join(f"'{_name(i, survey)}'" for i in found)
        raise errors.InvalidRequest(
            f'--ip-version {version}: the server would have no IPv{version} '
            f'address on {names}',
            'See the subnets there are: openstack subnet list --ip-version '
            f'{version}',
        )
    routed = [i for i in usable if version in i.routed]
    return (routed or usable)[0], version


def can_float(found: Sequence[Interface], survey: Survey) -> bool:
    """Tell whether a floating IP is to be expected, nobody having asked.

    A port of the user's, or an IPv6 network, without a router is taken as
    it is; of an IPv4 network one is said to be missing.
    """
    ways = choices.gateways(survey)
    return any(
        4 in i.versions and (i.port is None or ways.get(i.network_id))
        for i in found
    )


def rivals(found: Sequence[Interface], version: int) -> list[Interface]:
    """Give the interfaces that name a gateway, if more than one does."""
    routed = [i for i in found if version in i.routed & i.versions]
    return routed if len(routed) > 1 else []


def _name(interface: Interface, survey: Survey) -> str:
    """Give the name of the interface's network, its id if it is not seen."""
    names = (n.name for n in survey.networks if n.id == interface.network_id)
    return failures.plain(next(names, interface.network_id))
