# SPDX-License-Identifier: Apache-2.0
"""A machine in the making."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dockermachine_osc.engine import EngineSettings

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Plan
    from dockermachine_osc.machines.access import Access
    from dockermachine_osc.record import Record
    from dockermachine_osc.request import CreateRequest
    from dockermachine_osc.store import MachineFolder


@dataclasses.dataclass
class Draft:
    """What is known so far; filled in step by step.

    ``goods`` are what the engine is to be handed; ``attached`` are the ids of
    a floating IP and a port, both the user's.
    """

    request: CreateRequest
    plan: Plan
    folder: MachineFolder
    machine_id: str
    record: Record
    user_data: bytes
    access: Access
    goods: Mapping[str, bytes] = dataclasses.field(
        default_factory=dict, repr=False
    )
    server_id: str = ''
    attached: tuple[str, str] | None = None

    @property
    def engine(self) -> EngineSettings:
        """What the set-up on the host has to know."""
        return engine_settings(self.request, self.machine_id)


def engine_settings(request: CreateRequest, machine_id: str) -> EngineSettings:
    """Give what the set-up on the host has to know."""
    return EngineSettings(
        machine_id=machine_id,
        source=request.engine_source,
        version=request.engine_version,
        port=request.engine_port,
        access=request.access,
        data_disk=request.data_volume,
    )
