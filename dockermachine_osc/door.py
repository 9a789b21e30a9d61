# SPDX-License-Identifier: Apache-2.0
"""The moment at which a host that boots lets SSH in, noticed at once.

A question to the host itself costs the cloud's APIs nothing, so it can be
asked often. A packet to a host that is not there yet is lost, and the kernel
sends it again only after a second, then three (RFC 6298): so a new connection
is begun every so often while the earlier ones are still under way, which
serves a host far away as well as one nearby.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import selectors
import socket
import time

from dockermachine_osc import waiting

_BANNER = b'SSH-'
#: Seconds between two connections at first; later a part of what it has
#: taken, as then a tenth matters less.
_EVERY, _PART, _EVERY_AT_MOST = 0.1, 0.02, 1.0
#: Seconds that one connection may take, banner included.
_PATIENCE = 5.0


class Door:
    """Knocks at an SSH port until it is open.

    :ivar is_open: whether the banner of SSH (RFC 4253, 4.2) has come.
    """

    def __init__(self, address: str, port: int) -> None:
        version = ipaddress.ip_address(address).version
        self._family = socket.AF_INET6 if version == 6 else socket.AF_INET
        self._where = address, port
        self._began = time.monotonic()
        self._next = self._began
        self._knocks = selectors.DefaultSelector()
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
            if now >= self._next:
                self._knock(now)
            self._look(min(end, self._next) - now)
        return self.is_open

    def close(self) -> None:
        """End the connections that are still under way; it knocks no more."""
        for key in list(self._knocks.get_map().values()):
            self._end(key)
        self._knocks.close()

    def _knock(self, now: float) -> None:
        taken = (now - self._began) * _PART
        self._next = now + min(max(_EVERY, taken), _EVERY_AT_MOST)
        for key in list(self._knocks.get_map().values()):
            if now - key.data[1] > _PATIENCE:
                self._end(key)
        try:
            sock = socket.socket(self._family, socket.SOCK_STREAM)
        except OSError:
            # No such version of IP here, or too many open files.
            return
        sock.setblocking(False)
        if sock.connect_ex(self._where) in (0, errno.EINPROGRESS):
            self._knocks.register(sock, selectors.EVENT_WRITE, (sock, now))
        else:
            sock.close()

    def _look(self, seconds: float) -> None:
        for key, ready in self._knocks.select(max(0.0, seconds)):
            if ready & selectors.EVENT_WRITE:
                self._connected(key)
            else:
                self._heard(key)

    def _connected(self, key: selectors.SelectorKey) -> None:
        sock: socket.socket = key.data[0]
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end(key)
        else:
            self._knocks.modify(sock, selectors.EVENT_READ, key.data)

    def _heard(self, key: selectors.SelectorKey) -> None:
        sock: socket.socket = key.data[0]
        with contextlib.suppress(OSError):
            self.is_open |= sock.recv(len(_BANNER)) == _BANNER
        self._end(key)

    def _end(self, key: selectors.SelectorKey) -> None:
        self._knocks.unregister(key.fileobj)
        key.data[0].close()
