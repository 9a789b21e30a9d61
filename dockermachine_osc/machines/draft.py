# SPDX-License-Identifier: Apache-2.0
"""A machine in the making."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dockermachine_osc import engine
from dockermachine_osc.engine import AtOnce, EngineSettings

if TYPE_CHECKING:
    from dockermachine_osc import selfsigned
    from dockermachine_osc.cloud import Plan
    from dockermachine_osc.machines.access import Access
    from dockermachine_osc.record import Record
    from dockermachine_osc.request import CreateRequest
    from dockermachine_osc.store import MachineFolder


@dataclasses.dataclass
class Draft:
    """What is known so far; filled in step by step.

    ``goods`` are what the engine is to be handed; ``asked`` is what it is to
    show if it starts before that; ``attached`` are the ids of a floating IP
    and a port, both the user's.
    """

    request: CreateRequest
    plan: Plan
    folder: MachineFolder
    machine_id: str
    record: Record
    access: Access
    goods: Mapping[str, bytes] = dataclasses.field(
        default_factory=dict, repr=False
    )
    asked: selfsigned.Asked | None = None
    server_id: str = ''
    attached: tuple[str, str] | None = None

    @property
    def engine(self) -> EngineSettings:
        """What the set-up on the host has to know."""
        request = self.request
        return EngineSettings(
            machine_id=self.machine_id,
            source=request.engine_source,
            version=request.engine_version,
            port=request.engine_port,
            access=request.access,
            data_disk=request.data_volume,
        )

    @property
    def needs_no_visit(self) -> bool:
        """Whether nothing is asked for that takes a login to the host."""
        request = self.request
        return not (
            request.user_data
            or request.engine_options
            or request.post_script
            or request.data_volume
            or request.engine_version
            or request.engine_source == 'none'
        )

    def user_data(self, at_once: AtOnce | None = None) -> bytes:
        """Give what sets the engine up while the server boots.

        :param at_once: how it starts, if it needs no visit.
        :raises InvalidRequest: if the user's own data are of no use.
        """
        return engine.user_data(
            self.engine,
            self.plan.public_key,
            self.request.user_data,
            self.request.engine_options,
            at_once,
        )
