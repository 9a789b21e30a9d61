# SPDX-License-Identifier: Apache-2.0
"""Running the system's tools, and locks between processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import subprocess
from collections.abc import Iterator

from devcloud.guest import errors

TAIL = 800


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end, its stderr in with its stdout.

    :raises GuestError: when it fails and ``check`` is set, or is missing
    """
    try:
        done = subprocess.run(
            command,
            check=False,
            text=True,
            errors='replace',
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except FileNotFoundError:
        raise errors.GuestError(f'{command[0]} is not installed') from None
    if check and done.returncode:
        raise errors.GuestError(
            f'{" ".join(command)}: exit {done.returncode}: '
            f'{done.stdout.strip()[-TAIL:]}'
        )
    return done


@contextlib.contextmanager
def locked(path: pathlib.Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock; it goes with the process, whatever ends it.

    :raises BlockingIOError: when another has it and ``wait`` is not set
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(fd)


def is_locked(path: pathlib.Path) -> bool:
    """True if some process holds the lock."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # shared: two that ask at once must not see each other
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
