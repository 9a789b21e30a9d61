# SPDX-License-Identifier: Apache-2.0
"""How Docker clients reach an engine, and what differs by it.

All that does stands behind this interface; the way of a machine's life is
one for all.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors

if TYPE_CHECKING:
    from dockermachine_osc import selfsigned
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.cloud.groups import Rules
    from dockermachine_osc.engine import EngineFacts, Findings, Outcome
    from dockermachine_osc.machines.errand import Way
    from dockermachine_osc.machines.links import Patient
    from dockermachine_osc.record import Record
    from dockermachine_osc.request import AdoptRequest
    from dockermachine_osc.store import MachineFolder
    from dockermachine_osc.waiting import Deadline


class Access(abc.ABC):
    """One way for Docker clients to get to an engine."""

    @abc.abstractmethod
    def secrets(self, machine: str) -> dict[str, bytes]:
        """Make the files of a new machine's folder, by their names."""

    @abc.abstractmethod
    def goods(
        self, record: Record, folder: MachineFolder, names: Sequence[str]
    ) -> tuple[Mapping[str, bytes], Record]:
        """Make what the engine is handed.

        :param names: by which clients reach the engine.
        :returns: files by their names, and the record that tells of them.
        :raises StoreFailure: if what it takes is not on this workstation.
        """

    def handed_over(self, folder: MachineFolder) -> None:
        """Forget how the engine proved itself before it had the goods."""
        return

    def asked(self, names: Sequence[str]) -> selfsigned.Asked | None:
        """Say what an engine that starts with the boot is to show.

        :returns: None if it cannot be reached before somebody has logged in.
        """
        return None

    @abc.abstractmethod
    def prove(
        self,
        record: Record,
        folder: MachineFolder,
        outcome: Outcome,
        deadline: Deadline,
        why: str = '',
    ) -> str:
        """Make sure that the engine answers, as to a Docker client.

        :param outcome: how its set-up ended.
        :param why: what to add if it does not: which group is closed.
        :returns: its version.
        :raises EngineFailure: if it does not answer.
        """

    @abc.abstractmethod
    def ask(
        self, record: Record, folder: MachineFolder, timeout: float
    ) -> EngineFacts:
        """Ask the engine who it is, once.

        :raises MachineError: if it does not answer.
        """

    @abc.abstractmethod
    def wait(
        self, record: Record, folder: MachineFolder, deadline: Deadline
    ) -> EngineFacts:
        """Ask the engine until it answers.

        :raises MachineError: if it does not in time, or not as it should.
        """

    @abc.abstractmethod
    def is_well(
        self, server: MachineServer, folder: MachineFolder, timeout: float
    ) -> bool:
        """Tell whether `provision` has nothing to do."""

    @abc.abstractmethod
    def proposed(
        self, way: Way, findings: Findings, request: AdoptRequest
    ) -> tuple[Rules | None, Sequence[str]]:
        """Tell what adopting a server changes for it.

        :returns: the rules of a security group to add, and the changes on
            the host, in words.
        :raises InvalidRequest: if it would lead to nothing.
        """

    @abc.abstractmethod
    def checks(self) -> Mapping[str, Callable[[Patient], str]]:
        """Give the links that `check` tries, in their order."""

    def answers(
        self, record: Record, folder: MachineFolder, timeout: float
    ) -> bool:
        """Tell whether the engine answers."""
        try:
            self.ask(record, folder, timeout)
        except errors.MachineError:
            return False
        return True
