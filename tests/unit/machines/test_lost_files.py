# SPDX-License-Identifier: Apache-2.0
"""Local files that are damaged, gone, too new, or not to be written."""

import json

import fixtures

from dockermachine_osc import errors, local_record, store
from tests.unit.machines import test_upkeep

DAMAGED = (
    b'',
    b'{',
    b'null',
    b'{"schema": 1, "machine": 7}',
    bytes(range(256)),
    b'[' * 5000,
    b' ' * (1 << 20) + b'{"schema": 1, "machine": {}}',
    None,
)
NEWER = b'{"schema": 2, "machine": {"what": "is this"}, "else": 1}'


class LostTestCase(test_upkeep.UpkeepTestCase):
    def record_is(self, data):
        path = self.store.path / store.RECORD
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)

    def assertFails(self, expected, call, *args, error=errors.MachineError):
        raised = self.assertRaises(error, call, *args)
        for words in [expected] if isinstance(expected, str) else expected:
            self.assertIn(words, str(raised))
        return raised

    def offline(self):
        whole = store.Store(self.files.root)
        whole.remember('f' * 64, self.files)
        return self.machines_offline(whole)

    @staticmethod
    def machines_offline(whole):
        from dockermachine_osc import machines

        return machines.local_machine(whole, 'f' * 64, 'here', 'web1')

    def known(self):
        return {
            p.name: p.read_bytes()
            for p in self.store.path.iterdir()
            if p.is_file()
        }


class TestRecord(LostTestCase):
    def test_written_anew_from_the_cloud(self):
        before = self.known()
        for data in DAMAGED:
            self.record_is(data)
            self.assertFails('docker machine show web1', self.offline)
            self.assertEqual('web1', self.machines.show('web1').context)
            self.assertEqual(before, self.known(), data)
            self.assertTrue(self.offline().endpoint.url)

    def test_a_folder(self):
        self.record_is(None)
        (self.store.path / store.RECORD).mkdir()
        self.assertFails('Cannot read', self.offline)
        self.assertIsNotNone(self.machines.show('web1').folder)
        self.assertTrue(self.delete())
        self.assertFalse(self.store.exists())

    def test_every_command_goes_on(self):
        for work in (
            lambda: self.machines.provision('web1', self.told, 60),
            lambda: self.machines.renew(
                'web1', frozenset(['client']), self.told, 60
            ),
            lambda: self.machines.create_context('web1', ''),
            lambda: self.machines.certificates('web1', 5),
            lambda: self.machines.check('web1', 5),
        ):
            self.record_is(b'{')
            work()
            self.assertEqual('web1', self.machines.get('web1').context)

    def test_ssh(self):
        self.delete()
        self.create(access='ssh')
        self.record_is(b'{')
        self.assertEqual('web1', self.machines.show('web1').context)
        self.assertTrue(self.offline().endpoint.url)

    def test_keys_of_another_machine_are_not_taken_for_its(self):
        self.record_is(b'{')
        self.metadata()['docker-machine:ca-fingerprint'] = '0' * 64
        self.assertIsNone(self.machines.show('web1').folder)
        self.assertFails(
            'not on this workstation', self.machines.delete_context, 'web1'
        )

    def test_delete(self):
        for data in DAMAGED:
            self.record_is(data)
            self.assertTrue(self.delete())
            self.assertEqual([], self.local())
            self.create()

    def test_keys_of_which_nobody_knows_stay(self):
        """They may be of a machine that has another name by now."""
        self.record_is(b'{')
        self.metadata()['docker-machine:ca-fingerprint'] = '0' * 64
        self.assertTrue(self.delete())
        self.assertIn('delete web1', self.told_last())
        self.assertTrue(self.store.has(store.KEY))
        self.assertFails('There are keys beside it', self.create)
        self.assertEqual({}, self.fake.things['servers'])
        self.assertTrue(self.delete())
        self.assertFalse(self.store.exists())
        self.create()

    def delete(self, name='web1'):
        return self.machines.delete(name, 300, reporter=self.told)

    def told_last(self):
        return self.told.warnings[-1]

    def test_a_folder_without_keys_is_no_reason_to_refuse(self):
        """So much is left of a create that was killed at its beginning."""
        self.delete()
        self.store.create()
        self.create()
        self.delete()
        self.store.create()
        self.record_is(b'{')
        self.create()


class TestNewer(LostTestCase):
    def setUp(self):
        super().setUp()
        self.record_is(NEWER)
        self.before = self.known()

    def test_refused_and_left_alone(self):
        for call in (
            self.offline,
            lambda: self.machines.provision('web1', self.told, 60),
            lambda: self.machines.renew(
                'web1', frozenset(['ca']), self.told, 60
            ),
            lambda: self.machines.create_context('web1', ''),
        ):
            self.assertFails(
                ['newer release', 'Upgrade'],
                call,
                error=local_record.NewerFiles,
            )
        self.assertEqual('web1', self.machines.show('web1').server.name)
        self.machines.list()
        self.assertEqual(self.before, self.known())

    def test_delete(self):
        self.assertTrue(self.delete())
        self.assertEqual([], self.local())

    def test_not_cleared_away_by_a_create(self):
        self.fake.things['servers'].clear()
        self.assertFails(['newer release', 'delete web1'], self.create)
        self.assertEqual(self.before, self.known())

    def test_in_the_cloud(self):
        self.record_is(None)
        self.store.save({'id': self.record().id})
        metadata = self.metadata()
        metadata['docker-machine:schema'] = '2'
        metadata['docker-machine:state'] = 'dreaming'
        before = dict(metadata)
        for call in (
            lambda: self.machines.provision('web1', self.told, 60),
            lambda: self.machines.renew(
                'web1', frozenset(['ca']), self.told, 60
            ),
            lambda: self.machines.rename('web1', 'web2'),
        ):
            self.assertFails(
                ['newer release', 'Upgrade'], call, error=errors.InvalidRequest
            )
        problems = self.machines.show('web1').server.record.problems
        self.assertIn('written by a newer release', ' '.join(problems))
        self.assertEqual(before, self.metadata())
        self.machines.delete('web1', 300, reporter=self.told)
        self.assertIn('newer release', ' '.join(self.told.notes))
        self.assertEqual({}, self.fake.things['servers'])


class TestKeys(LostTestCase):
    def renew(self, *roles):
        self.machines.renew('web1', frozenset(roles), self.told, 60)

    def test_client_key_and_certificate(self):
        for name in (store.KEY, store.CERT):
            (self.store.path / name).unlink()
            self.assertFails('cert renew --client web1', self.offline)
            self.assertIsNone(self.machines.show('web1').folder)
            self.renew('client')
            self.assertTrue(self.offline().endpoint.url)

    def test_ca(self):
        for name in (store.CA, store.CA_KEY):
            (self.store.path / name).unlink()
            self.assertFails('cert renew --ca web1', self.renew, 'client')
            self.renew('ca')
            self.assertTrue(self.offline().endpoint.url)

    def test_that_do_not_belong_together(self):
        for name in (store.KEY, store.CERT, store.CA, store.CA_KEY):
            other = self.machines_other()
            self.store.write(name, other.read(name))
            self.renew('ca')
            self.renew('client')

    def machines_other(self):
        folder = self.files.machine('other')
        if not folder.exists():
            self.create('other')
        return folder

    def test_known_hosts(self):
        (self.store.path / store.KNOWN_HOSTS).unlink()
        self.assertFails('provision web1', self.renew, 'server')
        self.machines.provision('web1', self.told, 60)
        self.renew('server')

    def test_readable_by_others(self):
        key = self.store.path / store.KEY
        key.chmod(0o644)
        warning = self.offline().warning
        self.assertIn('key.pem', warning)
        self.assertIn('cert renew --ca web1', warning)
        self.assertEqual(0o600, key.stat().st_mode & 0o777)
        self.assertEqual('', self.offline().warning)

    def test_delete_without_any(self):
        for path in self.store.path.iterdir():
            if path.name != store.RECORD:
                path.unlink()
        self.assertTrue(self.delete())
        self.assertEqual([], self.local())


class TestContexts(LostTestCase):
    def test_one_that_the_record_does_not_tell_of(self):
        """As after a crash between the one and the other."""
        self.store.save(self.store.load() | {'context': ''})
        self.delete()
        self.assertEqual([], self.local())

    def test_damaged_ones_are_left_alone(self):
        for number, data in enumerate((b'', b'{', b'\xff', b'[]', b'{}')):
            path = self.folder / f'docker/contexts/meta/{number}/meta.json'
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        (self.folder / 'docker/contexts/meta/dir/meta.json').mkdir(
            parents=True
        )
        self.delete()
        self.assertEqual(5, len(self.local()))

    def test_name_that_is_not_its_folders(self):
        """The name leads to files that are removed: it has to be true."""
        (meta,) = self.folder.glob('docker/contexts/meta/*/meta.json')
        document = json.loads(meta.read_bytes())
        document['Name'] = '../../../x'
        meta.write_text(json.dumps(document))
        self.assertEqual([], self.contexts.made_for(self.record().id))
        self.assertEqual([], self.contexts.made_for(''))


class TestReadOnly(LostTestCase):
    def test_others_work_on_it(self):
        with self.files.lock('web1'):
            self.assertIsNotNone(self.machines.show('web1').folder)

    def test_variable_names_a_file(self):
        path = self.folder / 'file'
        path.write_text('')
        for variable, value in (
            ('DOCKER_MACHINE_OSC_HOME', str(path)),
            ('DOCKER_MACHINE_OSC_HOME', str(path / 'below')),
        ):
            self.useFixture(fixtures.EnvironmentVariable(variable, value))
            self.assertFails(
                [value, 'DOCKER_MACHINE_OSC_HOME to another'],
                store.Store().scope,
                'u',
                'r',
                'p',
            )

    def test_nobody_has_a_home(self):
        for name in ('HOME', 'XDG_DATA_HOME', 'DOCKER_MACHINE_OSC_HOME'):
            self.useFixture(fixtures.EnvironmentVariable(name, None))
        self.useFixture(fixtures.MonkeyPatch('pwd.getpwuid', _nobody))
        self.assertFails('DOCKER_MACHINE_OSC_HOME', store.Store)

    def test_others_can_write_to_it(self):
        self.files.root.chmod(0o775)
        self.assertFails(
            ['Others can write', f'chmod go-w {self.files.root}'],
            store.Store(self.files.root).scope,
            'u',
            'r',
            'p',
        )
        self.assertEqual(0o775, self.files.root.stat().st_mode & 0o777)


def _nobody(number):
    raise KeyError(number)
