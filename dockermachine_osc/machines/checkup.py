# SPDX-License-Identifier: Apache-2.0
"""From this workstation to the engine, link by link: which one is broken.

Each link is tried only if those before it hold, so the first failure is the
one to mend.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.machines import accesses
from dockermachine_osc.machines.links import Patient

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.store import MachineFolder


@dataclasses.dataclass(frozen=True)
class Link:
    """One thing that was tried.

    :param holds: None if it was not tried, as one before it is broken.
    :param hint: what to type if it does not hold.
    """

    name: str
    holds: bool | None
    detail: str = ''
    hint: str = ''


def check(
    cloud: Cloud,
    server: MachineServer,
    folder: MachineFolder,
    timeout: float,
) -> Sequence[Link]:
    """Try every link to a machine.

    :param timeout: seconds for each link.
    """
    way_in = accesses.of(server.record.access)
    patient = Patient(cloud, server, folder, way_in.ask, timeout)
    return tuple(_walk(patient, way_in.checks()))


def _walk(
    patient: Patient, checks: Mapping[str, Callable[[Patient], str]]
) -> Iterator[Link]:
    broken = False
    for name, attempt in checks.items():
        if broken:
            yield Link(name, None)
            continue
        try:
            yield Link(name, True, attempt(patient))
        except errors.MachineError as error:
            broken = True
            yield Link(name, False, error.message, error.hint)
