# SPDX-License-Identifier: Apache-2.0
"""Another version of a machine's engine, by its own package manager."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors
from dockermachine_osc.machines import accesses, errand, provision

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder
    from dockermachine_osc.waiting import Deadline


@dataclasses.dataclass(frozen=True)
class Upgrade:
    """What an upgrade has come to.

    Versions are the engine's own; those of its package say more, such as
    which of the distribution's fixes are in it.

    :param restarted: whether the engine was; never if nothing was new.
    """

    name: str
    before: str
    after: str
    package: str
    package_before: str
    package_after: str
    restarted: bool


def upgrade(
    cloud: Cloud,
    server: MachineServer,
    folder: MachineFolder,
    version: str,
    deadline: Deadline,
    steps: Steps,
) -> tuple[MachineServer, Upgrade]:
    """Change the engine's packages, and prove the engine that then runs.

    :returns: the server with its record, and what has changed.
    :raises InvalidRequest: if the machine is off.
    :raises EngineFailure: if it has no package, there is no such version, or
        the engine does not run with it.
    """
    provision.check_on(server)
    record = server.record
    settings = errand.settings_of(record, version)
    parcel = engine.upgrade(settings, wait=errand.hosts_time(deadline))
    steps.begin('Logging in')
    way = errand.known_way(record, folder)
    done = errand.run(way, folder, parcel, deadline, steps)
    steps.begin('Waiting for the engine')
    way_in = accesses.of(record.access)
    now = way_in.prove(record, folder, done.outcome, deadline)
    record = record.replace(engine_version=now)
    if record != server.record:
        cloud.write_record(server.id, record)
    after = dataclasses.replace(server, record=record)
    return after, _read(server.name, now, done.outcome.facts)


def _read(name: str, after: str, facts: dict[str, str]) -> Upgrade:
    """Put together what the host and the engine have said.

    :raises HostFailure: if the host has not said what it did.
    """
    try:
        return Upgrade(
            name=name,
            before=facts['before'],
            after=after,
            package=facts['package'],
            package_before=facts['package-before'],
            package_after=facts['package-after'],
            restarted=facts['restarted'] == 'yes',
        )
    except KeyError as missing:
        raise errors.HostFailure(
            f'The host does not tell what it has changed: no {missing}'
        ) from None
