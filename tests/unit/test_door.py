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


class TestDoor(base.BaseTestCase):
    def door(self, port, address=ADDRESS):
        return self.enterContext(contextlib.closing(door.Door(address, port)))

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

    def test_the_first_is_lost(self):
        """Nobody answers the first connections: a later one is taken."""
        with socket.create_server((ADDRESS, 0), backlog=64) as server:
            entry = self.door(server.getsockname()[1])
            self.assertFalse(entry.wait(0.5))
            lost = [server.accept()[0] for _ in range(2)]
            later, _ = server.accept()
            with later, contextlib.ExitStack() as kept:
                for connection in lost:
                    kept.enter_context(connection)
                later.sendall(b'SSH-2.0-x\r\n')
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
        with socket.create_server((ADDRESS, 0), backlog=64) as server:
            entry = door.Door(*server.getsockname())
            self.assertFalse(entry.wait(0.35))
            entry.close()
        self.assertLessEqual(3, len(closed))
