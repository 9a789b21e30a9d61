# SPDX-License-Identifier: Apache-2.0
"""Whatever somebody in the project writes into a machine's metadata."""

import dataclasses

from dockermachine_osc import record
from tests.unit.commands import shell

FIELDS = [
    f.name.replace('_', '-')
    for f in dataclasses.fields(record.Record)
    if f.name != 'problems'
] + ['schema']
LOOKED_AT = (
    ('list',),
    ('list', '--long'),
    ('show', 'web1'),
    ('env', 'web1'),
    ('config', 'web1'),
    ('check', 'web1'),
    ('cert', 'show', 'web1'),
    ('prune', '--dry-run'),
)
CHANGED = (('provision', 'web1'), ('cert', 'renew', 'web1'))
VALUES = (
    '',
    '\x1b]0;x\x07\x9b2J\u202e',
    '$(touch canary)`touch canary`;touch canary\n"; touch canary',
    '-oProxyCommand=touch canary',
    '../../../../canary',
    '99999',
    '-1',
    '9' * 255,
    'x' * 255,
    '127.0.0.1',
    '::1%$(touch canary)',
    'ssh-ed25519 AAAA',
    'ssh',
    # What Nova would not take, and another cloud might.
    None,
    7,
    ['a'],
    {'a': 'b'},
)


class HostileMetadataTest(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        self.setenv('PATH', str(self.home))
        self.succeeds('create', 'web1')
        (self.server,) = self.fake.things['servers'].values()
        self.good = dict(self.server['metadata'])
        self.before = self.files_here()

    def files_here(self):
        """Every file, with what is in it, but what engines last said."""
        return {
            path.relative_to(self.home): path.read_bytes()
            for path in self.home.rglob('*')
            if path.is_file() and not {'.cache', 'answers'} & {*path.parts}
        }

    def look(self, command):
        ran = self.openstack(*command)
        said = ran.stdout + ran.stderr
        self.assertIn(ran.status, (0, 1), said)
        self.assertNotIn('Traceback', said)
        self.assertEqual(
            [], [c for c in said if c != '\n' and not c.isprintable()]
        )
        return ran

    def hostile(self, fields, value):
        self.server['metadata'] = self.good | {
            f'docker-machine:{field}': value for field in fields
        }

    def assertUnharmed(self):
        """Nothing has run here, and the keys are where and what they were."""
        after = self.files_here()
        self.assertEqual(set(), set(after) - set(self.before))
        for path, content in self.before.items():
            if path.name != 'record.json':
                self.assertEqual(content, after[path], path)

    def test_id(self):
        """Without an id that fits, a server is nobody's machine."""
        for value in VALUES:
            self.hostile(['id'], value)
            self.look(('list',))
            self.look(('show', 'web1'))
        self.assertUnharmed()

    def test_all_fields(self):
        fields = [f for f in FIELDS if f != 'id']
        for value in VALUES:
            self.hostile(fields, value)
            for command in LOOKED_AT:
                self.look(command)
        self.assertUnharmed()

    def test_what_changes_something(self):
        """The host's keys and its CA are those of the files here."""
        fields = [f for f in FIELDS if f != 'id']
        for value in VALUES:
            for command in CHANGED:
                self.hostile(fields, value)
                self.guest.logins.clear()
                self.look(command)
                for *_, keys in self.guest.logins:
                    self.assertEqual((self.guest.key_line,), keys)

    def test_mended_when_it_is_good_again(self):
        for value in VALUES:
            self.hostile([f for f in FIELDS if f != 'id'], value)
            self.look(('show', 'web1'))
        self.server['metadata'] = self.good
        self.succeeds('show', 'web1')
        self.assertEqual(self.before, self.files_here())

    def test_deleted_all_the_same(self):
        """What is not understood costs nobody a server that may be his."""
        self.hostile([f for f in FIELDS if f not in ('id', 'origin')], 'x\x1b')
        self.look(('delete', 'web1'))
        self.assertEqual({}, self.fake.things['servers'])
        self.assertEqual({}, self.fake.things['floatingips'])


class HostileNameTest(shell.ShellTestCase):
    def test_names(self):
        self.succeeds('create', 'web1')
        (server,) = self.fake.things['servers'].values()
        there = sorted(self.home.rglob('*'))
        for name in (
            '../../../../canary',
            '/etc/canary',
            '.',
            '',
            '-oProxyCommand=x',
            '$(touch canary)',
            'a\x1b[2J\u202eb',
            'x' * 255,
        ):
            server['name'] = name
            for command in (
                ('list',),
                ('list', '--long'),
                ('show', server['id']),
            ):
                ran = self.openstack(*command)
                said = ran.stdout + ran.stderr
                self.assertIn(ran.status, (0, 1), said)
                self.assertNotIn('Traceback', said)
                self.assertNotIn('\x1b', said)
                self.assertNotIn('\u202e', said)
            self.assertEqual(there, sorted(self.home.rglob('*')))
