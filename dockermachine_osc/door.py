# SPDX-License-Identifier: Apache-2.0
"""The moment at which a host that boots lets SSH in, noticed at once.

A question to the host itself costs the cloud's APIs nothing, so it can be
asked often. A packet to a host that is not there yet is lost, and the kernel
sends it again only after a second, then three (RFC 6298): so a new connection
is begun every so often while the earlier ones are still under way, which
serves a host far away as well as one nearby.

They all arrive when the host is there, and SSH's port is the wrong one for
that: sshd shuts out for a while whoever connects several times and says
nothing (PerSourcePenalties and MaxStartups, sshd_config(5)). So another port
is rung, which shows that the host is there even by refusing, and SSH is asked
by one connection at a time.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import math
import selectors
import socket
import time

from dockermachine_osc import waiting

_BANNER = b'SSH-'
#: Seconds between two connections at first; later a part of what it has
#: taken, as then a tenth matters less.
_EVERY, _PART, _EVERY_AT_MOST = 0.1, 0.02, 1.0
#: Seconds that a ring may take, and that SSH's banner may.
_PATIENCE = 5.0
#: Seconds after which a connection to SSH is begun anew if it is not there.
_LOST = 1.0


class Door:
    """Waits at an SSH port until it is open.

    :param bell: another port of the host, open from here as SSH's is, where
        nobody minds a connection that says nothing; None if there is none.
    :ivar is_open: whether the banner of SSH (RFC 4253, 4.2) has come.
    """

    def __init__(
        self, address: str, port: int, bell: int | None = None
    ) -> None:
        version = ipaddress.ip_address(address).version
        self._family = socket.AF_INET6 if version == 6 else socket.AF_INET
        self._address, self._port, self._bell = address, port, bell
        self._began = time.monotonic()
        self._ring_at = math.inf if bell is None else self._began
        self._try_at = self._began
        self._under_way = selectors.DefaultSelector()
        self.is_open = False

    def pause(self, seconds: float) -> None:
        """Pause between two looks at something; shorter only if it opens."""
        if self.is_open:
            waiting.sleep(seconds)
        else:
            self.wait(seconds)

    def wait(self, seconds: float) -> bool:
        """Wait until it is open; tell whether it is.

        :param seconds: to wait at most.
        """
        end = time.monotonic() + seconds
        while not self.is_open and (now := time.monotonic()) < end:
            if now >= self._ring_at and self._bell is not None:
                self._ring_at = now + self._pause(now)
                self._end(self._bell, before=now - _PATIENCE)
                self._begin(self._bell, now)
            if now >= self._try_at:
                self._try_at = now + _LOST
                self._end(self._port)
                self._begin(self._port, now)
            self._look(min(end, self._ring_at, self._try_at) - now)
        return self.is_open

    def close(self) -> None:
        """End the connections that are still under way, for good."""
        self._end(self._port)
        self._end(self._bell)
        self._under_way.close()

    def _pause(self, now: float) -> float:
        taken = (now - self._began) * _PART
        return min(max(_EVERY, taken), _EVERY_AT_MOST)

    def _begin(self, port: int, now: float) -> None:
        try:
            sock = socket.socket(self._family, socket.SOCK_STREAM)
        except OSError:
            # No such version of IP here, or too many open files.
            return
        sock.setblocking(False)
        where = self._address, port
        if sock.connect_ex(where) in (0, errno.EINPROGRESS):
            self._under_way.register(
                sock, selectors.EVENT_WRITE, (sock, port, now)
            )
        else:
            sock.close()

    def _look(self, seconds: float) -> None:
        for key, ready in self._under_way.select(max(0.0, seconds)):
            if key.data[0].fileno() < 0:
                # Another one of these has ended it.
                continue
            if ready & selectors.EVENT_READ:
                self._heard(key)
            else:
                self._connected(key)

    def _connected(self, key: selectors.SelectorKey) -> None:
        """Take in what has become of an attempt to connect."""
        sock, port, _ = key.data
        problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        now = time.monotonic()
        if port == self._port and not problem:
            self._try_at = now + _PATIENCE
            self._under_way.modify(sock, selectors.EVENT_READ, key.data)
        elif port == self._port:
            self._end(port)
            self._try_at = now + self._pause(now)
        elif problem in (0, errno.ECONNREFUSED):
            self._rung(now)
        else:
            # A router says that it does not know the host, yet.
            self._forget(sock)

    def _rung(self, now: float) -> None:
        """Try SSH now: the host is there, and an earlier try may be lost."""
        self._ring_at = math.inf
        self._end(self._bell)
        connections = self._under_way.get_map().values()
        if not any(key.events & selectors.EVENT_READ for key in connections):
            self._try_at = now

    def _heard(self, key: selectors.SelectorKey) -> None:
        with contextlib.suppress(OSError):
            self.is_open |= key.data[0].recv(len(_BANNER)) == _BANNER
        self._end(self._port)
        now = time.monotonic()
        self._try_at = now + self._pause(now)

    def _end(self, port: int | None, before: float = math.inf) -> None:
        """End the connections to a port that were begun before a moment."""
        for key in list(self._under_way.get_map().values()):
            sock, at, began = key.data
            if at == port and began < before:
                self._forget(sock)

    def _forget(self, sock: socket.socket) -> None:
        self._under_way.unregister(sock)
        sock.close()
