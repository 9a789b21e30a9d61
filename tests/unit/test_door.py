# SPDX-License-Identifier: Apache-2.0
"""Real sockets: a port that opens late, says too little, or nothing."""

import contextlib
import socket
import threading

import fixtures
from oslotest import base

from dockermachine_osc import door
from tests.unit import sshserver

ADDRESS = '127.0.0.1'


class Silent(contextlib.ExitStack):
    """A port that loses what comes, as that of a host which is not there.

    So does Linux for a listener whose queue is full.
    """

    def __enter__(self):
        super().__enter__()
        self._server = self.enter_context(
            socket.create_server((ADDRESS, 0), backlog=0)
        )
        self.port = self._server.getsockname()[1]
        self._filling = self.enter_context(
            socket.create_connection((ADDRESS, self.port))
        )
        return self

    def wake(self):
        """Lose nothing any more."""
        self._server.listen(64)
        self._server.accept()[0].close()
        self._filling.close()

    def say(self, text):
        """Say something to the next who comes."""
        connection, _ = self._server.accept()
        with connection:
            connection.sendall(text)


class TestDoor(base.BaseTestCase):
    def door(self, port, address=ADDRESS, bell=None):
        entry = door.Door(address, port, bell)
        return self.enterContext(contextlib.closing(entry))

    def test_open(self):
        port = self.useFixture(sshserver.Banner(b'SSH-2.0-x\r\n')).port
        entry = self.door(port)
        self.assertFalse(entry.is_open)
        self.assertTrue(entry.wait(5))
        self.assertTrue(entry.is_open)
        self.assertTrue(entry.wait(5))

    def test_not_ssh(self):
        for said in b'220 mail\r\n', b'':
            port = self.useFixture(sshserver.Banner(said)).port
            self.assertFalse(self.door(port).wait(0.3))

    def test_closed(self):
        entry = self.door(sshserver.closed_port())
        self.assertFalse(entry.wait(0.3))
        entry.pause(0.1)
        self.assertFalse(entry.is_open)

    def test_opens_while_it_is_waited_for(self):
        port = sshserver.closed_port()
        entry = self.door(port)
        self.assertFalse(entry.wait(0.15))

        def open_up():
            self.server = socket.create_server((ADDRESS, port))
            connection, _ = self.server.accept()
            with connection:
                connection.sendall(b'SSH-2.0-x\r\n')

        opens = threading.Timer(0.3, open_up)
        opens.start()
        self.addCleanup(opens.join)
        self.assertTrue(entry.wait(30))
        self.server.close()

    def test_one_at_a_time(self):
        """Who says nothing to sshd several times is shut out by it."""
        with socket.create_server((ADDRESS, 0), backlog=64) as server:
            bell = sshserver.closed_port()
            entry = self.door(server.getsockname()[1], bell=bell)
            self.assertFalse(entry.wait(0.5))
            only, _ = server.accept()
            server.setblocking(False)
            self.assertRaises(BlockingIOError, server.accept)
            with only:
                only.sendall(b'SSH-2.0-x\r\n')
                self.assertTrue(entry.wait(5))

    def test_hung_up_on(self):
        """A host that has no time now is asked again."""
        with socket.create_server((ADDRESS, 0), backlog=64) as server:
            entry = self.door(server.getsockname()[1])
            self.assertFalse(entry.wait(0.1))
            server.accept()[0].close()
            self.assertFalse(entry.wait(0.2))
            later, _ = server.accept()
            with later:
                later.sendall(b'SSH-2.0-x\r\n')
                self.assertTrue(entry.wait(5))

    def test_the_first_is_lost(self):
        """The host is not there yet; the bell tells when it is."""
        with Silent() as host, Silent() as bell:
            entry = self.door(host.port, bell=bell.port)
            self.assertFalse(entry.wait(0.35))
            bell.wake()
            host.wake()
            answer = threading.Thread(target=host.say, args=(b'SSH-2.0-x',))
            answer.start()
            self.assertTrue(entry.wait(30))
            answer.join()

    def test_bell_refuses(self):
        port = self.useFixture(sshserver.Banner(b'SSH-2.0-x\r\n')).port
        entry = self.door(port, bell=sshserver.closed_port())
        self.assertTrue(entry.wait(5))

    def test_nobody_can_get_there(self):
        """The kernel refuses at once: nobody connects to a broadcast."""
        self.assertFalse(self.door(22, '255.255.255.255').wait(0.3))

    def test_nothing_is_left(self):
        closed = []
        real = socket.socket.close

        def close(sock):
            closed.append(sock)
            real(sock)

        path = 'dockermachine_osc.door.socket.socket.close'
        self.useFixture(fixtures.MonkeyPatch(path, close))
        with Silent() as host, Silent() as bell:
            entry = door.Door(ADDRESS, host.port, bell.port)
            self.assertFalse(entry.wait(0.35))
            entry.close()
        # One for SSH, the others rang.
        self.assertLessEqual(4, len(closed))
