# SPDX-License-Identifier: Apache-2.0
"""What is known of machines, from the cloud, the files, and the engines."""

import datetime
import threading

import fixtures

from dockermachine_osc import engine, errors, record
from dockermachine_osc.machines import endpoint, expiry
from tests.unit import workbench


class TestList(workbench.MachinesTestCase):
    def answer(self, ask):
        path = 'dockermachine_osc.engine.ask'
        self.useFixture(fixtures.MonkeyPatch(path, ask))

    def test_one_request(self):
        for name in ('b', 'a', 'c'):
            self.foreign_machine(name)
        self.fake.add_server('no-machine')
        self.cloud.project_id  # noqa: B018 logs in
        self.fake.log.clear()
        names = [m.server.name for m in self.machines.list()]
        self.assertEqual(['a', 'b', 'c'], names)
        paths = [line.split()[-1] for line in self.fake.log]
        self.assertEqual(1, paths.count('/v2.1/servers/detail'))
        self.assertLessEqual(len(paths), 2, paths)
        self.assertIn('tags=docker-machine', self.fake.queries[-1])

    def test_none(self):
        self.assertEqual([], self.machines.list())

    def test_keys_here_or_not(self):
        self.create('here')
        self.foreign_machine('there')
        here, there = self.machines.list()
        self.assertTrue(here.folder.exists())
        self.assertEqual('here', here.context)
        self.assertIsNone(there.folder)

    def test_namesake_of_another_workstation(self):
        """The keys of a machine do not fit another one of its name."""
        self.create('web1')
        self.fake.things['servers'].clear()
        self.foreign_machine('web1')
        (machine,) = self.machines.list()
        self.assertIsNone(machine.folder)

    def test_engines_are_asked_side_by_side(self):
        names = ['a', 'b', 'c']
        for name in names:
            self.create(name)
        meet = threading.Barrier(len(names), timeout=30)

        def ask(address, port, folder, timeout):
            meet.wait()
            return workbench.FACTS

        self.answer(ask)
        found = self.machines.list(engine_timeout=30)
        self.assertEqual([workbench.FACTS] * 3, [m.engine for m in found])

    def test_engine_that_fails(self):
        self.create()
        error = engine.EngineRefused('No engine listens')

        def ask(*args):
            raise error

        self.answer(ask)
        (machine,) = self.machines.list(engine_timeout=3)
        self.assertIs(error, machine.engine)

    def test_engine_that_hangs(self):
        self.create()
        done = threading.Event()
        self.addCleanup(done.set)

        def ask(*args):
            done.wait(30)

        self.answer(ask)
        (machine,) = self.machines.list(engine_timeout=0.05)
        self.assertIsInstance(machine.engine, errors.DeadlineExceeded)

    def test_engine_without_keys_here_is_not_asked(self):
        self.foreign_machine('there')

        def ask(*args):
            raise AssertionError('asked')

        self.answer(ask)
        (machine,) = self.machines.list(engine_timeout=3)
        self.assertIsNone(machine.engine)


class TestShow(workbench.MachinesTestCase):
    def test_by_name_and_ids(self):
        server = self.foreign_machine('web1')
        machine_id = server['metadata']['docker-machine:id']
        for name in ('web1', server['id'], machine_id):
            self.assertEqual(server['id'], self.machines.show(name).server.id)

    def test_not_there(self):
        self.fake.add_server('web1')
        self.assertRefuses(
            "'web1' does not exist",
            self.machines.show,
            'web1',
            error=errors.NotFound,
        )

    def test_ambiguous(self):
        ids = [self.foreign_machine('web1')['id'] for _ in range(2)]
        self.assertRefuses(
            ids, self.machines.show, 'web1', error=errors.Ambiguous
        )

    def test_refreshes_what_is_known_here(self):
        machine = self.create()
        server = self.fake.things['servers'][machine.server.id]
        server['metadata']['docker-machine:address'] = '192.0.2.9'
        self.machines.show('web1')
        record = self.files.machine('web1').load()
        self.assertEqual(machine.server.record.address, record['address'])
        # Only what Nova knows of is an address of the server.
        server['addresses']['net'] = [{'version': 4, 'addr': '192.0.2.9'}]
        self.machines.show('web1')
        record = self.files.machine('web1').load()
        self.assertEqual('192.0.2.9', record['address'])
        self.assertEqual('web1', record['context'])

    def test_damaged_local_record(self):
        machine = self.create()
        (machine.folder.path / 'record.json').write_text('{')
        record = self.machines.show('web1').folder.load()
        self.assertEqual(machine.server.id, record['server_id'])
        self.assertEqual('web1', record['context'])


class TestState(workbench.MachinesTestCase):
    def test_states(self):
        for status, task, recorded, expected in (
            ('ACTIVE', None, 'ready', 'running'),
            ('ACTIVE', None, 'creating', 'creating'),
            ('BUILD', 'spawning', 'creating', 'creating'),
            ('SHUTOFF', None, 'ready', 'stopped'),
            ('SHELVED_OFFLOADED', None, 'ready', 'shelved'),
            ('PAUSED', None, 'ready', 'paused'),
            ('ERROR', None, 'creating', 'error'),
            ('ACTIVE', 'deleting', 'ready', 'deleting'),
        ):
            server = self.foreign_machine('web1', state=recorded)
            server |= {'status': status, 'OS-EXT-STS:task_state': task}
            (machine,) = self.machines.list()
            self.assertEqual(expected, machine.state)
            self.fake.things['servers'].clear()

    def test_url(self):
        for address, expected in (
            ('192.0.2.1', 'tcp://192.0.2.1:2376'),
            ('2001:db8::1', 'tcp://[2001:db8::1]:2376'),
            ('', ''),
        ):
            found = endpoint.over_tls(address, 2376, None)
            self.assertEqual(expected, found.url)

    def test_days_left(self):
        self.assertIsNone(expiry.days_left(''))
        self.assertLess(expiry.days_left('2020-01-01T00:00:00Z'), -365)
        self.assertGreater(expiry.days_left('2999-01-01T00:00:00Z'), 365)

    def test_which_certificate_ends_soon(self):
        late, ended = '2999-01-01T00:00:00Z', '2020-01-01T00:00:00Z'
        soon = datetime.datetime.now(datetime.UTC)
        soon += datetime.timedelta(days=12, hours=1)
        soon = f'{soon:%Y-%m-%dT%H:%M:%SZ}'
        for ca, server, client, expected in (
            (late, late, late, '^$'),
            ('', '', '', '^$'),
            (late, soon, late, 'server certificate .* ends in 12 days'),
            (late, late, ended, 'client certificate .* has ended'),
            (ended, soon, ended, 'ca certificate'),
        ):
            facts = record.Record(
                ca_expires=ca, server_expires=server, client_expires=client
            )
            self.assertRegex(expiry.warning('web1', facts), expected)
        self.assertIn('cert renew --ca web1', expiry.warning('web1', facts))
