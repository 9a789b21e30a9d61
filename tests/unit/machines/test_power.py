# SPDX-License-Identifier: Apache-2.0
"""start, stop and restart, from every state that Nova has."""

from dockermachine_osc import engine, errors
from tests.unit import workbench


class TestPower(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.foreign_machine('web1')

    def actions(self):
        return [action for action, _ in self.fake.actions]

    def in_state(self, status, task=None, steps=()):
        self.fake.actions.clear()
        self.server |= {'status': status, '_steps': list(steps)}
        self.server['OS-EXT-STS:task_state'] = task

    def refuses(self, words, call, *arguments, **options):
        error = self.assertRaises(
            errors.InvalidRequest, call, 'web1', *arguments, **options
        )
        self.assertIn(words, str(error))
        self.assertEqual([], self.actions())

    def test_start(self):
        for status, expected in (
            ('SHUTOFF', ['os-start']),
            ('PAUSED', ['unpause']),
            ('SUSPENDED', ['resume']),
            ('SHELVED', ['unshelve']),
            ('SHELVED_OFFLOADED', ['unshelve']),
            ('ACTIVE', []),
        ):
            self.in_state(status)
            changed = self.machines.start('web1', 60)
            self.assertEqual(bool(expected), changed, status)
            self.assertEqual(expected, self.actions(), status)
            self.assertEqual('ACTIVE', self.server['status'])

    def test_stop(self):
        for status, expected in (
            ('ACTIVE', ['os-stop']),
            ('PAUSED', ['unpause', 'os-stop']),
            ('SHUTOFF', []),
            ('SUSPENDED', []),
            ('SHELVED_OFFLOADED', []),
        ):
            self.in_state(status)
            changed = self.machines.stop('web1', 60)
            self.assertEqual(bool(expected), changed, status)
            self.assertEqual(expected, self.actions(), status)

    def test_restart(self):
        for status, hard, expected in (
            ('ACTIVE', False, ('reboot', {'type': 'SOFT'})),
            ('ACTIVE', True, ('reboot', {'type': 'HARD'})),
            ('SHUTOFF', False, ('os-start', None)),
        ):
            self.in_state(status)
            self.machines.restart('web1', 60, hard=hard)
            self.assertEqual([expected], self.fake.actions)
            self.assertEqual('ACTIVE', self.server['status'])

    def test_states_that_only_the_owner_can_end(self):
        for status, way_out in (
            ('RESCUE', 'server unrescue'),
            ('ERROR', 'server show'),
            ('SOFT_DELETED', 'server show'),
        ):
            self.in_state(status)
            self.refuses(way_out, self.machines.start, 60)
            self.refuses(way_out, self.machines.stop, 60)
            self.refuses(way_out, self.machines.restart, 60, hard=True)

    def test_waits_until_nothing_else_is_done(self):
        self.in_state('REBOOT', 'rebooting', ['REBOOT', 'ACTIVE'])
        self.assertTrue(self.machines.stop('web1', 60))
        self.assertEqual(['os-stop'], self.actions())

    def test_waits_for_the_engine(self):
        self.create('web2')
        self.guest.failures['wait_ready'] = engine.EngineTimeout('Nobody')
        self.assertRaises(
            engine.EngineTimeout, self.machines.start, 'web2', 60
        )

    def test_falls_into_error(self):
        self.in_state('SHUTOFF')

        def fail():
            self.server['_steps'] = ['ERROR']

        self.fake.fault = 'No disk'
        self.fake.on('POST compute .*/action', fail, after=True)
        error = self.assertRaises(
            errors.CloudFailure, self.machines.start, 'web1', 60
        )
        self.assertIn('No disk', str(error))

    def test_never_gets_there(self):
        self.in_state('SHUTOFF')

        def stay():
            self.server['_steps'] = []

        self.fake.on('POST compute .*/action', stay, after=True)
        error = self.assertRaises(
            errors.DeadlineExceeded, self.machines.start, 'web1', 60
        )
        self.assertIn('60 s', str(error))

    def test_deleted_meanwhile(self):
        self.in_state('SHUTOFF')

        def delete():
            self.fake.things['servers'].clear()

        self.fake.on('POST compute .*/action', delete, after=True)
        self.assertRaises(errors.NotFound, self.machines.start, 'web1', 60)

    def test_nova_refuses(self):
        self.in_state('ACTIVE')
        self.fake.refuse('POST compute .*/action', 409, 'Instance is locked')
        error = self.assertRaises(
            errors.CloudFailure, self.machines.stop, 'web1', 60
        )
        self.assertIn('Instance is locked', str(error))
