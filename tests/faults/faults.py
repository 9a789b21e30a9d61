# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a call. To try another thing, add an entry."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.proxy import Exchange


def _never(first: Exchange, later: Exchange) -> bool:
    return False


def _of_its_kind(first: Exchange, later: Exchange) -> bool:
    return later.call.kind == first.call.kind


def _with_its_token(first: Exchange, later: Exchange) -> bool:
    return bool(first.token) and later.token == first.token


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way in which a call goes wrong.

    :param treat: what is done with the call.
    :param again: which later calls are treated so too, given the first.
    :param signal: that it sends to the client.
    :param lasting: no cleaning up can be asked for, only the truth about it.
    :param silent: the client has to give up by itself.
    """

    name: str
    treat: Callable[[Exchange], None]
    again: Callable[[Exchange, Exchange], bool] = _never
    signal: signal.Signals | None = None
    lasting: bool = False
    silent: bool = False


def _reset_after(call: Exchange) -> None:
    call.carry_out()
    call.reset()


def _too_slow(call: Exchange) -> None:
    done = call.carry_out()
    call.keep_silent()
    call.answer(done)


def _expired(call: Exchange) -> None:
    """Refuse a token as Keystone's middleware does; asking for one works."""
    if call.token:
        call.refuse(401)
    else:
        call.go_through()


def _before(number: signal.Signals) -> Callable[[Exchange], None]:
    def treat(call: Exchange) -> None:
        call.send(number)
        # Who is killed can't know whether the request has left. Others may
        # give up on it; carried out it is all the same.
        if number == signal.SIGKILL:
            call.reset()
        else:
            call.go_through()

    return treat


def _after(number: signal.Signals) -> Callable[[Exchange], None]:
    def treat(call: Exchange) -> None:
        done = call.carry_out()
        call.send(number)
        call.answer(done)

    return treat


def _signals(*numbers: signal.Signals) -> list[Fault]:
    return [
        Fault(f'{number.name} {when}', treat(number), signal=number)
        for number in numbers
        for when, treat in (('before', _before), ('after', _after))
    ]


_ALL = [
    Fault('500 once', lambda call: call.refuse(500)),
    Fault(
        '503 for ever',
        lambda call: call.refuse(503),
        again=_of_its_kind,
        lasting=True,
    ),
    Fault('429', lambda call: call.refuse(429, Retry_After='1')),
    Fault('409', lambda call: call.refuse(409)),
    Fault('reset before', lambda call: call.reset()),
    Fault('reset after', _reset_after),
    Fault('too slow', _too_slow, silent=True),
    Fault('expired token', _expired, again=_with_its_token),
    *_signals(signal.SIGINT, signal.SIGTERM, signal.SIGKILL),
]
#: By name. "Before" and "after" are as seen from the request being carried
#: out; after it, the answer never arrives or comes too late to matter.
FAULTS = {fault.name: fault for fault in _ALL}
