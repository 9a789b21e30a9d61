# SPDX-License-Identifier: Apache-2.0
"""The data plane's process: when the database changes, the network does.

Level-triggered: whatever was missed or lost, the next look puts it right.
All rules are replaced in one transaction of nft, so there is no moment
without rules, and an address that no port owns is denied, so that a guest
which boots before its rules is closed.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import signal
import sqlite3
import sys
import time
import types
import typing
from collections.abc import Sequence

from devcloud import settings
from devcloud.dataplane import database, firewall, links, model, nft
from devcloud.guest import errors, lifecycle

POLL_S = 0.1
RETRY_S = 1.0
# Between two looks whether the rules are still there.
CHECK_S = 2.0
HOST_PORTS = 'DEVCLOUD_HOST_PORTS'


def _say(text: str) -> None:
    print(f'{time.strftime("%H:%M:%S")} {text}', flush=True)


def policy() -> nft.Policy:
    """:raises GuestError: when DEVCLOUD_HOST_PORTS makes no sense"""
    words = [w.strip() for w in os.environ.get(HOST_PORTS, '').split(',')]
    ports = tuple(word for word in words if word)
    if not all(p.isdecimal() and 0 < int(p) < 65536 for p in ports):
        raise errors.GuestError(
            f'{HOST_PORTS}={",".join(words)}: want port numbers'
        )
    return nft.Policy(settings.current().nft_table, ports)


class DataPlane:
    """What was applied last, and how to get to what is wanted now."""

    def __init__(self, source: database.Database) -> None:
        """:raises GuestError: when DEVCLOUD_HOST_PORTS makes no sense"""
        self._source = source
        self._policy = policy()
        self._seen: tuple[int, links.Devices] | None = None
        self._applied: tuple[model.State, links.Devices] | None = None
        self._rules = ''
        self._next_check = 0.0

    def step(self) -> None:
        """Apply what is wanted if something was committed, or plugged.

        :raises GuestError: when the kernel refuses; the next step tries anew
        :raises sqlite3.Error: when the database cannot be read
        :raises OSError: when a device goes meanwhile
        """
        if self._lost_rules():
            _say('the rules are gone: somebody has flushed them')
            self._seen = self._applied = None
            self._rules = ''
        seen = self._source.version(), links.taps()
        if seen == self._seen:
            return
        wanted = self._source.read(), seen[1]
        if wanted != self._applied:
            self._apply(wanted[0])
        self._seen, self._applied = seen, wanted

    def _lost_rules(self) -> bool:
        """Looks now and then; "nft flush ruleset" is part of a reload."""
        now = time.monotonic()
        if not self._rules or now < self._next_check:
            return False
        self._next_check = now + CHECK_S
        return not links.has_rules(self._policy.table)

    def _apply(self, state: model.State) -> None:
        began = time.monotonic()
        rules = nft.render(state, self._policy)
        # first: a port without rules is denied, also one without a route
        if rules != self._rules:
            links.load_rules(rules)
            (settings.current().run / 'dataplane.nft').write_text(rules)
            self._rules = rules
        links.apply(state if links.has_ipv6() else state.without_ipv6())
        firewall.admit(self._policy.table)
        _say(
            f'{len(state.networks)} networks, {len(state.ports)} ports, '
            f'{len(state.floating_ips)} floating IPs: applied in '
            f'{(time.monotonic() - began) * 1000:.0f} ms'
        )

    def run(self, ready: pathlib.Path) -> typing.NoReturn:
        """Until the process is ended.

        :param ready: a file that is made once all is applied
        """
        while True:
            pause = POLL_S
            try:
                self.step()
                ready.touch()
            except (errors.GuestError, sqlite3.Error, OSError) as error:
                # the last good rules stay; what is wanted may become possible
                _say(f'failed: {error}')
                pause = RETRY_S
            time.sleep(pause)


def _end(*_: int | types.FrameType | None) -> typing.NoReturn:
    sys.exit(0)


def _serve(*, once: bool) -> None:
    here = settings.current()
    path = here.database('neutron')
    while not path.exists():
        time.sleep(POLL_S)
    for name in lifecycle.sweep():
        _say(f'removed what was left of guest {name}')
    links.enable_forwarding()
    plane = DataPlane(database.Database(path))
    if once:
        plane.step()
    else:
        plane.run(here.run / 'dataplane.ready')


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog='dataplane', description=__doc__)
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--once', action='store_true', help='apply what is wanted now, and end'
    )
    group.add_argument(
        '--down', action='store_true', help="remove all that is this cloud's"
    )
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    try:
        if args.down:
            lifecycle.sweep(stopped=True)
            firewall.withdraw(settings.current().nft_table)
            links.remove(settings.current().nft_table)
        else:
            _serve(once=args.once)
    except (errors.GuestError, settings.SettingsError, sqlite3.Error) as error:
        print(f'dataplane: {error}', file=sys.stderr)
        return 1
    return 0
