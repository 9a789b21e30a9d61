# SPDX-License-Identifier: Apache-2.0
"""Another name: in the cloud, in the marks, and in the files here."""

from dockermachine_osc import errors, record
from tests.unit import workbench


class TestRename(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.machine = self.create()
        self.machine_id = self.machine.server.record.id

    def marks(self):
        return {
            thing['description']
            for kind in ('ports', 'floatingips')
            for thing in self.fake.things[kind].values()
            if self.machine_id in thing['description']
        }

    def test_everything_has_the_new_name(self):
        key = (self.machine.folder.path / 'key.pem').read_bytes()
        self.assertTrue(self.machines.rename('web1', 'db1'))
        renamed = self.machines.get('db1')
        self.assertEqual(self.machine.server.id, renamed.server.id)
        self.assertEqual({record.mark(self.machine_id, 'db1')}, self.marks())
        self.assertEqual(['db1'], self.files.names())
        self.assertEqual(key, (renamed.folder.path / 'key.pem').read_bytes())
        self.assertEqual('web1', renamed.context)
        self.assertRaises(errors.NotFound, self.machines.get, 'web1')
        self.assertFalse(self.machines.rename('db1', 'db1'))
        self.assertTrue(self.delete('db1'))
        self.assertEqual([], self.local())

    def test_names_that_are_taken(self):
        self.foreign_machine('other')
        self.fake.add_server('server')
        self.files.machine('left').create()
        before = self.fake.holds()
        for name, words in (
            ('other', 'exists already'),
            ('server', 'exists already'),
            ('left', 'files of another machine'),
            ('-x', 'cannot be the name'),
            ('../x', 'cannot be the name'),
        ):
            error = self.assertRaises(
                errors.MachineError, self.machines.rename, 'web1', name
            )
            self.assertIn(words, str(error))
            self.assertHolds(before)
            self.assertTrue(self.machines.get('web1').folder)

    def test_a_server_that_says_it_is_another(self):
        """Anybody in the project can copy a machine's metadata."""
        self.foreign_machine('evil', id=self.machine_id)
        for machine in self.machines.list():
            ours = machine.server.id == self.machine.server.id
            self.assertEqual(ours, machine.folder is not None)
        self.assertIsNone(self.machines.show('evil').folder)
        self.assertEqual(['web1'], self.files.names())
        self.assertEqual(self.machine.url, self.machines.show('web1').url)

    def test_finished_by_a_second_try(self):
        """Whatever is cut off in between, the files follow by the id."""
        for pattern in (
            'PUT network .*/ports/',
            'PUT network .*/floatingips/',
        ):
            self.fake.refuse(pattern, 403, 'Cut off')
            self.assertRaises(
                errors.CloudFailure, self.machines.rename, 'web1', 'db1'
            )
            self.assertTrue(self.machines.get('db1').folder)
            self.machines.rename('db1', 'db1')
            self.assertEqual(
                {record.mark(self.machine_id, 'db1')}, self.marks()
            )
            self.machines.rename('db1', 'web1')

    def test_renamed_by_somebody_else(self):
        (server,) = self.fake.things['servers'].values()
        server['name'] = 'theirs'
        self.assertEqual('theirs', self.machines.list()[0].folder.name)
        self.assertEqual(['theirs'], self.files.names())

    def test_renamed_to_what_no_machine_can_be(self):
        (server,) = self.fake.things['servers'].values()
        server['name'] = '../../etc'
        self.assertIsNone(self.machines.list()[0].folder)
        self.assertEqual(['web1'], self.files.names())

    def test_files_that_are_being_worked_on_stay(self):
        (server,) = self.fake.things['servers'].values()
        server['name'] = 'theirs'
        with self.files.lock('web1'):
            self.assertIsNone(self.machines.get('theirs').folder)
        self.assertTrue(self.machines.get('theirs').folder)
