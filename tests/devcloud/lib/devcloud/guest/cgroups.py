# SPDX-License-Identifier: Apache-2.0
"""One cgroup a guest, so that a guest can be ended for sure.

The guest sees a pure version 2 tree.  On a host in hybrid mode (version 1
controllers, a version 2 tree without any) systemd-nspawn also wants one in
the ``name=systemd`` tree.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time

from devcloud import settings
from devcloud.guest import process

MOUNTS = pathlib.Path('/proc/self/mounts')
FALLBACK = pathlib.Path('/run/devcloud-cgroup2')
REMOVAL_TRIES = 50
REMOVAL_PAUSE_S = 0.05


def _mounted() -> tuple[pathlib.Path | None, pathlib.Path | None]:
    """The version 2 tree and version 1's name=systemd tree, if mounted."""
    v2 = systemd = None
    for line in MOUNTS.read_text().splitlines():
        _, point, kind, options = line.split()[:4]
        if kind == 'cgroup2':
            v2 = v2 or pathlib.Path(point)
        elif kind == 'cgroup' and 'name=systemd' in options.split(','):
            systemd = pathlib.Path(point)
    return v2, systemd


def tops() -> list[pathlib.Path]:
    """This cloud's directories, the version 2 one first.

    :raises GuestError: when the kernel has no version 2 tree to mount
    """
    v2, systemd = _mounted()
    if v2 is None:
        FALLBACK.mkdir(exist_ok=True)
        process.run('mount', '-t', 'cgroup2', 'cgroup2', str(FALLBACK))
        v2 = FALLBACK
    name = f'devcloud-{settings.current().port}'
    return [tree / name for tree in (v2, systemd) if tree]


def create(name: str) -> list[pathlib.Path]:
    """The guest's directories, made if need be.

    :raises GuestError: when the kernel has no version 2 tree to mount
    """
    directories = [top / name for top in tops()]
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
    _enable_controllers(directories[0].parent)
    return directories


def _enable_controllers(top: pathlib.Path) -> None:
    """Give guests the controllers that the host's tree offers (limits)."""
    offered = (top / 'cgroup.controllers').read_text().split()
    if offered:
        text = ' '.join(f'+{controller}' for controller in offered)
        (top / 'cgroup.subtree_control').write_text(text)


def kill(name: str) -> None:
    """End every process of the guest, whatever it does."""
    with contextlib.suppress(FileNotFoundError):
        (tops()[0] / name / 'cgroup.kill').write_text('1')


def remove(name: str) -> None:
    """Remove the guest's directories once their processes are gone."""
    for top in tops():
        for directory, _, _ in os.walk(top / name, topdown=False):
            _remove_directory(pathlib.Path(directory))


def _remove_directory(directory: pathlib.Path) -> None:
    # a killed process leaves its cgroup a moment after the kill
    for _ in range(REMOVAL_TRIES):
        try:
            directory.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(REMOVAL_PAUSE_S)


def names() -> list[str]:
    """The guests that have a cgroup, running or left over."""
    found: set[str] = set()
    for top in tops():
        if top.is_dir():
            found.update(p.name for p in top.iterdir() if p.is_dir())
    return sorted(found)


def remove_tops() -> None:
    """Remove the cloud's own directories when no guest is in them."""
    for top in tops():
        try:
            top.rmdir()
        except OSError:  # not there, or in use
            continue
