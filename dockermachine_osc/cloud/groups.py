# SPDX-License-Identifier: Apache-2.0
"""Security groups, one for each set of rules and shared by its machines.

A project's default quota is ten groups, so a group a machine would not do. The
name is made from the rules: two people who want the same rules meet in one
group. If both make it at the same moment there are two of that name, which
harms nobody, as each machine remembers the id of its own. Neutron refuses to
delete a group that a port uses, so whoever deletes the last machine deletes
the group, without asking first.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from openstack import exceptions as sdk_exceptions

from dockermachine_osc.cloud import failures, patience
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from openstack.connection import Connection
    from openstack.network.v2.port import Port
    from openstack.network.v2.security_group import SecurityGroup
    from openstack.network.v2.security_group_rule import SecurityGroupRule

EVERYWHERE = '0.0.0.0/0'
#: What everywhere is, by version of IP.
ANYWHERE = {4: EVERYWHERE, 6: '::/0'}
NAME_PREFIX = 'docker-machine-'
#: Marks the groups that are ours to delete; a name alone could be anyone's.
DESCRIPTION_PREFIX = 'Made and removed by openstack docker machine: '
_CONFLICT, _GONE = 409, 404
#: Seconds.
_NEUTRON_LETS_GO = 5.0


@dataclasses.dataclass(frozen=True)
class Rules:
    """TCP ports open to networks; both sorted, as they make the name."""

    cidrs: tuple[str, ...]
    ports: tuple[int, ...]

    @classmethod
    def of(cls, cidrs: Iterable[str], ports: Iterable[int]) -> Rules:
        """Make the set of rules from any order and way to write a network."""
        # As Neutron writes them, so that they are found again.
        networks = {str(ipaddress.ip_network(cidr)) for cidr in cidrs}
        return cls(tuple(sorted(networks)), tuple(sorted(set(ports))))

    def __str__(self) -> str:
        ports = ', '.join(str(p) for p in self.ports)
        return f'tcp {ports} from {", ".join(self.cidrs)}'

    @property
    def group_name(self) -> str:
        """The name of the group that holds exactly these rules."""
        digest = hashlib.sha256(str(self).encode()).hexdigest()
        return NAME_PREFIX + digest[:12]

    def missing_from(self, group: SecurityGroup) -> list[dict[str, object]]:
        """Give the rules that a half-made group still lacks."""
        there = {
            (_prefix(r), r['port_range_min'])
            for r in group.security_group_rules or ()
            if r['direction'] == 'ingress' and r['protocol'] == 'tcp'
        }
        return [
            {
                'security_group_id': group.id,
                'direction': 'ingress',
                'ethertype': f'IPv{ipaddress.ip_network(cidr).version}',
                'protocol': 'tcp',
                'port_range_min': port,
                'port_range_max': port,
                'remote_ip_prefix': cidr,
            }
            for cidr in self.cidrs
            for port in self.ports
            if (cidr, port) not in there
        ]


def _prefix(rule: Mapping[str, Any]) -> str:
    anywhere = ANYWHERE[6 if rule['ethertype'] == 'IPv6' else 4]
    return str(rule['remote_ip_prefix'] or anywhere)


def version_of(address: str) -> int:
    """Give the version of IP of an address or network, however untrusted."""
    return 6 if ':' in address else 4


def is_ours(group: SecurityGroup) -> bool:
    """Tell whether a group was made here, by name and description."""
    return str(group.name).startswith(NAME_PREFIX) and str(
        group.description
    ).startswith(DESCRIPTION_PREFIX)


def find(
    connection: Connection, rules: Iterable[Rules]
) -> tuple[SecurityGroup, ...]:
    """List the groups of this project that were made for any of these."""
    with failures.step('list security groups'):
        found = connection.network.security_groups(
            name=[r.group_name for r in rules],
            project_id=connection.current_project_id,
        )
        return tuple(g for g in found if is_ours(g))


def ensure(
    connection: Connection, rules: Rules, known: Sequence[SecurityGroup]
) -> str:
    """Give the id of a group with these rules, made now if none is known."""
    if known:
        group = min(known, key=lambda g: (str(g.created_at), str(g.id)))
    else:
        group = _create(connection, rules)
    with failures.step(f'read the rules of security group {group.name}'):
        missing = rules.missing_from(group)
    if missing:
        patience.repeated(lambda: _add(connection, rules, group.id, missing))
    return str(group.id)


def _create(connection: Connection, rules: Rules) -> SecurityGroup:
    def make() -> SecurityGroup:
        with failures.step('create a security group'):
            return connection.network.create_security_group(
                name=rules.group_name,
                description=f'{DESCRIPTION_PREFIX}{rules}'[:255],
            )

    def seen() -> SecurityGroup | None:
        return next(iter(find(connection, [rules])), None)

    try:
        return patience.made_once(make, seen)
    except failures.ApiError as error:
        # Those who create at this moment may have used up the quota, each
        # with a group of these very rules.
        if error.status == _CONFLICT and (group := seen()):
            return group
        raise


def _add(
    connection: Connection,
    rules: Rules,
    group_id: str,
    missing: list[dict[str, object]],
) -> None:
    network = connection.network
    with failures.step(f'add rules to security group {group_id}'):
        try:
            list(network.create_security_group_rules(missing))
        except sdk_exceptions.ConflictException:
            # Either somebody who creates a machine at this moment has added
            # the same, or the quota of rules is used up.
            if rules.missing_from(network.get_security_group(group_id)):
                raise


def open_from(
    connection: Connection,
    server_id: str,
    address: str,
    port_id: str,
    port: int,
) -> tuple[str, ...]:
    """Give the networks from which a server's groups open a TCP port.

    A rule that names a group instead of a network is given as that.

    :param address: at which of the server's; it tells the interface and the
        version of IP.
    :param port_id: of that interface's port, '' if it is not known, for a
        floating IP.
    """
    network, version = connection.network, version_of(address)
    with failures.step('read the security groups'):
        ports = list(network.ports(device_id=server_id))
        ports = _of(ports, address, port_id)
        if any(not p.is_port_security_enabled for p in ports):
            return (ANYWHERE[version],)
        ids = {g for p in ports for g in p.security_group_ids or ()}
        rules = [
            rule
            for group_id in ids
            for rule in network.security_group_rules(
                security_group_id=group_id,
                direction='ingress',
                ether_type=f'IPv{version}',
            )
        ]
    return tuple(sorted({_source(r) for r in rules if _opens(r, port)}))


def _of(ports: list[Port], address: str, port_id: str) -> list[Port]:
    """Give the port that an address leads to; all if that is not clear."""
    fixed = [
        port
        for port in ports
        if address in {f['ip_address'] for f in port.fixed_ips or ()}
    ]
    return fixed or [p for p in ports if p.id == port_id] or ports


def _opens(rule: SecurityGroupRule, port: int) -> bool:
    if rule.protocol not in (None, 'tcp', '6', 'any'):
        return False
    low, high = rule.port_range_min, rule.port_range_max
    return low is None or low <= port <= (high or low)


def _source(rule: SecurityGroupRule) -> str:
    if rule.remote_group_id:
        return f'group {rule.remote_group_id}'
    anywhere = ANYWHERE[6 if rule.ether_type == 'IPv6' else 4]
    return str(rule.remote_ip_prefix or anywhere)


def unused(connection: Connection) -> list[SecurityGroup]:
    """List this project's groups of ours that no port uses."""
    used = _used(connection)
    return [g for g in _ours(connection) if g.id not in used]


def _used(connection: Connection) -> set[str]:
    project_id = connection.current_project_id
    with failures.step('list the ports of security groups'):
        ports = connection.network.ports(project_id=project_id)
        return {g for p in ports for g in p.security_group_ids or ()}


def remove_unused(connection: Connection) -> list[str]:
    """Delete this project's groups of ours that no port uses.

    :returns: the ids of those deleted.
    """
    # Neutron knows best what is used, and refuses.
    return remove(connection, [g.id for g in _ours(connection)])


def remove(connection: Connection, group_ids: Iterable[str]) -> list[str]:
    """Delete groups, unless a port uses them; give the ids of those gone.

    One that no port uses any more, and is refused all the same, is tried
    again for some seconds.
    """
    left, gone = list(group_ids), []
    for _ in Deadline(_NEUTRON_LETS_GO).polls():
        answers = {g: _delete(connection, g) for g in left}
        gone += [g for g, status in answers.items() if not status]
        left = [g for g, status in answers.items() if status == _CONFLICT]
        used = _used(connection) if left else set()
        left = [g for g in left if g not in used]
        if not left:
            break
    return gone


def _ours(connection: Connection) -> list[SecurityGroup]:
    with failures.step('list security groups'):
        found = connection.network.security_groups(
            project_id=connection.current_project_id
        )
        return [g for g in found if is_ours(g)]


def _delete(connection: Connection, group_id: str) -> int:
    """Delete a group; give 0, or the status with which that was refused."""
    try:
        with failures.step(f'delete security group {group_id}'):
            connection.network.delete_security_group(
                group_id, ignore_missing=False
            )
    except failures.ApiError as error:
        if error.status not in (_CONFLICT, _GONE):
            raise
        return error.status
    return 0
