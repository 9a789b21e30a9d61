# SPDX-License-Identifier: Apache-2.0
"""Files and folders of a user's own: private, written whole, locked."""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import fasteners

from dockermachine_osc.errors import StoreFailure

#: The environment variable that moves our own files elsewhere.
ROOT_VARIABLE = 'DOCKER_MACHINE_OSC_HOME'

# POSIX record locks belong to a process: its threads need a lock of their own.
_thread_locks: collections.defaultdict[str, threading.Lock] = (
    collections.defaultdict(threading.Lock)
)


@contextlib.contextmanager
def explained(action: str, variable: str = ROOT_VARIABLE) -> Iterator[None]:
    """Turn the system's errors within into words.

    :param action: what was being done, as in 'cannot ...'.
    :param variable: the environment variable that moves the files.
    :raises StoreFailure: the system refused.
    """
    try:
        yield
    except OSError as e:
        hint = ''
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = 'Make room on that file system and try again.'
        elif e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = f'Set {variable} to a folder that you can write to.'
        reason = e.strerror or str(e)
        raise StoreFailure(f'Cannot {action}: {reason}.', hint) from e


def make_folder(path: Path) -> None:
    """Make a folder only for its owner; one that exists is left alone.

    :raises OSError: it cannot be made.
    """
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # whatever the umask


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file: readers and crashes see the old or the new one.

    :raises OSError: it cannot be written; the old file is still there.
    """
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix='.new-')
    try:
        with os.fdopen(number, 'wb') as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def check_owner(folder: Path, variable: str = ROOT_VARIABLE) -> None:
    """Refuse a folder of another user, who could read or swap what we write.

    :raises StoreFailure: it is one; a folder that is missing is fine.
    """
    try:
        owner = folder.stat().st_uid
    except FileNotFoundError:
        return
    except OSError as e:
        raise StoreFailure(f'Cannot use {folder}: {e.strerror}.') from e
    if os.name == 'posix' and owner != os.geteuid():
        raise StoreFailure(
            f'{folder} belongs to another user (id {owner}).',
            f'Run this as that user, or set {variable} to a folder of '
            'your own.',
        )


@contextlib.contextmanager
def locked(path: Path, wait: bool) -> Iterator[bool]:
    """Hold a lock against other threads and processes; not re-entrant.

    :param path: of the lock file, which stays: to remove it would race.
    :returns: whether it is held; always so if wait is True.
    :raises StoreFailure: the file system does not let us lock.
    """
    thread_lock = _thread_locks[str(path)]
    if not thread_lock.acquire(blocking=wait):
        yield False
        return
    try:
        lock = fasteners.InterProcessLock(path)
        held = _acquire(lock, path, wait)
        try:
            yield held
        finally:
            if held:
                lock.release()
    finally:
        thread_lock.release()


def _acquire(lock: fasteners.InterProcessLock, path: Path, wait: bool) -> bool:
    try:
        with explained(f'lock {path}'):
            held = bool(lock.acquire(blocking=wait))
    except threading.ThreadError as e:
        raise StoreFailure(f'Cannot lock {path}: {e}.') from e
    if not held:
        lock.lockfile.close()
    return held
