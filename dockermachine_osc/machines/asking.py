# SPDX-License-Identifier: Apache-2.0
"""Asking engines whose keys are on this workstation; others cannot be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import sidebyside
from dockermachine_osc.machines import accesses

if TYPE_CHECKING:
    from dockermachine_osc.engine import EngineFacts
    from dockermachine_osc.machines.machine import Machine
    from dockermachine_osc.waiting import Deadline

#: So many that dead hosts, each of which keeps a thread until the deadline,
#: leave room for the others; below the usual limit of open files, 1024.
_MOST_AT_ONCE = 512


def wait_for(machine: Machine, deadline: Deadline) -> None:
    """Wait until an engine answers."""
    record = machine.server.record
    if machine.folder and record.address:
        accesses.of(record.access).wait(record, machine.folder, deadline)


def ask_all(machines: Sequence[Machine], timeout: float) -> list[Machine]:
    """Ask all engines side by side, under one deadline for all together."""
    jobs = {i: _asker(m, timeout) for i, m in enumerate(machines)}
    answers = sidebyside.run(jobs, _MOST_AT_ONCE, timeout=timeout)
    return [
        dataclasses.replace(m, engine=answers[i])
        for i, m in enumerate(machines)
    ]


def _asker(
    machine: Machine, timeout: float
) -> Callable[[], EngineFacts | None]:
    record = machine.server.record

    def ask() -> EngineFacts | None:
        if machine.folder is None or not record.address:
            return None
        return accesses.of(record.access).ask(record, machine.folder, timeout)

    return ask
