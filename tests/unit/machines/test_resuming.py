# SPDX-License-Identifier: Apache-2.0
"""Connections that break in the middle of the set-up."""

from dockermachine_osc import errors, host
from tests.unit import workbench


class TestBrokenConnection(workbench.MachinesTestCase):
    """Each visit to the host ends as is said; the last one goes well."""

    def setUp(self):
        super().setUp()
        self.ends = []
        self.well = self.guest.run
        self.guest.run = self.run_command

    def run_command(self, command, stdin=b'', on_line=print, timeout=0):
        if not self.ends:
            return self.well(command, stdin, on_line, timeout)
        step, error = self.ends.pop(0)
        on_line(f'step {step}')
        raise error

    def lost(self):
        return host.ConnectionLost('The SSH connection broke: cut')

    def refused(self):
        self.well = self.guest.run
        return self.assertRaises(
            errors.HostFailure, self.create, keep_on_failure=True
        )

    def test_once(self):
        self.ends = [('installing docker.io', self.lost())]
        self.assertEqual('running', self.create().state)
        (warning,) = self.told.warnings
        self.assertIn('The SSH connection broke: cut', warning)
        self.assertIn("at 'Installing docker.io'", warning)

    def test_while_the_host_boots(self):
        self.ends = [
            ('installing docker.io', self.lost()),
            ('x', host.Unreachable('connection refused')),
            ('x', host.AuthenticationRefused('System is booting up')),
        ]
        self.assertEqual('running', self.create().state)

    def test_twice(self):
        self.ends = [('installing', self.lost()), ('starting', self.lost())]
        error = self.refused()
        self.assertIn("failed at 'Starting' after", str(error))
        self.assertIn('connection broke: cut', str(error))
        self.assertIn('machine provision web1', error.hint)

    def test_host_does_not_come_back(self):
        away = [('x', host.Unreachable('no route'))] * 100
        self.ends = [('installing', self.lost()), *away]
        error = self.refused()
        self.assertIn('was not back within 90 s: no route', str(error))

    def test_nothing_of_the_users_is_done_twice(self):
        self.ends = [('running the post-script', self.lost())]
        error = self.refused()
        self.assertIn("failed at 'Running the post-script'", str(error))
        self.assertEqual([], self.told.warnings)

    def test_in_time(self):
        """Also if the host would be waited for longer than that."""
        away = [('x', host.Unreachable('no route'))] * 100
        self.ends = [('installing', self.lost()), *away]
        began = self.clock.now
        self.assertRaises(errors.HostFailure, self.create, timeout=30)
        self.assertLessEqual(self.clock.now - began, 31)
