# SPDX-License-Identifier: Apache-2.0
"""A network that is gone in the middle of a visit, over real sockets."""

import contextlib
import socket
import threading

import fixtures

from dockermachine_osc import host
from tests.unit import test_host


class Wire(fixtures.Fixture):
    """Passes bytes on between a client and a port, until it is cut.

    Cut, it keeps both connections open and says nothing, as a network does
    that drops packets.
    """

    def __init__(self, port):
        self._port = port
        self._cut = threading.Event()

    def _setUp(self):
        self._socket = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self._socket.close)
        self.port = self._socket.getsockname()[1]
        self._ends = contextlib.ExitStack()
        self.addCleanup(self._ends.close)
        threading.Thread(target=self._accept, daemon=True).start()
        self.addCleanup(self._socket.shutdown, socket.SHUT_RDWR)

    def cut(self):
        self._cut.set()

    def _accept(self):
        with contextlib.suppress(OSError):
            near = self._ends.enter_context(self._socket.accept()[0])
            far = self._ends.enter_context(
                socket.create_connection(('127.0.0.1', self._port))
            )
            for pair in ((near, far), (far, near)):
                threading.Thread(
                    target=self._pass_on, args=pair, daemon=True
                ).start()

    def _pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._cut.is_set():
                    target.sendall(data)


class TestPulse(test_host.HostTestCase):
    def setUp(self):
        super().setUp()
        for name, seconds in {'INTERVAL': 0.05, 'PATIENCE': 0.6}.items():
            path = f'dockermachine_osc.pulse.{name}'
            self.useFixture(fixtures.MonkeyPatch(path, seconds))
        self.wire = self.useFixture(Wire(self.server.port))
        self.more = threading.Event()
        self.addCleanup(self.more.set)

    def visit(self, play):
        self.server.played['do it'] = play
        with self.connect(port=self.wire.port) as there:
            return there.run('do it', timeout=30)

    def test_network_is_gone(self):
        def play(channel, server):
            channel.sendall(b'step one\n')
            self.wire.cut()
            self.more.wait(30)

        error = self.assertRaises(host.ConnectionLost, self.visit, play)
        self.assertIn('nothing came from the host any more', str(error))

    def test_a_command_may_be_silent(self):
        """It is the host that has to answer, not the command."""

        def play(channel, server):
            self.more.wait(1.2)
            channel.sendall(b'done\n')
            return 0

        self.assertEqual('done\n', self.visit(play).stdout)
