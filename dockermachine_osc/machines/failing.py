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
    except (*ON_THE_HOST, errors.CloudFailure) as error:
        error.message = f'it failed at {steps.where}.\n{error.message}'
        error.hint = and_then(
            error.hint,
            f'When that is mended: openstack docker machine {verb} {name}',
        )
        raise


def and_then(*hints: str) -> str:
    """Put hints below one another."""
    return '\n'.join(filter(None, hints))
