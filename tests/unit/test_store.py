# SPDX-License-Identifier: Apache-2.0
"""Real files in real folders; only what cannot be had is put in by hand."""

import json
import os
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

    def test_home_of_nobody(self):
        self.useFixture(
            fixtures.EnvironmentVariable(
                'DOCKER_MACHINE_OSC_HOME', '~nobody-by-this-name/x'
            )
        )
        self.assertFails('DOCKER_MACHINE_OSC_HOME', store.Store)

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
        with mock.patch.object(
            os, 'geteuid', autospec=True, return_value=os.geteuid() + 1
        ):
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
