# SPDX-License-Identifier: Apache-2.0
"""Asking engines whose keys are on this workstation; others cannot be."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.machines import access

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
        access.of(record.access).wait(record, machine.folder, deadline)


def ask_all(machines: Sequence[Machine], timeout: float) -> list[Machine]:
    """Ask all engines side by side, under one deadline for all together."""
    pool = concurrent.futures.ThreadPoolExecutor(
        min(_MOST_AT_ONCE, max(1, len(machines)))
    )
    asked = [pool.submit(_asker(m, timeout)) for m in machines]
    concurrent.futures.wait(asked, timeout)
    pool.shutdown(wait=False, cancel_futures=True)
    return [
        dataclasses.replace(m, engine=_outcome(f, timeout))
        for m, f in zip(machines, asked, strict=True)
    ]


def _asker(
    machine: Machine, timeout: float
) -> Callable[[], EngineFacts | None]:
    record = machine.server.record

    def ask() -> EngineFacts | None:
        if machine.folder is None or not record.address:
            return None
        return access.of(record.access).ask(record, machine.folder, timeout)

    return ask


def _outcome(
    asked: concurrent.futures.Future[EngineFacts | None], timeout: float
) -> EngineFacts | errors.MachineError | None:
    if not asked.done() or asked.cancelled():
        return errors.DeadlineExceeded(f'no answer within {timeout:g} s')
    try:
        return asked.result()
    except errors.MachineError as error:
        return error
