# SPDX-License-Identifier: Apache-2.0
"""delete, as it is typed."""

from tests.unit.commands import shell


class TestDelete(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        self.before = self.fake.holds()

    def create(self, *names):
        for name in names:
            self.succeeds('create', name)

    def test_one(self):
        self.create('web1')
        ran = self.succeeds('delete', 'web1')
        self.assertEqual(('', ''), (ran.stdout, ran.stderr))
        self.assertHolds(self.before)
        self.assertFalse(self.contexts.exists('web1'))
        self.assertEqual([], self.files.names())

    def test_several_by_name_and_id(self):
        self.create('web1', 'web2')
        shown = self.succeeds('show', 'web2', '-f', 'json').json
        self.succeeds('delete', 'web1', shown['id'], 'web1')
        self.assertHolds(self.before)

    def test_goes_on_after_a_failure(self):
        self.create('web1', 'web3')
        server = self.fake.add_server('web2')
        ran = self.fails(
            1,
            [
                "Failed to delete machine 'web2': Server 'web2'",
                'is not a machine',
                '1 of 3 machines failed to delete.',
            ],
            *('delete', 'web1', 'web2', 'web3'),
        )
        self.assertEqual('', ran.stdout)
        self.assertEqual([server['id']], list(self.fake.things['servers']))

    def test_gone_already(self):
        ran = self.succeeds('delete', 'web1')
        self.assertIn("'web1' does not exist", ran.stderr)
        ran = self.run_openstack('-q', 'docker', 'machine', 'delete', 'web1')
        self.assertEqual((0, ''), (ran.status, ran.stderr))

    def test_failure_is_told_even_with_quiet(self):
        self.fake.add_server('web2')
        ran = self.run_openstack('-q', 'docker', 'machine', 'delete', 'web2')
        self.assertEqual(1, ran.status)
        self.assertIn('is not a machine', ran.stderr)

    def test_timeout(self):
        self.create('web1')

        def stay():
            (server,) = self.fake.things['servers'].values()
            server['_steps'] = []

        self.fake.on('DELETE compute', stay, after=True)
        self.fails(1, '7 s', 'delete', 'web1', '--timeout', '7')

    def test_nothing_named(self):
        self.fails(2, 'machine', 'delete')
