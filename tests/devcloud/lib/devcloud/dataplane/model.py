# SPDX-License-Identifier: Apache-2.0
"""What the data plane knows of Neutron."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable

from devcloud.guest import names


def version(address: str) -> int:
    """The version of IP of an address or network."""
    return 6 if ':' in address else 4


@dataclasses.dataclass(frozen=True)
class Subnet:
    """A subnet, of IPv4 or IPv6."""

    cidr: str
    gateway: str | None

    def has(self, address: str) -> bool:
        """True for an address of this subnet."""
        return ipaddress.ip_address(address) in ipaddress.ip_network(self.cidr)

    @property
    def gateway_with_prefix(self) -> str | None:
        if self.gateway is None:
            return None
        return f'{self.gateway}/{self.cidr.partition("/")[2]}'


@dataclasses.dataclass(frozen=True)
class Network:
    """A network with its subnets."""

    id: str
    mtu: int  # bytes
    external: bool
    subnets: tuple[Subnet, ...]

    @property
    def has_ipv6(self) -> bool:
        return any(version(s.cidr) == 6 for s in self.subnets)

    @property
    def bridge(self) -> str:
        if self.external:
            return names.external_bridge(self.id)
        return names.bridge(self.id)


@dataclasses.dataclass(frozen=True)
class Port:
    """A port that a guest has, or may have."""

    id: str
    mac: str
    network_id: str
    addresses: tuple[str, ...]  # IPv4 and IPv6
    filtered: bool  # port security is enabled
    groups: tuple[str, ...]  # ids of its security groups

    @property
    def link_local(self) -> str:
        """The link-local address that the MAC gives."""
        mac = bytes.fromhex(self.mac.replace(':', ''))
        identity = bytes([mac[0] ^ 2]) + mac[1:3] + b'\xff\xfe' + mac[3:]
        prefix = ipaddress.IPv6Address('fe80::').packed[:8]
        return str(ipaddress.IPv6Address(prefix + identity))

    @property
    def tap(self) -> str:
        return names.tap(self.id)


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule of a security group; None means any."""

    direction: str  # 'ingress' or 'egress'
    protocol: str | None
    low: int | None  # a port, or an ICMP type
    high: int | None  # a port, or an ICMP code
    prefix: str | None = None
    remote_group: str | None = None
    address_group: str | None = None
    ethertype: str = 'IPv4'  # or 'IPv6'

    @property
    def version(self) -> int:
        return 6 if self.ethertype == 'IPv6' else 4


@dataclasses.dataclass(frozen=True)
class Router:
    """What a router connects."""

    id: str
    networks: tuple[str, ...]  # ids of the networks inside
    external: str | None = None  # id of the network of its gateway
    address: str | None = None  # IPv4 of its gateway
    snat: bool = False


@dataclasses.dataclass(frozen=True)
class FloatingIP:
    """A floating IP that has a port."""

    address: str
    fixed: str
    network_id: str
    router_id: str


@dataclasses.dataclass(frozen=True)
class State:
    """One consistent picture of all that."""

    networks: tuple[Network, ...] = ()
    ports: tuple[Port, ...] = ()
    rules: dict[str, tuple[Rule, ...]] = dataclasses.field(
        default_factory=dict
    )  # by security group
    address_groups: dict[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict
    )
    routers: tuple[Router, ...] = ()
    floating_ips: tuple[FloatingIP, ...] = ()

    @property
    def tenants(self) -> list[Network]:
        """The networks that guests are on."""
        return [n for n in self.networks if not n.external]

    def without_ipv6(self) -> State:
        """What of it a kernel can do that has no IPv6."""
        return dataclasses.replace(
            self,
            networks=tuple(
                dataclasses.replace(
                    n,
                    subnets=tuple(
                        s for s in n.subnets if version(s.cidr) == 4
                    ),
                )
                for n in self.networks
            ),
            ports=tuple(
                dataclasses.replace(
                    p,
                    addresses=tuple(a for a in p.addresses if version(a) == 4),
                )
                for p in self.ports
            ),
        )

    def group_addresses(self, group: str) -> list[str]:
        """The addresses of a security group's members, of both versions."""
        return sorted(
            {
                address
                for port in self.ports
                if group in port.groups
                for address in port.addresses
            }
        )

    def ports_of(self, networks: Iterable[Network]) -> list[Port]:
        """The ports that guests have on these networks."""
        wanted = {network.id for network in networks}
        return [port for port in self.ports if port.network_id in wanted]

    def neighbours(self, port: Port) -> set[str]:
        """The addresses that others have on a port's network."""
        return {
            address
            for other in self.ports
            if other.network_id == port.network_id and other.id != port.id
            for address in other.addresses
        }

    def reachable(self, network: Network) -> list[Network]:
        """The tenant networks that one reaches, itself among them."""
        inside = {network.id}
        for router in self.routers:
            if network.id in router.networks:
                inside.update(router.networks)
        return [n for n in self.tenants if n.id in inside]

    def with_gateway(
        self, external: str | None = None, *, snat: bool = False
    ) -> list[Network]:
        """Tenant networks whose router leads to an external network.

        :param external: only those that lead to this one
        :param snat: only those whose router hides fixed addresses
        """
        inside = {
            i
            for r in self.routers
            if r.external is not None
            and external in (None, r.external)
            and (r.snat or not snat)
            for i in r.networks
        }
        return [n for n in self.tenants if n.id in inside]

    def outside_addresses(self) -> dict[str, str]:
        """By fixed address, the one that others beyond its router see.

        As Neutron's L3 agent does it: the port's floating IP if it has one,
        or else the address of the router's gateway.
        """
        found: dict[str, str] = {}
        for router in self.routers:
            if router.address and router.snat:
                found.update(
                    (address, router.address)
                    for port in self.ports
                    if port.network_id in router.networks
                    for address in port.addresses
                    if version(address) == 4
                )
        found.update((f.fixed, f.address) for f in self.floating_ips)
        return found
