# SPDX-License-Identifier: Apache-2.0
"""When a machine's certificates end, and saying so in good time."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockermachine_osc.record import Record

#: Days before the end of a certificate from which on it is complained of.
WARN_DAYS = 30


def days_left(expires: str) -> int | None:
    """Give whole days until an ISO 8601 time; None if there is none."""
    if not expires:
        return None
    moment = datetime.datetime.fromisoformat(expires)
    return (moment - datetime.datetime.now(datetime.UTC)).days


def warning(machine: str, record: Record) -> str:
    """Say which certificate ends soonest, and what to type; '' if none soon.

    A new CA comes with new certificates of all kinds, so it is named first.
    """
    for role, expires in _ends(record).items():
        days = days_left(expires)
        if days is not None and days < WARN_DAYS:
            when = f'ends in {days} days' if days >= 0 else 'has ended'
            return (
                f"The {role} certificate of machine '{machine}' {when}: "
                f'openstack docker machine cert renew --{role} {machine}'
            )
    return ''


def warned_from(record: Record) -> float | None:
    """Give from when on a warning comes, as time.time(); None for never."""
    ends = [
        datetime.datetime.fromisoformat(expires).timestamp()
        for expires in _ends(record).values()
        if expires
    ]
    return min(ends) - WARN_DAYS * 86400 if ends else None


def _ends(record: Record) -> dict[str, str]:
    return {
        'ca': record.ca_expires,
        'server': record.server_expires,
        'client': record.client_expires,
    }
