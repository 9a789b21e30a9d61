# SPDX-License-Identifier: Apache-2.0
"""Locks and whole-file writes of the launcher."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def locked(
    path: pathlib.Path, waiting: Callable[[str], None]
) -> Iterator[None]:
    """Hold an exclusive lock; the kernel frees it however we end.

    :param waiting: called with the holder's note when it is held by another
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting(os.pread(descriptor, 100, 0).decode().strip())
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f'process {os.getpid()}\n'.encode(), 0)
        yield
    finally:
        os.close(descriptor)


def write_private(path: pathlib.Path, text: str) -> None:
    """Write a file whole, readable by its owner only.

    The owner is who called sudo, if it was used: a client that runs without
    it has to read clouds.yaml.
    """
    new = path.with_name(f'.{path.name}.new')
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    if os.geteuid() == 0:
        os.chown(
            new,
            int(os.environ.get('SUDO_UID', '0')),
            int(os.environ.get('SUDO_GID', '0')),
        )
    new.rename(path)
