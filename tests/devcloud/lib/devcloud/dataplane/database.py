# SPDX-License-Identifier: Apache-2.0
"""Reading what is wanted from Neutron's SQLite database.

Read-only, in one transaction.  The tables are those of Neutron's models
(neutron/db/models, neutron/db/models_v2.py, ...) of the pinned release.
"""

from __future__ import annotations

import collections
import pathlib
import sqlite3
import typing
from collections.abc import Iterator

from devcloud.dataplane import model

BUSY_TIMEOUT_S = 30.0

NETWORKS = """
    SELECT n.id, n.mtu, e.network_id IS NOT NULL AS external
    FROM networks n LEFT JOIN externalnetworks e ON e.network_id = n.id
    ORDER BY n.id"""
SUBNETS = """
    SELECT network_id, cidr, gateway_ip FROM subnets
    ORDER BY ip_version, cidr"""
PORTS = """
    SELECT p.id, p.mac_address, p.network_id,
           COALESCE(s.port_security_enabled, 1) AS filtered
    FROM ports p LEFT JOIN portsecuritybindings s ON s.port_id = p.id
    WHERE p.admin_state_up AND p.device_owner NOT LIKE 'network:%'
    ORDER BY p.id"""
ADDRESSES = 'SELECT port_id, ip_address FROM ipallocations ORDER BY 1, 2'
GROUPS = """
    SELECT port_id, security_group_id FROM securitygroupportbindings
    ORDER BY 1, 2"""
RULES = """
    SELECT security_group_id, direction, protocol, port_range_min,
           port_range_max, remote_ip_prefix, remote_group_id,
           remote_address_group_id, ethertype
    FROM securitygrouprules ORDER BY id"""
ADDRESS_GROUPS = """
    SELECT address_group_id, address FROM address_associations
    ORDER BY 1, 2"""
ROUTERS = """
    SELECT r.id, r.gw_port_id, r.enable_snat, p.network_id AS external
    FROM routers r LEFT JOIN ports p ON p.id = r.gw_port_id
    WHERE r.admin_state_up ORDER BY r.id"""
INTERFACES = """
    SELECT r.router_id, p.network_id FROM routerports r
    JOIN ports p ON p.id = r.port_id
    WHERE r.port_type = 'network:router_interface' ORDER BY 1, 2"""
FLOATING_IPS = """
    SELECT floating_ip_address, fixed_ip_address, floating_network_id,
           router_id
    FROM floatingips
    WHERE fixed_ip_address IS NOT NULL AND router_id IS NOT NULL
    ORDER BY 1"""


class Database:
    """A connection that tells when somebody else has committed."""

    def __init__(self, path: pathlib.Path) -> None:
        """:raises sqlite3.OperationalError: when there is no such file"""
        self._connection = sqlite3.connect(
            f'{path.as_uri()}?mode=ro',
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
        )

    def close(self) -> None:
        self._connection.close()

    def version(self) -> int:
        """Changes with each commit of another connection; costs 20 us."""
        return int(
            self._connection.execute('PRAGMA data_version').fetchone()[0]
        )

    def read(self) -> model.State:
        """One consistent picture."""
        self._connection.execute('BEGIN')
        try:
            return self._state()
        finally:
            self._connection.execute('COMMIT')

    def _rows(self, query: str) -> Iterator[tuple[typing.Any, ...]]:
        yield from self._connection.execute(query)

    def _grouped(self, query: str) -> dict[str, tuple[str, ...]]:
        """The second column's values, by the first's."""
        found: dict[str, list[str]] = collections.defaultdict(list)
        for key, value in self._rows(query):
            found[key].append(value)
        return {key: tuple(values) for key, values in found.items()}

    def _state(self) -> model.State:
        networks = tuple(self._networks())
        # a port on an external network is nobody's guest
        tenants = {n.id for n in networks if not n.external}
        return model.State(
            networks=networks,
            ports=tuple(p for p in self._ports() if p.network_id in tenants),
            rules=self._rules(),
            address_groups=self._grouped(ADDRESS_GROUPS),
            routers=tuple(self._routers()),
            floating_ips=tuple(
                model.FloatingIP(*row) for row in self._rows(FLOATING_IPS)
            ),
        )

    def _networks(self) -> Iterator[model.Network]:
        subnets: dict[str, list[model.Subnet]] = collections.defaultdict(list)
        for network, cidr, gateway in self._rows(SUBNETS):
            subnets[network].append(model.Subnet(cidr, gateway))
        for network, mtu, external in self._rows(NETWORKS):
            if subnets[network]:
                yield model.Network(
                    network, mtu, bool(external), tuple(subnets[network])
                )

    def _ports(self) -> Iterator[model.Port]:
        addresses = self._grouped(ADDRESSES)
        groups = self._grouped(GROUPS)
        for port, mac, network, filtered in self._rows(PORTS):
            yield model.Port(
                port,
                mac,
                network,
                addresses.get(port, ()),
                bool(filtered),
                groups.get(port, ()),
            )

    def _rules(self) -> dict[str, tuple[model.Rule, ...]]:
        found: dict[str, list[model.Rule]] = collections.defaultdict(list)
        for group, *fields in self._rows(RULES):
            found[group].append(model.Rule(*fields))
        return {group: tuple(rules) for group, rules in found.items()}

    def _routers(self) -> Iterator[model.Router]:
        inside = self._grouped(INTERFACES)
        addresses = self._grouped(ADDRESSES)
        for router, port, snat, external in self._rows(ROUTERS):
            own = (
                address
                for address in addresses.get(port, ())
                if model.version(address) == 4
            )
            yield model.Router(
                router,
                inside.get(router, ()),
                external,
                next(own, None),
                bool(snat),
            )
