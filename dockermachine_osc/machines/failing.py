# SPDX-License-Identifier: Apache-2.0
"""What a failure says: at which step, after how long, and what to type."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dockermachine_osc import errors

if TYPE_CHECKING:
    from dockermachine_osc.report import Steps

#: What can go wrong with a host, other than what was asked for.
ON_THE_HOST = (
    errors.HostFailure,
    errors.EngineFailure,
    errors.DeadlineExceeded,
)


@contextlib.contextmanager
def told(steps: Steps, verb: str, name: str) -> Iterator[None]:
    """Have a failure say where it was, and how to go on.

    :param verb: of the command that is to be typed once the cause is gone.
    """
    try:
        yield
    except errors.MachineError as error:
        tell(error, steps.where, verb, name)
        raise


def tell(error: BaseException, where: str, verb: str, name: str) -> None:
    """Have an error say so, unless it is about what was asked for."""
    if isinstance(error, (*ON_THE_HOST, errors.CloudFailure)):
        error.message = f'it failed at {where}.\n{error.message}'
        error.hint = and_then(
            error.hint,
            f'When that is mended: openstack docker machine {verb} {name}',
        )


def and_then(*hints: str) -> str:
    """Put hints below one another."""
    return '\n'.join(filter(None, hints))
