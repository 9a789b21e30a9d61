# SPDX-License-Identifier: Apache-2.0
"""Faults of an API that pass: what is asked again, and what never is.

A request that can be repeated without harm is, by urllib3, with pauses that
grow. One that makes something is not: whoever asks for that looks first
whether it is there, see :func:`made_once`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import requests.adapters
import urllib3

from dockermachine_osc.cloud.failures import ApiError
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from keystoneauth1.session import Session

_Made = TypeVar('_Made')

#: Seconds after which a silent API is given up, if nobody has set that.
_SILENCE = 60.0
_TRIES = 4
#: Connections to a service that are kept: as many as there are who ask at
#: once, or urllib3 warns of each that it throws away.
_CONNECTIONS = 100
#: Seconds that a Retry-After is heeded at most: users wait for this.
_LONGEST_PAUSE = 20.0
_UNKNOWN, _TOO_MANY = 401, 429
#: An answer from the service itself: it has done with the request. Of a
#: gateway's (502, 504) and of silence nobody can tell.
_ANSWERED = (500, 503)
#: Seconds for what was made to show in lists.
_UNTIL_SEEN = 3.0
_REPEATED_FOR = 10.0


class _Patience(urllib3.Retry):
    def is_retry(
        self, method: str, status_code: int, has_retry_after: bool = False
    ) -> bool:
        """Ask anything again that was not even looked at (RFC 6585, 4)."""
        if status_code == _TOO_MANY and self.total:
            return True
        return super().is_retry(method, status_code, has_retry_after)

    def get_retry_after(
        self, response: urllib3.BaseHTTPResponse
    ) -> float | None:
        """Heed Retry-After, within reason."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, _LONGEST_PAUSE)


def teach(session: Session) -> None:
    """Have a session ask again where that does no harm."""
    if session.timeout is None:
        session.timeout = _SILENCE
    retries = _Patience(
        total=_TRIES,
        # Reading, PUT and DELETE: urllib3's own choice (RFC 9110, 9.2.2).
        status_forcelist=(_TOO_MANY, 500, 502, 503, 504),
        backoff_factor=0.3,
        backoff_jitter=0.3,
        raise_on_status=False,
        redirect=0,
    )
    for adapter in session.session.adapters.values():
        if isinstance(adapter, requests.adapters.HTTPAdapter):
            adapter.max_retries = retries
            adapter.init_poolmanager(
                requests.adapters.DEFAULT_POOLSIZE, _CONNECTIONS
            )


def made_once(
    make: Callable[[], _Made], find: Callable[[], _Made | None]
) -> _Made:
    """Make something that must not be there twice.

    :param make: asks for it, with the mark that it is found by.
    :param find: looks for that mark.
    :raises ApiError: if it is not there, and asking again might make two.
    """
    try:
        return make()
    except ApiError as error:
        if not error.passing:
            raise
        if found := _seen(find):
            return found
        if error.status not in _ANSWERED:
            raise
    return make()


def _seen(find: Callable[[], _Made | None]) -> _Made | None:
    for _ in Deadline(_UNTIL_SEEN).polls(first=0.5, factor=2):
        if found := find():
            return found
    return None


def repeated(call: Callable[[], object]) -> None:
    """Do what does no harm when done twice, though HTTP cannot know that."""
    for _ in Deadline(_REPEATED_FOR).polls(first=0.3, factor=2):
        try:
            call()
        except ApiError as error:
            if not error.passing:
                raise
        else:
            return
    # One silence alone lasts longer than that, and is no reason to give up.
    call()


def known_again(ask: Callable[[], _Made]) -> _Made:
    """Ask again if the token has expired while others were asking, too.

    keystoneauth asks Keystone for a new one only for whoever is told first;
    the others find the old one forgotten already, and fail. One that has a
    token may lose it to them before it is used: then an assertion fails
    (keystoneauth1/identity/base.py, get_access).
    """
    for _ in range(_TRIES):
        try:
            return ask()
        except ApiError as error:
            if error.status != _UNKNOWN:
                raise
        except AssertionError:
            pass
    return ask()
