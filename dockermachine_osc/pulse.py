# SPDX-License-Identifier: Apache-2.0
"""Whether the other end of an SSH connection is still there.

A cut cable, a security group that is closed, or a host whose power fails say
nothing: without questions of its own, a connection would wait for ever.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import paramiko

#: Seconds between two questions, and for the answer to one. The system's ssh
#: is given the same, as ServerAliveInterval and ServerAliveCountMax.
INTERVAL = 5.0
PATIENCE = 15.0
# Any server answers that it knows no such request: RFC 4254, section 4.
_QUESTION = 'keepalive@openssh.com'


class Pulse:
    """Asks the other end, and closes the connection if it does not answer.

    :ivar lost: whether it has done so.
    """

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport
        self._ended = threading.Event()
        self.lost = False

    def watch(self) -> None:
        """Ask until the connection ends, or :meth:`end` is called."""
        while not self._ended.wait(INTERVAL):
            timer = threading.Timer(PATIENCE, self._give_up)
            timer.daemon = True
            timer.start()
            try:
                # Comes back without an answer once the connection is closed.
                self._transport.global_request(_QUESTION, wait=True)
            except (paramiko.SSHException, OSError, EOFError):
                return
            finally:
                timer.cancel()
            if not self._transport.is_active():
                return

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _give_up(self) -> None:
        self.lost = True
        self._transport.close()


@contextlib.contextmanager
def watched(transport: paramiko.Transport) -> Iterator[Pulse]:
    """Watch a connection while the context lasts."""
    pulse = Pulse(transport)
    threading.Thread(target=pulse.watch, daemon=True).start()
    try:
        yield pulse
    finally:
        pulse.end()
