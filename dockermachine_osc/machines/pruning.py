# SPDX-License-Identifier: Apache-2.0
"""What creates and deletes that were killed have left in a project.

Only what carries a mark of ours is looked at. A mark that no server answers
to is an orphan, and so is a server whose create has never come to its end;
but not while that may still be going on, which its age tells, by the clock of
the cloud: that of a workstation may be days off. What a server uses that is
none of ours, or has lost its own marks, is no orphan either.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.machines import removal
from dockermachine_osc.record import CREATING
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.cloud.marks import Marked

#: Seconds for what belongs to one machine.
_TIMEOUT = 300.0
#: Age in seconds from which on something is left over, unless its create was
#: given longer than that; and for the end of one that was.
_OLD, _ENDING = 3600.0, 600.0


@dataclasses.dataclass(frozen=True)
class Orphan:
    """One thing that was left.

    :param kind: server, port, floating IP or security group.
    :param machine: the name of the machine it was made for, if known.
    :param problem: why it could not be removed, '' if it was or may be.
    """

    kind: str
    id: str
    machine: str
    created: str
    problem: str = ''


@dataclasses.dataclass(frozen=True)
class _Remains:
    """All that is left of one machine, and why it cannot be removed if so."""

    machine_id: str
    name: str
    server: MachineServer | None
    marked: Sequence[Marked]
    problem: str = ''

    @property
    def orphans(self) -> Iterator[Orphan]:
        if self.server:
            yield Orphan(
                'server', self.server.id, self.name, self.server.created
            )
        for marked in self.marked:
            yield Orphan(marked.kind, marked.id, self.name, marked.created)

    def is_older(self, now: datetime.datetime, age: float | None) -> bool:
        """Tell whether nothing of it is younger than that many seconds.

        :param age: None for what its create may have taken.
        """
        if age is None:
            given = self.server.record.timeout if self.server else 0
            age = max(_OLD, given + _ENDING)
        return all(_before(o.created, now, age) for o in self.orphans)


def prune(
    cloud: Cloud, older_than: float | None, *, dry_run: bool
) -> Sequence[Orphan]:
    """Remove what was left, and list it.

    :param older_than: seconds since the youngest part of it was made; None
        for an hour, or what its create was given if that is longer.
    :returns: with what could not be removed.
    :raises CloudFailure: if the cloud does not tell its time, as below.
    """
    # The time comes first: what is made from now on is younger than nothing.
    now = cloud.now()
    found: list[Orphan] = []
    for remains in _remains(cloud):
        if remains.is_older(now, older_than):
            problem = remains.problem
            if not problem and not dry_run:
                problem = _remove(cloud, remains)
            found += (
                dataclasses.replace(o, problem=problem)
                for o in remains.orphans
            )
    unused = {
        group_id: created
        for group_id, created in cloud.unused_groups().items()
        if _before(created, now, _OLD if older_than is None else older_than)
    }
    gone = unused if dry_run else cloud.remove_groups(unused)
    groups = (Orphan('security group', g, '', unused[g]) for g in gone)
    return [*found, *groups]


def _remains(cloud: Cloud) -> Iterator[_Remains]:
    # First what is marked, then the servers: what is made in between is
    # alive. What is deleted in between is gone when it is to be removed.
    marked: dict[str, list[Marked]] = {}
    for resource in cloud.marked():
        marked.setdefault(resource.machine_id, []).append(resource)
    servers: dict[str, list[MachineServer]] = {}
    for server in cloud.machines():
        servers.setdefault(server.record.id, []).append(server)
    for machine_id, same in servers.items():
        for server in same:
            if server.record.state == CREATING and not (
                server.record.server_stays
            ):
                yield _half_made(server, same, marked.get(machine_id, []))
    for machine_id in sorted(marked.keys() - servers.keys()):
        lost = marked[machine_id]
        if not removal.user_of(cloud, lost):
            yield _Remains(machine_id, lost[0].machine_name, None, lost)


def _half_made(
    server: MachineServer,
    same: Sequence[MachineServer],
    marked: Sequence[Marked],
) -> _Remains:
    """Give a server that was not finished.

    :param same: all servers that say to be this machine.
    """
    machine_id, name = server.record.id, server.name
    if len(same) == 1:
        return _Remains(machine_id, name, server, marked)
    others = ', '.join(f'{s.name} ({s.id})' for s in same if s is not server)
    problem = (
        f'{others} has the same machine id: which of them is the machine '
        'is for you to say, with "openstack server delete" of the other'
    )
    return _Remains(machine_id, name, server, (), problem)


def _remove(cloud: Cloud, remains: _Remains) -> str:
    """Remove it all; give what went wrong."""
    try:
        removal.remove_from_cloud(
            cloud, remains.machine_id, remains.server, Deadline(_TIMEOUT)
        )
    except errors.MachineError as error:
        return error.message
    return ''


def _before(created: str, now: datetime.datetime, age: float) -> bool:
    """Tell whether something is older; what does not say when never is."""
    try:
        born = datetime.datetime.fromisoformat(created)
    except ValueError:
        return False
    born = born.replace(tzinfo=born.tzinfo or datetime.UTC)
    return now - born > datetime.timedelta(seconds=age)
