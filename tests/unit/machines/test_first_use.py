# SPDX-License-Identifier: Apache-2.0
"""A host that nobody knows, with the real ssh."""

import dataclasses
from pathlib import Path

import fixtures
from oslotest import base

from dockermachine_osc import engine, host
from dockermachine_osc.machines import errand, proposal
from tests.unit import sshserver, workbench
from tests.unit.machines import adopting

SETTINGS = engine.EngineSettings('m1', imported=True)


class FirstUseTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        private, public = sshserver.new_key()
        self.server = self.useFixture(sshserver.SshServer(public))
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        key = folder / 'key'
        key.write_bytes(private)
        key.chmod(0o600)
        command = engine.visit('look', SETTINGS).command
        self.server.played[command] = self._play
        self.way = errand.Way(
            '127.0.0.1', self.server.port, 'root', key, (), users=True
        )

    def _play(self, channel, server):
        while channel.recv(32768):
            pass
        channel.sendall('\n'.join(adopting.LOOK).encode())
        return 0

    def look(self, *known, first_use=True):
        way = dataclasses.replace(self.way, host_keys=known)
        return proposal.look(way, SETTINGS, 60, first_use=first_use)

    def test_its_key_is_learnt(self):
        found, learnt = self.look()
        self.assertEqual((self.server.key_line,), learnt)
        self.assertEqual('20.10.24', found.engine)

    def test_a_key_that_is_known_is_not(self):
        _, learnt = self.look(self.server.key_line)
        self.assertEqual((), learnt)

    def test_another_key_is_never_trusted(self):
        self.assertRaises(host.HostKeyChanged, self.look, workbench.ED25519)
        self.assertEqual([], self.server.attempts)

    def test_only_on_request(self):
        self.assertRaises(host.HostKeyChanged, self.look, first_use=False)
        self.assertEqual([], self.server.attempts)
