# SPDX-License-Identifier: Apache-2.0
"""One project on one cloud: what can be made there, found, and removed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.cloud import (
    adopted,
    clock,
    failures,
    groups,
    marks,
    patience,
    plan,
    ports,
    power,
    servers,
    survey,
    unused,
)
from dockermachine_osc.cloud.flavors import Flavors
from dockermachine_osc.cloud.versions import Versions
from dockermachine_osc.record import Record, is_id
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from openstack.connection import Connection
    from openstack.network.v2.network import Network
    from openstack.network.v2.port import Port

    from dockermachine_osc.cloud.interfaces import Interface
    from dockermachine_osc.cloud.marks import Marked
    from dockermachine_osc.cloud.plan import Plan
    from dockermachine_osc.cloud.servers import MachineServer
    from dockermachine_osc.request import CreateRequest

_GROUP_TRIES = 6
_GONE = 404


@dataclasses.dataclass(frozen=True)
class Address:
    """A floating IP: its id, and the address."""

    id: str
    floating: str


class Cloud:
    """One project on one cloud.

    :param connection: an SDK connection that is scoped to the project.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._versions: Versions | None = None
        self._flavors: Flavors | None = None
        patience.teach(connection.session)

    def remember(self, folder: Path) -> None:
        """Ask no service for what hardly changes and was told lately.

        :param folder: of ours, for this project.
        """
        self._versions = Versions(folder / 'versions.json')
        self._versions.recall(self._connection.session)
        self._flavors = Flavors(folder / 'flavors.json')

    def _keep_versions(self, *services: str) -> None:
        if self._versions:
            self._versions.keep(self._connection, *services)

    # ------------------------------------------------------------ identity

    @property
    def name(self) -> str:
        """The cloud's name in clouds.yaml, or '' without one."""
        return str(self._connection.config.name or '')

    @property
    def auth_url(self) -> str:
        """The URL of Keystone, as configured."""
        return str(self._connection.config.get_auth_args().get('auth_url', ''))

    @property
    def region(self) -> str:
        """The region's name, '' if the cloud has none."""
        return str(self._connection.config.get_region_name() or '')

    @property
    def project_id(self) -> str:
        """The id of the project that the token is scoped to."""
        return str(self._connection.current_project_id or '')

    # ------------------------------------------------------------- looking

    def plan(
        self, requests: Sequence[CreateRequest], *, thorough: bool = True
    ) -> Plan:
        """Decide what a create will use, without making anything.

        :param requests: one or more that differ in nothing but the name.
        :param thorough: whether to ask all, or with fewer questions what
            does for most; the cloud may refuse such a plan.
        """
        rules = plan.possible_rules(requests[0])
        known = self._flavors.recall(requests[0]) if self._flavors else ()
        found = survey.take(
            self._connection, requests, rules, known, thorough=thorough
        )
        self._keep_versions('compute', 'image')
        if self._flavors and found.flavors is not known:
            self._flavors.keep(found.flavors)
        with failures.step('understand what the cloud has'):
            return plan.make(requests, found)

    def machines(
        self, *, name: str = '', status: str = '', tags: Sequence[str] = ()
    ) -> list[MachineServer]:
        """List the machines of this project: all, or those that fit."""
        found = servers.machines(
            self._connection, name=name, status=status, tags=tags
        )
        self._keep_versions('compute')
        return found

    def find(self, name_or_id: str) -> list[MachineServer]:
        """Find machines by name, or by the id of the server."""
        # Nova narrows names down, and not ids of ours.
        narrowed = '' if is_id(name_or_id) else servers.pattern(name_or_id)
        return [
            m
            for m in self.machines(name=narrowed)
            if name_or_id in (m.name, m.id, m.record.id)
        ]

    def server_named(self, name: str) -> str:
        """Give the id of any server of that name, ours or not; '' if none."""
        return next((s.id for s in self.servers_named(name)), '')

    def servers_named(self, name: str) -> list[MachineServer]:
        """List the servers of exactly that name, machines or not."""
        return servers.named(self._connection, name)

    def server(self, server_id: str) -> MachineServer | None:
        """Read one server; None if it is gone."""
        return servers.get(self._connection, server_id)

    def console(self, server_id: str) -> str | None:
        """Read a server's console log; None if the cloud won't show it."""
        return servers.console(self._connection, server_id)

    def now(self) -> datetime.datetime:
        """Give the time by the cloud's own clocks."""
        return clock.now(self._connection)

    def marked(self) -> list[Marked]:
        """List the ports and floating IPs of this project that bear a mark."""
        return marks.find(self._connection)

    def open_from(
        self, server_id: str, address: str, port_id: str, port: int
    ) -> tuple[str, ...]:
        """Give the networks from which a server's groups open a TCP port."""
        return groups.open_from(
            self._connection, server_id, address, port_id, port
        )

    # -------------------------------------------------------------- making

    def make_group(self, plan: Plan) -> str:
        """Make our group, if need be; give its id, '' if it is not used."""
        if plan.rules is None or plan.group:
            return plan.group
        return groups.ensure(self._connection, plan.rules, plan.known_groups)

    def make_port(
        self,
        plan: Plan,
        interface: Interface,
        group: str,
        machine_id: str,
        name: str,
    ) -> tuple[Port, str]:
        """Make a port of a machine in its security groups.

        :param group: the id of our group, '' if the user named the groups.
        :returns: the port, and the id of our group if that is another now.
        """
        for tries_left in reversed(range(_GROUP_TRIES)):
            ids = [group] if group else [g.id for g in plan.named_groups]
            try:
                made = ports.create(
                    self._connection, interface, ids, machine_id, name
                )
            except failures.ApiError as error:
                # Whoever deleted the last machine took the group along.
                if error.status != _GONE or not plan.rules or not tries_left:
                    raise
                known = groups.find(self._connection, [plan.rules])
                plan = dataclasses.replace(plan, known_groups=known, group='')
                group = self.make_group(plan)
            else:
                return made, group
        raise AssertionError('the last try returns or raises')

    def make_floating_ip(
        self, external: Network, machine_id: str, name: str
    ) -> Address:
        """Make a floating IP, which leads nowhere yet."""
        made = ports.create_floating_ip(
            self._connection, external, machine_id, name
        )
        return Address(made.id, str(made.floating_ip_address))

    def attach_floating_ip(self, address: Address, port: Port) -> None:
        """Lead a floating IP to a port."""
        with failures.step(f'attach floating IP {address.floating}'):
            self._connection.network.update_ip(address.id, port_id=port.id)

    def detach_floating_ip(
        self, address_id: str, port_id: str, server_id: str = ''
    ) -> None:
        """Lead a floating IP of the user's away from a port, if it is there.

        Gone or led elsewhere meanwhile is fine. The ids come from metadata
        that others can write: a port that another server uses is left alone.
        """
        network = self._connection.network
        with failures.step(f'detach floating IP {address_id}'):
            found = list(network.ips(id=address_id, port_id=port_id))
            users = {p.device_id or '' for p in network.ports(id=port_id)}
            if found and users <= {'', server_id}:
                network.update_ip(found[0], port_id=None)

    def make_server(
        self,
        request: CreateRequest,
        plan: Plan,
        port_ids: Sequence[str],
        record: Record,
        user_data: bytes,
    ) -> MachineServer:
        """Ask Nova for the server."""
        return servers.create(
            self._connection, request, plan, port_ids, record, user_data
        )

    def wait_active(
        self,
        server_id: str,
        name: str,
        deadline: Deadline,
        meet: Callable[[Sequence[MachineServer]], None],
        pause: Callable[[float], object],
    ) -> MachineServer:
        """Wait until a server is ACTIVE; its fault if it is in ERROR.

        :param meet: is told at each look of all servers of that name.
        :param pause: between two looks.
        """
        return servers.wait_active(
            self._connection, server_id, name, deadline, meet, pause
        )

    def write_record(self, server_id: str, record: Record) -> None:
        """Add the record's items to a server's metadata."""

        def write() -> None:
            with failures.step(f'write the metadata of server {server_id}'):
                self._connection.compute.set_server_metadata(
                    server_id, **record.to_metadata()
                )

        patience.repeated(write)

    def rename_server(self, server_id: str, name: str) -> None:
        """Give a server another name."""
        with failures.step(f'rename server {server_id}'):
            self._connection.compute.update_server(server_id, name=name)

    def mark_anew(self, resource: Marked, name: str) -> None:
        """Write a machine's new name into the mark of what it owns."""
        marks.write_anew(self._connection, resource, name)

    # ------------------------------------------------------------ adopting

    def find_server(self, wanted: str) -> MachineServer:
        """Find any server by name, id or address."""
        return adopted.find_server(self._connection, wanted)

    def servers(self) -> list[MachineServer]:
        """List all servers of the project, machines or not."""
        return adopted.everything(self._connection)

    def key_pairs(self) -> list[str]:
        """List the names of the user's key pairs, of whatever project."""
        return unused.key_pairs(self._connection)

    def public_key(self, key_pair: str) -> str:
        """Read the public key of a key pair, '' if it is gone."""
        return unused.public_key(self._connection, key_pair)

    def unused_floating_ips(self) -> list[str]:
        """List the floating IPs that lead nowhere and are not ours."""
        return unused.floating_ips(self._connection, self.project_id)

    def mark_server(self, server_id: str, record: Record) -> None:
        """Make a server a machine."""
        adopted.mark(self._connection, server_id, record)

    def unmark_server(self, server_id: str) -> None:
        """Make a machine a server like any other."""
        adopted.unmark(self._connection, server_id)

    def group_of(self, rules: groups.Rules) -> str:
        """Give the id of our group of these rules, made if need be."""
        return adopted.make_group(self._connection, rules)

    def open_to(self, server_id: str, group: str) -> None:
        """Put a server into a group of ours."""
        adopted.open_to(self._connection, server_id, group)

    def close_to(self, server_id: str, group: str) -> None:
        """Take a group of ours from a server, and away with its last one."""
        adopted.close_to(self._connection, server_id, group)
        self.remove_unused_groups()

    # --------------------------------------------------------- on and off

    def start(self, server: MachineServer, deadline: Deadline) -> bool:
        """Bring a server up; tell whether it was not."""
        return power.start(self._connection, server, deadline)

    def stop(self, server: MachineServer, deadline: Deadline) -> bool:
        """Bring a server down; tell whether it was not."""
        return power.stop(self._connection, server, deadline)

    def restart(
        self, server: MachineServer, deadline: Deadline, *, hard: bool
    ) -> None:
        """Reboot a server, or start it if it is off."""
        power.restart(self._connection, server, deadline, hard=hard)

    # ------------------------------------------------------------ removing

    def delete_server(self, server_id: str) -> None:
        """Ask Nova to delete a server; gone already is fine."""
        servers.delete(self._connection, server_id)

    def wait_server_gone(self, server_id: str, deadline: Deadline) -> None:
        """Wait until a server is gone."""
        servers.wait_gone(self._connection, server_id, deadline)

    def delete_marked(self, resource: Marked, deadline: Deadline) -> None:
        """Delete a port or floating IP; gone already is fine."""
        marks.delete(self._connection, resource, deadline)

    def remove_unused_groups(self) -> list[str]:
        """Delete our security groups that no port uses; give their ids."""
        return groups.remove_unused(self._connection)

    def unused_groups(self) -> Mapping[str, str]:
        """Give when each security group of ours was made that none uses."""
        return {
            g.id: failures.plain(g.created_at or '')
            for g in groups.unused(self._connection)
        }

    def remove_groups(self, group_ids: Iterable[str]) -> list[str]:
        """Delete groups of ours that no port uses; give those deleted."""
        return groups.remove(self._connection, group_ids)


def only(found: list[MachineServer], name: str) -> MachineServer:
    """Give the one machine that was found.

    :raises NotFound: if there is none.
    :raises Ambiguous: if there are several, with their ids.
    """
    if not found:
        raise errors.NotFound(
            f"Machine '{name}' does not exist in this project",
            'See those there are: openstack docker machine list',
        )
    if len(found) > 1:
        ids = '\n'.join(f'  {m.id}' for m in found)
        raise errors.Ambiguous(
            f"{len(found)} machines are named '{name}':\n{ids}",
            'Give the id instead of the name',
        )
    return found[0]
