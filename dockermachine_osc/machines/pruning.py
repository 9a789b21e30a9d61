# SPDX-License-Identifier: Apache-2.0
"""What creates and deletes that were killed have left in a project.

Only what carries a mark of ours is looked at. A mark that no server answers
to is an orphan, and so is a server whose create has never come to its end;
but not while that may still be going on, which its age tells.
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
    """All that is left of one machine."""

    machine_id: str
    name: str
    server: MachineServer | None
    marked: Sequence[Marked]

    @property
    def orphans(self) -> Iterator[Orphan]:
        if self.server:
            yield Orphan(
                'server', self.server.id, self.name, self.server.created
            )
        for marked in self.marked:
            yield Orphan(marked.kind, marked.id, self.name, marked.created)

    def is_older(self, moment: datetime.datetime) -> bool:
        """Tell whether nothing of it has been made since then."""
        return all(_before(o.created, moment) for o in self.orphans)


def prune(
    cloud: Cloud, older_than: float, *, dry_run: bool
) -> Sequence[Orphan]:
    """Remove what was left, and list it.

    :param older_than: seconds since the youngest part of it was made.
    :returns: with what could not be removed.
    """
    now = datetime.datetime.now(datetime.UTC)
    moment = now - datetime.timedelta(seconds=older_than)
    found: list[Orphan] = []
    for remains in _remains(cloud):
        if remains.is_older(moment):
            problem = '' if dry_run else _remove(cloud, remains)
            found += (
                dataclasses.replace(o, problem=problem)
                for o in remains.orphans
            )
    unused = {
        group_id: created
        for group_id, created in cloud.unused_groups().items()
        if _before(created, moment)
    }
    gone = unused if dry_run else cloud.remove_groups(unused)
    groups = (Orphan('security group', g, '', unused[g]) for g in gone)
    return [*found, *groups]


def _remains(cloud: Cloud) -> list[_Remains]:
    machines = cloud.machines()
    alive = {m.record.id for m in machines}
    marked: dict[str, list[Marked]] = {}
    # Asked for after the servers: what was made in between is not alive, but
    # young.
    for resource in cloud.marked():
        marked.setdefault(resource.machine_id, []).append(resource)
    half_made = [
        _Remains(m.record.id, m.name, m, marked.get(m.record.id, []))
        for m in machines
        if m.record.state == CREATING and not m.record.server_stays
    ]
    lost = [
        _Remains(machine_id, resources[0].machine_name, None, resources)
        for machine_id, resources in sorted(marked.items())
        if machine_id not in alive
    ]
    return half_made + lost


def _remove(cloud: Cloud, remains: _Remains) -> str:
    """Remove it all; give what went wrong."""
    try:
        removal.remove_from_cloud(
            cloud, remains.machine_id, remains.server, Deadline(_TIMEOUT)
        )
    except errors.MachineError as error:
        return error.message
    return ''


def _before(created: str, moment: datetime.datetime) -> bool:
    """Compare; what does not tell its age is never old enough."""
    try:
        born = datetime.datetime.fromisoformat(created)
    except ValueError:
        return False
    return born.replace(tzinfo=born.tzinfo or datetime.UTC) < moment
