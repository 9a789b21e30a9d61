# SPDX-License-Identifier: Apache-2.0
"""The guests of a cloud, as the launcher sees them.

Nova starts them; the launcher ends them when the cloud goes down, through
the same command (:mod:`devcloud.guest`).
"""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import subprocess
import sys

from devcloud import errors, processes
from devcloud.settings import Settings

# Exit codes of the guest command: none of that name, not in that state.
_ABSENT, _WRONG_STATE = 3, 4
# Seconds that a guest has to shut down.
_SHUTDOWN = 10
# The kernel's default of 128 is for one system; a guest with systemd and
# Docker takes up to ten, and does not boot without.
_INOTIFY = pathlib.Path('/proc/sys/fs/inotify/max_user_instances')
_INSTANCES = 2048


def make_room(limit: pathlib.Path = _INOTIFY) -> None:
    """Let many guests run: all share this machine's inotify instances.

    For the whole machine; it stays, as others may have wanted it, too.
    """
    if int(limit.read_text()) < _INSTANCES:
        limit.write_text(f'{_INSTANCES}\n')


def states(settings: Settings) -> dict[str, str]:
    """``running`` or ``stopped`` by name.

    :raises DevcloudError: when the guest command fails
    """
    if not settings.guests.is_dir():
        return {}
    return {
        guest['name']: guest['state']
        for guest in json.loads(_guest(settings, 'list', '--json'))
    }


def stop_all(settings: Settings) -> int:
    """Shut all down side by side; returns how many ran."""
    running = [
        name for name, state in states(settings).items() if state == 'running'
    ]
    _each(settings, running, 'stop', '--timeout', str(_SHUTDOWN))
    return len(running)


def sweep(settings: Settings) -> list[str]:
    """Remove what is left of guests that do not run; returns a line each.

    That is what a kill -9 of everything leaves: processes, namespaces,
    ports, control groups.
    """
    return _guest(settings, 'sweep').splitlines()


def destroy_all(settings: Settings) -> int:
    """Remove all and their disks; returns how many there were."""
    names = list(states(settings))
    _each(settings, names, 'destroy')
    return len(names)


def _each(
    settings: Settings, names: list[str], verb: str, *options: str
) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [
            pool.submit(_guest, settings, verb, name, *options)
            for name in names
        ]:
            done.result()


def _guest(settings: Settings, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, '-m', 'devcloud.guest', *arguments],
        env=processes.environment(settings),
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode not in (0, _ABSENT, _WRONG_STATE):
        raise errors.DevcloudError(
            f'guest {" ".join(arguments)} ended with {done.returncode}: '
            f'{done.stderr.strip()}'
        )
    return done.stdout
