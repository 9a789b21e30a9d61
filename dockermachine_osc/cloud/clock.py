# SPDX-License-Identifier: Apache-2.0
"""What time it is in the cloud; a workstation's clock may be days off."""

from __future__ import annotations

import datetime
import email.utils
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.cloud import failures

if TYPE_CHECKING:
    from openstack.connection import Connection


def now(connection: Connection) -> datetime.datetime:
    """Give the time by the services that say when things were made.

    It is the earliest that any of them tells with an answer (RFC 9110,
    6.6.1): nothing is then taken for older than it is.

    :raises CloudFailure: if one does not tell.
    """
    with failures.step('read the clock of the cloud'):
        answers = [
            service.get('/')
            for service in (connection.compute, connection.network)
        ]
    return min(_read(answer.headers.get('Date', '')) for answer in answers)


def _read(date: str) -> datetime.datetime:
    try:
        told = email.utils.parsedate_to_datetime(date)
    except ValueError as error:
        raise errors.CloudFailure(
            'The cloud does not tell its time, so nobody knows how old what '
            'it has is',
            'Remove what is left of a machine by its name: openstack docker '
            'machine delete <name>',
        ) from error
    # HTTP's dates are in GMT, which email's reader takes for no zone at all
    # when it is written as -0000.
    return told.replace(tzinfo=told.tzinfo or datetime.UTC)
