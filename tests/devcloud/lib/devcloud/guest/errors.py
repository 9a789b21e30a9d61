# SPDX-License-Identifier: Apache-2.0
"""The exit codes of the guest command and the error that carries them."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """What the process exits with."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_SUCH_INSTANCE = 3
    WRONG_STATE = 4
    TIMED_OUT = 5


class GuestError(Exception):
    """Something that the caller is told in plain words."""

    def __init__(self, message: str, code: Code = Code.FAILED) -> None:
        super().__init__(message)
        self.code = code
