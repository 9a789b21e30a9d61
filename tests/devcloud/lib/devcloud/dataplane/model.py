# SPDX-License-Identifier: Apache-2.0
"""What the data plane knows of Neutron."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable

from devcloud.guest import names


@dataclasses.dataclass(frozen=True)
class Subnet:
    """An IPv4 subnet."""

    cidr: str
    gateway: str | None

    def has(self, address: str) -> bool:
        """True for an address of this subnet."""
        return ipaddress.IPv4Address(address) in ipaddress.IPv4Network(
            self.cidr
        )

    @property
    def gateway_with_prefix(self) -> str | None:
        if self.gateway is None:
            return None
        return f'{self.gateway}/{self.cidr.partition("/")[2]}'


@dataclasses.dataclass(frozen=True)
class Network:
    """A network with its IPv4 subnets."""

    id: str
    mtu: int  # bytes
    external: bool
    subnets: tuple[Subnet, ...]

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
    addresses: tuple[str, ...]  # IPv4
    filtered: bool  # port security is enabled
    groups: tuple[str, ...]  # ids of its security groups

    @property
    def tap(self) -> str:
        return names.tap(self.id)


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule of a security group, for IPv4; None means any."""

    direction: str  # 'ingress' or 'egress'
    protocol: str | None
    low: int | None  # a port, or an ICMP type
    high: int | None  # a port, or an ICMP code
    prefix: str | None = None
    remote_group: str | None = None
    address_group: str | None = None


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

    def group_addresses(self, group: str) -> list[str]:
        """The addresses of a security group's members."""
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
                )
        found.update((f.fixed, f.address) for f in self.floating_ips)
        return found
