# SPDX-License-Identifier: Apache-2.0
"""Work in a process apart: with mounts of its own, or as another user."""

from __future__ import annotations

import ctypes
import os
import pathlib
import subprocess
import traceback
from collections.abc import Callable

from tests import children

#: From sched.h. Python has os.unshare from 3.12 on.
_CLONE_NEWNS = 0x00020000
#: The user who owns nothing.
NOBODY = 65534


def run(work: Callable[[], None], user: int = 0) -> None:
    """Run work in a child, whose mounts end with it.

    :param user: whose rights it has; no supplementary groups.
    :raises AssertionError: with its traceback, if it fails.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _be_child(work, user, writing)
    os.close(writing)
    with children.ended(child), os.fdopen(reading, 'rb') as stream:
        told = stream.read().decode()
        _, status = os.waitpid(child, 0)
    if status:
        raise AssertionError(told or f'the child ended with {status}')


def _be_child(work: Callable[[], None], user: int, pipe: int) -> None:
    status = 1
    try:
        _unshare()
        if user:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        work()
        status = 0
    finally:
        if status:
            os.write(pipe, traceback.format_exc().encode()[-50_000:])
        os._exit(status)


def _unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS):
        number = ctypes.get_errno()
        raise OSError(number, f'unshare: {os.strerror(number)}')
    mount('--make-rprivate', '/')


def mount(*arguments: str | pathlib.Path) -> None:
    """Call mount(8); only the processes of this child see it."""
    subprocess.run(['mount', *arguments], check=True, capture_output=True)


def small(folder: pathlib.Path, size: str, inodes: int = 1000) -> None:
    """Put a file system of that size on a folder, with its contents.

    :param size: as tmpfs(5) has it, in whole pages.
    :param inodes: most files and folders.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = f'size={size},nr_inodes={inodes},mode=700'
    mount('-t', 'tmpfs', '-o', options, 'tmpfs', folder)


def resize(folder: pathlib.Path, options: str) -> None:
    """Change the options of such a file system."""
    mount('-o', f'remount,{options}', folder)
