# SPDX-License-Identifier: Apache-2.0
"""Real files in real folders; only what cannot be had is put in by hand."""

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import fixtures
from oslotest import base

from dockermachine_osc import errors, store

AUTH_URL = 'https://keystone.example:5000/v3'
HOLD_LOCK = """
import sys
from pathlib import Path
from dockermachine_osc import store
scope = store.Store(Path(sys.argv[1])).scope(*sys.argv[2:5])
with scope.lock('web1'):
    print('held', flush=True)
    sys.stdin.read()
"""


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


class StoreTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.store = store.Store(self.folder / 'root')
        self.scope = self.store.scope(AUTH_URL, 'RegionOne', 'p1')

    def assertFails(self, expected, *call):
        error = self.assertRaises(errors.StoreFailure, *call)
        self.assertIn(expected, str(error))
        return error


class TestRoot(StoreTestCase):
    def test_variable(self):
        self.useFixture(
            fixtures.EnvironmentVariable(
                'DOCKER_MACHINE_OSC_HOME', str(self.folder / 'elsewhere')
            )
        )
        self.assertEqual(self.folder / 'elsewhere', store.Store().root)

    def test_relative_and_home(self):
        self.useFixture(fixtures.EnvironmentVariable('HOME', '/home/ann'))
        for value, expected in (
            ('~/x', Path('/home/ann/x')),
            ('x', Path.cwd() / 'x'),
        ):
            with fixtures.EnvironmentVariable(
                'DOCKER_MACHINE_OSC_HOME', value
            ):
                self.assertEqual(expected, store.Store().root)

    def test_default(self):
        for name, value in (
            ('DOCKER_MACHINE_OSC_HOME', ''),
            ('XDG_DATA_HOME', str(self.folder)),
        ):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.assertEqual(self.folder / 'dockermachine-osc', store.Store().root)

    def test_to_look_makes_nothing(self):
        self.assertEqual([], self.scope.names())
        self.assertFalse(self.scope.machine('web1').exists())
        self.assertFalse(self.scope.machine('web1').has(store.KEY))
        self.assertIsNone(self.store.recall('f' * 64))
        self.assertEqual([], list(self.folder.iterdir()))

    def test_belongs_to_another_user(self):
        self.scope.machine('web1').create()
        with mock.patch.object(os, 'geteuid', return_value=os.geteuid() + 1):
            self.assertFails(
                'belongs to another user',
                self.store.scope,
                AUTH_URL,
                'RegionOne',
                'p1',
            )

    def test_not_writable(self):
        # Not even root makes folders in there.
        outside = store.Store(Path('/sys/dockermachine-osc'))
        scope = outside.scope(AUTH_URL, None, 'p1')
        error = self.assertFails('Cannot make', scope.machine('web1').create)
        self.assertIn('DOCKER_MACHINE_OSC_HOME', error.hint)

    def test_a_file_in_the_way(self):
        self.store.root.write_text('')
        self.assertFails(
            'Not a directory',
            self.store.scope,
            AUTH_URL,
            'RegionOne',
            'p1',
        )


class TestScope(StoreTestCase):
    def test_one_for_all_ways_to_write_it(self):
        for url in (
            'https://keystone.example:5000',
            'https://keystone.example:5000/',
            'HTTPS://Keystone.Example:5000/v3/',
            'https://keystone.example:5000/v2.0',
        ):
            self.assertEqual(
                self.scope.key,
                self.store.scope(url, 'RegionOne', 'p1').key,
                url,
            )
        self.assertEqual(
            self.store.scope('https://a/identity', None, 'p').key,
            self.store.scope('https://a:443/identity/v3', '', 'p').key,
        )

    def test_another_for_another(self):
        others = {
            self.store.scope(*other).key
            for other in (
                ('https://keystone.example:5001/v3', 'RegionOne', 'p1'),
                ('http://keystone.example:5000/v3', 'RegionOne', 'p1'),
                ('https://keystone.example:5000/a', 'RegionOne', 'p1'),
                (AUTH_URL, 'RegionTwo', 'p1'),
                (AUTH_URL, None, 'p1'),
                (AUTH_URL, 'RegionOne', 'p2'),
                (AUTH_URL, 'RegionOn', 'ep1'),
            )
        }
        self.assertEqual(7, len(others - {self.scope.key}))

    def test_told_to_people(self):
        self.scope.machine('web1').create()
        told = json.loads((self.scope.path / 'scope.json').read_bytes())
        self.assertEqual('p1', told['project_id'])
        self.assertEqual('RegionOne', told['region'])

    def test_no_credentials_in_it(self):
        scope = self.store.scope('https://me:secret@k:5000/v3', 'R', 'p')
        scope.machine('web1').create()
        self.assertNotIn('secret', (scope.path / 'scope.json').read_text())

    def test_two_clouds_have_a_web1(self):
        other = self.store.scope(AUTH_URL, 'RegionTwo', 'p1')
        self.scope.machine('web1').create()
        other.machine('web1').create()
        self.scope.machine('web1').write(store.CA, b'1')
        self.assertFalse(other.machine('web1').has(store.CA))

    def test_names(self):
        for name in ('web2', 'db', 'web10'):
            self.scope.machine(name).create()
        machines = self.scope.path / 'machines'
        (machines / '.hidden').mkdir()
        (machines / 'file').write_text('')
        self.assertEqual(['db', 'web10', 'web2'], self.scope.names())


class TestAliases(StoreTestCase):
    def test_remember(self):
        self.store.remember('f' * 64, self.scope)
        self.scope.machine('web1').create()
        again = store.Store(self.store.root).recall('f' * 64)
        self.assertEqual(self.scope.key, again.key)
        self.assertEqual(['web1'], again.names())
        self.assertIsNone(self.store.recall('e' * 64))

    def test_the_last_one_counts(self):
        other = self.store.scope(AUTH_URL, 'RegionTwo', 'p1')
        self.store.remember('f' * 64, self.scope)
        self.store.remember('f' * 64, other)
        self.assertEqual(other.key, self.store.recall('f' * 64).key)

    def test_written_once(self):
        self.store.remember('f' * 64, self.scope)
        alias = self.store.root / 'aliases' / ('f' * 64)
        before = alias.stat().st_ino
        self.store.remember('f' * 64, self.scope)
        self.assertEqual(before, alias.stat().st_ino)

    def test_damaged(self):
        self.store.remember('f' * 64, self.scope)
        alias = self.store.root / 'aliases' / ('f' * 64)
        for content in (b'', b'../../etc', b'\xff\xfe', b'A' * 16):
            alias.write_bytes(content)
            self.assertIsNone(self.store.recall('f' * 64))

    def test_damaged_is_written_again(self):
        self.store.remember('f' * 64, self.scope)
        (self.store.root / 'aliases' / ('f' * 64)).write_bytes(b'\xff\xfe')
        self.store.remember('f' * 64, self.scope)
        self.assertEqual(self.scope.key, self.store.recall('f' * 64).key)


class TestFingerprint(base.BaseTestCase):
    config = {
        'auth': {
            'auth_url': AUTH_URL,
            'username': 'ann',
            'password': 'secret',
            'project_name': 'demo',
            'project_domain_name': 'Default',
            'user_domain_name': 'Default',
        },
        'region_name': 'RegionOne',
        'cloud': 'devcloud',
        'verbose_level': 1,
    }

    def changed(self, top=None, **auth):
        config = self.config | (top or {})
        return store.fingerprint(config | {'auth': config['auth'] | auth})

    def test_what_does_not_identify(self):
        same = store.fingerprint(self.config)
        for other in (
            self.changed(password='other'),
            self.changed(token='other'),
            self.changed(auth_url='https://keystone.example:5000'),
            self.changed(trust_id=None, project_id=''),
            self.changed({'cloud': 'another name for it'}),
            self.changed({'verbose_level': 3, 'timing': True}),
        ):
            self.assertEqual(same, other)

    def test_what_does(self):
        others = {
            store.fingerprint(self.config),
            self.changed(auth_url='https://other.example:5000/v3'),
            self.changed(username='bob'),
            self.changed(project_name='other'),
            self.changed(project_id='1234'),
            self.changed(project_domain_name='Other'),
            self.changed(user_domain_name='Other'),
            self.changed(trust_id='1234'),
            self.changed(system_scope='all'),
            self.changed(application_credential_id='1234'),
            self.changed({'region_name': 'RegionTwo'}),
        }
        self.assertEqual(11, len(others))

    def test_from_the_environment(self):
        """Such values stand in the auth section only after the login."""
        before = {k: v for k, v in self.config.items() if k != 'auth'}
        before |= self.config['auth'] | {'auth': {'project_name': 'demo'}}
        self.assertEqual(
            store.fingerprint(self.config), store.fingerprint(before)
        )

    def test_tenant_is_the_old_word(self):
        auth = dict(self.config['auth'])
        auth['tenant_name'] = auth.pop('project_name')
        self.assertEqual(
            store.fingerprint(self.config),
            store.fingerprint(self.config | {'auth': auth}),
        )

    def test_only_the_cloud_tells(self):
        auth = {'auth_url': AUTH_URL, 'token': 'secret'}
        one, two = (
            store.fingerprint({'auth': auth, 'cloud': cloud})
            for cloud in ('one', 'two')
        )
        self.assertNotEqual(one, two)

    def test_strange_configurations(self):
        for config in (
            {},
            {'auth': None},
            {'auth': 'x'},
            {'auth': {'auth_url': 5, 'project_id': 7}},
        ):
            self.assertEqual(64, len(store.fingerprint(config)))


class TestName(StoreTestCase):
    def test_valid(self):
        for name in ('a', '7', 'web1', 'Web-1.example', 'a..b', 'x' * 63):
            self.assertEqual(name, store.check_name(name))

    def test_invalid(self):
        for name in (
            '',
            '.',
            '..',
            '-a',
            'a-',
            '.a',
            'a.',
            '../a',
            'a/b',
            'a\\b',
            '/etc',
            'a b',
            'a\n',
            'a\0b',
            'ä',
            '²',
            'x' * 64,
        ):
            self.assertRaises(errors.InvalidRequest, store.check_name, name)
            self.assertRaises(errors.InvalidRequest, self.scope.machine, name)
            self.assertRaises(
                errors.InvalidRequest, self.scope.lock(name).__enter__
            )


class TestMachineFolder(StoreTestCase):
    def setUp(self):
        super().setUp()
        self.machine = self.scope.machine('web1')
        self.machine.create()

    def test_for_the_owner_only_whatever_the_umask(self):
        for mask in (0o000, 0o022, 0o777):
            before = os.umask(mask)
            self.addCleanup(os.umask, before)
            scope = store.Store(self.folder / oct(mask)).scope('u', 'r', 'p')
            scope.machine('web1').create()
            scope.machine('web1').write(store.KEY, b'key')
            scope.machine('web1').write(store.KEY, b'key again')
            scope.machine('web1').save({'a': 1})
            os.umask(before)
            for path in (self.folder / oct(mask)).rglob('*'):
                expected = 0o700 if path.is_dir() else 0o600
                self.assertEqual(expected, mode(path), path)
            self.assertEqual(0o700, mode(self.folder / oct(mask)))

    def test_made_once(self):
        self.assertTrue(self.machine.exists())
        self.assertFails('already', self.machine.create)

    def test_read_what_was_written(self):
        self.machine.write(store.KEY, b'one')
        self.machine.write(store.KEY, b'two')
        self.assertTrue(self.machine.has(store.KEY))
        self.assertEqual(b'two', self.machine.read(store.KEY))

    def test_missing(self):
        error = self.assertFails('key.pem', self.machine.read, store.KEY)
        self.assertIn('web1', error.message)
        self.assertIn('access granted', error.hint)

    def test_unreadable(self):
        (self.machine.path / store.KEY).mkdir()
        self.assertFails('Cannot read', self.machine.read, store.KEY)

    def test_no_folder(self):
        gone = self.scope.machine('web2')
        self.assertFails('Cannot write', gone.write, store.KEY, b'')
        self.assertFails('web2', gone.read, store.KEY)
        self.assertFails('web2', gone.load)

    def test_only_plain_file_names(self):
        for name in ('', '.', '..', '../web2', 'a/b', '/etc/passwd'):
            for call in (self.machine.read, self.machine.has):
                self.assertRaises(errors.InvalidRequest, call, name)
            self.assertRaises(
                errors.InvalidRequest, self.machine.write, name, b''
            )

    def test_a_failed_write_leaves_the_old_file(self):
        self.machine.write(store.KEY, b'old')
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch.object(os, 'fsync', side_effect=full):
            error = self.assertFails(
                'No space left', self.machine.write, store.KEY, b'new'
            )
        self.assertIn('Make room', error.hint)
        self.assertEqual(b'old', self.machine.read(store.KEY))
        self.assertEqual(1, len(list(self.machine.path.iterdir())))

    def test_readers_see_whole_files(self):
        contents = (b'a' * 300_000, b'b' * 300_000)
        self.machine.write(store.KEY, contents[0])

        def write():
            for number in range(20):
                self.machine.write(store.KEY, contents[number % 2])

        writer = threading.Thread(target=write)
        writer.start()
        self.addCleanup(writer.join)
        while writer.is_alive():
            self.assertIn(self.machine.read(store.KEY), contents)

    def test_works_as_docker_cert_path(self):
        self.assertEqual('web1', self.machine.path.name)
        for name, expected in (
            (store.CA, 'ca.pem'),
            (store.CERT, 'cert.pem'),
            (store.KEY, 'key.pem'),
        ):
            self.assertEqual(expected, name)


class TestRecord(StoreTestCase):
    def setUp(self):
        super().setUp()
        self.machine = self.scope.machine('web1')
        self.machine.create()

    def test_round_trip(self):
        record = {'host': 'tcp://192.0.2.1:2376', 'schema': 'mine', 'n': [1]}
        self.machine.save(record)
        self.assertEqual(record, self.machine.load())

    def test_damaged(self):
        for content in (
            b'',
            b'{',
            b'[]',
            b'null',
            b'{}',
            b'\xff\xfe\x00',
            b'{"schema": 1}',
            b'{"schema": 1, "machine": []}',
            b'{"schema": "1", "machine": {}}',
            b'[' * 100_000,
        ):
            self.machine.write(store.RECORD, content)
            error = self.assertFails('damaged', self.machine.load)
            self.assertIn('known to the cloud', error.hint)

    def test_newer(self):
        self.machine.write(store.RECORD, b'{"schema": 2, "machine": {}}')
        error = self.assertFails('newer release', self.machine.load)
        self.assertIn('Upgrade', error.hint)


class TestRemove(StoreTestCase):
    def test_remove(self):
        machine = self.scope.machine('web1')
        machine.create()
        machine.write(store.KEY, b'key')
        self.scope.machine('web2').create()
        machine.remove()
        machine.remove()
        self.assertEqual(['web2'], self.scope.names())

    def test_links_are_not_followed(self):
        outside = self.folder / 'outside'
        outside.mkdir()
        (outside / 'file').write_text('precious')
        machine = self.scope.machine('web1')
        machine.create()
        (machine.path / 'link').symlink_to(outside)
        machine.remove()
        machine.path.symlink_to(outside)
        machine.remove()
        self.assertFalse(machine.path.is_symlink())
        self.assertEqual('precious', (outside / 'file').read_text())


class TestLock(StoreTestCase):
    def test_another_process(self):
        holder = subprocess.Popen(
            [
                sys.executable,
                '-c',
                HOLD_LOCK,
                self.store.root,
                AUTH_URL,
                'RegionOne',
                'p1',
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(store.__file__).parents[1],
        )
        self.addCleanup(holder.communicate)
        self.assertEqual(b'held\n', holder.stdout.readline())
        self.assertFails(
            'Another process',
            self.scope.lock('web1', wait=False).__enter__,
        )
        with self.scope.lock('web2', wait=False):
            pass
        # However it ends, what it held is free.
        holder.kill()
        with self.scope.lock('web1'):
            pass

    def test_another_thread(self):
        order = []

        def second():
            with self.scope.lock('web1'):
                order.append('second')

        with self.scope.lock('web1'):
            thread = threading.Thread(target=second)
            thread.start()
            self.assertFails(
                'Another process',
                self.scope.lock('web1', wait=False).__enter__,
            )
            order.append('first')
        thread.join()
        self.assertEqual(['first', 'second'], order)

    def test_free_after_an_error(self):
        def work():
            with self.scope.lock('web1'):
                raise errors.CloudFailure('no')

        self.assertRaises(errors.CloudFailure, work)
        with self.scope.lock('web1', wait=False):
            pass

    def test_no_place_for_it(self):
        scope = store.Store(Path('/sys/nope')).scope(AUTH_URL, None, 'p1')
        self.assertFails('Cannot make', scope.lock('web1').__enter__)
