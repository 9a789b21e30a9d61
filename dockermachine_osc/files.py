# SPDX-License-Identifier: Apache-2.0
"""Files and folders of a user's own: private, written whole, locked."""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import shlex
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fasteners
import platformdirs

from dockermachine_osc.errors import StoreFailure
from dockermachine_osc.home import ROOT_VARIABLE

#: How the name of a file begins that is about to take another's place.
_TEMPORARY = '.docker-machine-new-'
#: Seconds after which whoever was writing it must have been killed.
_STALE = 3600

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
        reason = e.strerror or str(e)
        raise StoreFailure(
            f'Cannot {action}: {reason}.', _hint(e, variable)
        ) from e


def _hint(error: OSError, variable: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return 'Make room on that file system and try again.'
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f'Set {variable} to a folder that you can write to.'
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP):
        return f'Move away what is there, or set {variable} to another folder.'
    return ''


def default_root() -> Path:
    """Give the folder of our own files, which need not exist.

    :raises StoreFailure: the user has no home folder.
    """
    chosen = os.environ.get(ROOT_VARIABLE)
    if chosen:
        try:
            return Path(chosen).expanduser().absolute()
        except RuntimeError as e:
            raise StoreFailure(f'{ROOT_VARIABLE}={chosen}: {e}') from e
    try:
        path = platformdirs.user_data_path('dockermachine-osc', False)
        if path.is_absolute():
            return path
        # In older releases ~ stands there still.
        raise RuntimeError(f'no home folder in {path}')
    except RuntimeError as e:
        raise StoreFailure(
            'There is no home folder to keep keys in.',
            f'Set {ROOT_VARIABLE} to a folder of your own.',
        ) from e


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
    sweep(path.parent, all_ages=False)
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY)
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


def sweep(folder: Path, *, all_ages: bool = True) -> None:
    """Remove what a killed :func:`write_whole` has left in a folder.

    :param all_ages: False if another process may be writing there.
    """
    with contextlib.suppress(OSError):
        for path in folder.glob(f'{_TEMPORARY}*'):
            if all_ages or is_stale(path):
                path.unlink()


def is_stale(path: Path) -> bool:
    """Tell whether nobody can be at work on what we write in an instant.

    :raises OSError: there is no such file.
    """
    return time.time() - path.lstat().st_mtime > _STALE


def check_owner(folder: Path, variable: str = ROOT_VARIABLE) -> None:
    """Refuse a folder of another user, who could read or swap what we write.

    One that is missing is refused to sudo in the home folder of the user who
    called it: what is made there would be root's, and of no use to him.

    :raises StoreFailure: it is one; a folder that is missing is fine.
    """
    if os.name != 'posix':
        return
    user = os.geteuid()
    with explained(f'use {folder}', variable):
        owner = _owner(folder)
        if owner is None and user == 0:
            above = (o for p in folder.parents if (o := _owner(p)) is not None)
            caller = next(above)
            owner = caller if os.environ.get('SUDO_UID') == str(caller) else 0
    if owner not in (None, user):
        raise StoreFailure(
            f'{folder} belongs to another user (id {owner}).',
            'Run this as that user, without sudo, or set '
            f'{variable} to a folder of your own.',
        )


def check_private(folder: Path, variable: str = ROOT_VARIABLE) -> None:
    """Refuse a folder in which others can put things.

    :raises StoreFailure: it is one; a folder that is missing is fine.
    """
    with explained(f'use {folder}', variable):
        try:
            mode = folder.stat().st_mode
        except FileNotFoundError:
            return
    if os.name == 'posix' and mode & 0o022:
        raise StoreFailure(
            f'Others can write to {folder}, where keys are kept.',
            f'Forbid that: chmod go-w {shlex.quote(str(folder))}',
        )


def close(path: Path) -> bool:
    """Close a secret to other users; tell whether it was open to them."""
    try:
        is_open = os.name == 'posix' and path.stat().st_mode & 0o077
    except OSError:
        return False
    if is_open:
        # ssh says so itself where that is not to be had.
        with contextlib.suppress(OSError):
            path.chmod(0o600)
    return bool(is_open)


def _owner(path: Path) -> int | None:
    """Give the id of a file's owner, None if there is no such file."""
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None


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
