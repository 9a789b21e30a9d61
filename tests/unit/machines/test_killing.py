# SPDX-License-Identifier: Apache-2.0
"""kill: the host is told to go at once, and Nova is told in any case."""

from dockermachine_osc import errors
from tests.unit import workbench


class TestKill(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.create()
        self.guest.lines = []
        (self.server,) = self.fake.things['servers'].values()

    def kill(self):
        self.fake.actions.clear()
        self.guest.parcels.clear()
        return self.machines.kill('web1', self.told, 60)

    def actions(self):
        return [action for action, _ in self.fake.actions]

    def test_host_and_nova_are_told(self):
        self.assertTrue(self.kill())
        ((command, stdin),) = self.guest.parcels
        self.assertIn('poweroff --force --force', command)
        self.assertEqual(b'', stdin)
        self.assertEqual(['os-stop'], self.actions())
        self.assertEqual([], self.told.warnings)

    def test_off_already(self):
        self.server['status'] = 'SHUTOFF'
        self.assertFalse(self.kill())
        self.assertEqual(([], []), (self.guest.parcels, self.actions()))

    def test_a_host_that_does_not_hear(self):
        self.guest.failures['connect'] = errors.HostFailure('No route')
        self.assertTrue(self.kill())
        self.assertEqual(['os-stop'], self.actions())
        (warning,) = self.told.warnings
        self.assertIn('shut down in order instead: No route', warning)

    def test_a_host_that_refuses(self):
        self.guest.status = 1
        self.assertTrue(self.kill())
        self.assertIn('exit code 1', self.told.warnings[0])

    def test_keys_that_are_elsewhere(self):
        self.foreign_machine('web2')
        self.machines.kill('web2', self.told, 60)
        self.assertIn('not on this workstation', self.told.warnings[0])
        self.assertEqual([], self.guest.logins[1:])
