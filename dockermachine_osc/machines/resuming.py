# SPDX-License-Identifier: Apache-2.0
"""Going on where a connection broke, or a host has rebooted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from dockermachine_osc import errors
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.report import Steps

_T = TypeVar('_T')

#: Seconds within which a host has to be back; most reboot faster.
RETURN = 90
#: What is the user's own may do no good when it is done twice.
NOT_TWICE = 'Running the post-script'


def resumed(visit: Callable[[], _T], deadline: Deadline, steps: Steps) -> _T:
    """Visit a host, and once more if the connection breaks meanwhile.

    :param visit: logs in and does what can be done twice.
    :raises HostFailure: if it breaks again, or nobody is there any more.
    """
    from dockermachine_osc import host

    try:
        return visit()
    except host.ConnectionLost as lost:
        if steps.current == NOT_TWICE or not deadline.remaining:
            raise
        steps.warn(
            f"{lost.message}, at '{steps.current}'. Going on when the host "
            'is back'
        )
        steps.begin('Waiting for the host to be back')
        back = Deadline(min(RETURN, deadline.remaining))
        return _again(visit, back, lost)


def _again(
    visit: Callable[[], _T], back: Deadline, lost: errors.HostFailure
) -> _T:
    from dockermachine_osc import host

    problem = ''
    for _ in back.polls(first=1.0, most=3.0):
        try:
            return visit()
        except (host.Unreachable, host.AuthenticationRefused) as error:
            # While a host boots it lets nobody in but root: pam_nologin(8).
            problem = error.message
    raise host.ConnectionLost(
        f'{lost.message}, and the host was not back within '
        f'{back.seconds:.0f} s: {problem}',
        'Does it run? openstack docker machine list; openstack console log '
        'show has its last words',
    )
