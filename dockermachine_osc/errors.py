# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, in words for the person at the terminal.

Every error of this package is a :class:`MachineError`: its text names the
thing and the cause, its hint the next command. The commands turn it into
osc-lib's CommandError in one place, :mod:`dockermachine_osc.commands.base`.
"""

from __future__ import annotations

from dockermachine_osc import plaintext


class MachineError(Exception):
    """Base of all errors that a user can meet.

    They quote what a cloud, a host or an engine has said, so nothing that
    steers a terminal gets into one.

    :param message: names the thing and the cause, one or more lines.
    :param hint: what to type or change next, empty if nothing is known.
    """

    def __init__(self, message: str, hint: str = '') -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def message(self) -> str:
        """What is wrong, in one or more lines."""
        return self._message

    @message.setter
    def message(self, text: str) -> None:
        self._message = plaintext.lines(text)

    @property
    def hint(self) -> str:
        """What to type or change next, '' if nothing is known."""
        return self._hint

    @hint.setter
    def hint(self, text: str) -> None:
        self._hint = plaintext.lines(text)

    def __str__(self) -> str:
        return f'{self.message}\n{self.hint}' if self.hint else self.message


class InvalidRequest(MachineError):
    """The request cannot be carried out as it was given; nothing was made."""


class NotFound(MachineError):
    """No machine or resource of that name or id exists."""


class Ambiguous(InvalidRequest):
    """Several resources fit and the user has to choose one."""


class NameTaken(InvalidRequest):
    """The name is another machine's already."""


class QuotaExceeded(InvalidRequest):
    """The project's quota does not allow what was asked for."""


class CloudFailure(MachineError):
    """The cloud refused, failed, or put a server in ERROR.

    :ivar refused: whether the cloud is well, and just does not do that.
    """

    refused = False


class HostFailure(MachineError):
    """The server cannot be reached or used over SSH."""


class EngineFailure(MachineError):
    """The Docker Engine could not be set up or does not answer."""


class StoreFailure(MachineError):
    """The local files of a machine cannot be read or written."""


class Interrupted(MachineError):
    """The user has given up while several machines were worked on."""


class DeadlineExceeded(MachineError):
    """A step did not finish within the time that the user allowed."""
