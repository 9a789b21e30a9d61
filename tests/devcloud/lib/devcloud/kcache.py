# SPDX-License-Identifier: Apache-2.0
"""Keystone's cache, in its own process and shared by its threads.

``dogpile.cache.memory``, the usual choice without a memcached, hands one
mutable object to every thread; ``dogpile.cache.memory_pickle`` copies.
Keystone's ``[cache] backend`` takes a fixed list of names, so a backend of
our own can not be named there and this one is changed in place.
"""

from __future__ import annotations

from typing import Any

from dogpile.cache.backends import memory


class _NoLock:
    """A lock that nobody can wait for; at worst a value is made twice."""

    def acquire(self, wait: bool = True) -> bool:
        return True

    def release(self) -> None:
        pass

    def locked(self) -> bool:
        return False


def install() -> None:
    """Take dogpile's per-key locks away: nothing is left to deadlock on."""
    backend: Any = memory.MemoryPickleBackend
    backend.get_mutex = lambda self, key: _NoLock()
