# SPDX-License-Identifier: Apache-2.0
"""list and show, as they are typed."""

import csv
import io

import fixtures

from dockermachine_osc import engine, record
from tests.unit import workbench
from tests.unit.commands import shell


class ListTestCase(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        self.asked = []
        self.answer = workbench.FACTS
        self.useFixture(
            fixtures.MonkeyPatch('dockermachine_osc.engine.ask', self.ask)
        )

    def ask(self, address, port, folder, timeout):
        self.asked.append(address)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def foreign(self, name, **more):
        facts = record.Record(
            id=record.new_machine_id(),
            state='ready',
            address='192.0.2.9',
            engine_version='27.0',
            image='debian-12',
            server_expires='2999-01-01T00:00:00Z',
        )
        metadata = facts.to_metadata() | more
        return self.fake.add_server(name, metadata, [record.TAG])


class TestList(ListTestCase):
    def test_columns(self):
        server = self.foreign('web1')
        (row,) = self.succeeds('list', '-f', 'json').json
        self.assertEqual(
            {
                'ID': server['id'],
                'Name': 'web1',
                'State': 'running',
                'URL': 'tcp://192.0.2.9:2376',
                'Engine': '27.0',
                'Flavor': 'm1.small',
                'Image': 'debian-12',
            },
            row,
        )
        self.assertEqual([], self.asked)

    def test_filters(self):
        web, db = self.foreign('web1'), self.foreign('db1')
        web['tags'].append('prod')
        db['status'] = 'SHUTOFF'
        for options, expected in (
            ((), ['db1', 'web1']),
            (('--name', '^web'), ['web1']),
            (('--status', 'SHUTOFF'), ['db1']),
            (('--tags', 'prod'), ['web1']),
            (('--tags', 'prod', '--status', 'SHUTOFF'), []),
        ):
            rows = self.succeeds('list', '-f', 'json', *options).json
            self.assertEqual(expected, [row['Name'] for row in rows])

    def test_none(self):
        self.assertEqual([], self.succeeds('list', '-f', 'json').json)
        ran = self.succeeds('list')
        self.assertEqual('', ran.stderr)

    def test_csv_sorted(self):
        for name in ('b', 'a'):
            self.foreign(name)
        text = self.succeeds('list', '-f', 'csv', '-c', 'Name').stdout
        self.assertEqual(
            [['Name'], ['a'], ['b']], list(csv.reader(io.StringIO(text)))
        )

    def test_long(self):
        self.succeeds('create', 'here')
        self.foreign('there')
        here, there = self.succeeds('list', '--long', '-f', 'json').json
        self.assertEqual(
            ('28.2.2', 'ok', True),
            (here['Engine'], here['Answer'], here['Keys Here']),
        )
        self.assertEqual(
            ('27.0', None, False),
            (there['Engine'], there['Answer'], there['Keys Here']),
        )
        self.assertIsInstance(there['Certificate Days'], int)
        self.assertEqual('nova', there['Availability Zone'])
        self.assertEqual(1, len(self.asked))

    def test_long_with_an_engine_that_does_not_answer(self):
        self.succeeds('create', 'web1')
        self.answer = engine.EngineTimeout('Nobody answers', 'A hint')
        (row,) = self.succeeds('list', '--long', '-f', 'json').json
        self.assertEqual('Nobody answers', row['Answer'])

    def test_hostile_metadata(self):
        for number, value in enumerate(
            ('\x1b[2J', '2026-13-01T00:00:00Z', 'x' * 255, '::1%\x1b[2J')
        ):
            keys = ('server-expires', 'address', 'image', 'engine-version')
            metadata = {f'docker-machine:{k}': value for k in keys}
            self.foreign(f'web{number}\x1b[2J', **metadata)
        for options in ((), ('--long',)):
            ran = self.succeeds('list', *options)
            self.assertNotIn('\x1b', ran.stdout)

    def test_cloud_that_fails(self):
        self.fake.refuse('GET compute /v2.1/servers', 500, 'Boom')
        self.fails(1, ['Cannot list machines', 'Boom'], 'list')

    def test_wrong_password(self):
        self.fake.refuse('POST identity', 401, 'The request requires auth')
        self.fails(1, 'requires auth', 'list')

    def test_timeout_that_is_none(self):
        self.fails(2, 'not a time', 'list', '--timeout', 'x')


class TestShow(ListTestCase):
    def test_json(self):
        self.succeeds('create', 'web1')
        shown = self.succeeds('show', 'web1', '-f', 'json').json
        self.assertEqual('ok', shown['engine_answer'])
        self.assertEqual(2376, shown['engine_port'])
        self.assertEqual(22, shown['ssh_port'])
        self.assertEqual('debian', shown['ssh_user'])
        self.assertEqual('web1', shown['docker_context'])
        self.assertEqual(
            {'floating_ip_id', 'port_id', 'security_group_id'},
            set(shown['owned']),
        )
        self.assertNotIn('fault', shown)
        self.assertNotIn('problems', shown)

    def test_from_another_workstation(self):
        self.foreign('web1')
        shown = self.succeeds('show', 'web1', '-f', 'json').json
        self.assertIsNone(shown['local_files'])
        self.assertIsNone(shown['docker_context'])
        self.assertIsNone(shown['engine_answer'])

    def test_no_secrets(self):
        self.succeeds('create', 'web1')
        text = self.succeeds('show', 'web1', '-f', 'json').stdout
        folder = self.files.machine('web1').path
        for path in folder.iterdir():
            data = path.read_text()
            if 'PRIVATE KEY' in data:
                self.assertNotIn(data.splitlines()[1], text)

    def test_fault_and_problems(self):
        server = self.foreign('web1', **{'docker-machine:address': 'x'})
        server |= {'status': 'ERROR', 'fault': {'message': 'No valid host'}}
        shown = self.succeeds('show', 'web1', '-f', 'json').json
        self.assertEqual('error', shown['state'])
        self.assertEqual('No valid host', shown['fault'])
        self.assertEqual(1, len(shown['problems']))
        self.assertEqual('', shown['url'])

    def test_not_there_and_ambiguous(self):
        self.fails(1, ["'web1' does not exist", 'list'], 'show', 'web1')
        ids = [self.foreign('web1')['id'] for _ in range(2)]
        self.fails(1, ids, 'show', 'web1')

    def test_shell_format(self):
        self.foreign('web1')
        ran = self.succeeds('show', 'web1', '-f', 'shell', '-c', 'state')
        self.assertEqual('state="running"\n', ran.stdout)
