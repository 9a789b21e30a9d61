# SPDX-License-Identifier: Apache-2.0
"""adopt and import, killed at every change to the workstation's files."""

import fixtures

from dockermachine_osc.machines import importing
from tests.unit import dying
from tests.unit.machines import adopting, test_importing, test_killed


class TestAdopt(adopting.AdoptingTestCase):
    root = test_killed.KilledTestCase.root

    def test_again_or_taken_back(self):
        before = self.local()
        deaths = dying.Deaths(self.folder, self.fake)
        for number in deaths.of(self.adopt):
            with fixtures.MonkeyPatch('dockermachine_osc.files._STALE', -1):
                if number % 2:
                    machine = self.adopt()
                    self.assertEqual('running', machine.state, number)
                    self.assertIsNotNone(machine.folder, number)
                if self.machines.list() or self.files.names():
                    self.assertTrue(self.machines.delete('web1', 60))
                with self.files.lock('any'):
                    pass  # as every command that changes something
            self.assertEqual(before, self.local(), number)
            metadata = self.fake.things['servers'][self.server['id']]
            self.assertEqual({'owner': 'alice'}, metadata['metadata'], number)
        self.assertGreater(deaths.count, 15)


class TestImport(test_importing.ImportingTestCase):
    root = test_killed.KilledTestCase.root

    def test_again(self):
        before = self.local()
        deaths = dying.Deaths(self.folder, self.fake)
        for number in deaths.of(self.run_import, step=3):
            with fixtures.MonkeyPatch('dockermachine_osc.files._STALE', -1):
                (found,) = self.run_import('web1')
                expected = importing.DONE, importing.ALREADY
                self.assertIn(found.verdict, expected, found)
                self.assertTrue(self.machines.delete('web1', 60))
                self.assertEqual(before, self.local(), number)
                # Its engine answers again, as Docker Machine had left it.
                self.host.failures.clear()
        self.assertGreater(deaths.count, 15)
