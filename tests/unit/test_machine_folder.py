# SPDX-License-Identifier: Apache-2.0
"""Secrets and the record of one machine, as real files."""

import errno
import os
import shutil
import stat
import threading
from unittest import mock

import fixtures

from dockermachine_osc import errors, store
from tests.unit import test_store


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


class TestMachineFolder(test_store.StoreTestCase):
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
        self.assertIn('cert renew --client web1', error.hint)
        error = self.assertFails('id_ed', self.machine.read, store.SSH_KEY)
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
        with mock.patch.object(os, 'fsync', autospec=True, side_effect=full):
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


class TestRecord(test_store.StoreTestCase):
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
            self.assertIn('docker machine show web1', error.hint)

    def test_newer(self):
        self.machine.write(store.RECORD, b'{"schema": 2, "machine": {}}')
        error = self.assertFails('newer release', self.machine.load)
        self.assertIn('Upgrade', error.hint)


class TestRemove(test_store.StoreTestCase):
    def test_removed_while_somebody_tidies_up(self):
        """Another delete, on the same store, sweeps what it finds renamed."""
        machine = self.scope.machine('web1')
        machine.create()
        machine.write(store.CA, b'1')
        remove = shutil.rmtree

        def swept(path, **options):
            self.useFixture(
                fixtures.MonkeyPatch(
                    'dockermachine_osc.store.shutil.rmtree', remove
                )
            )
            self.scope.settle('web2')
            remove(path, **options)

        self.useFixture(
            fixtures.MonkeyPatch(
                'dockermachine_osc.store.shutil.rmtree', swept
            )
        )
        machine.remove()
        self.assertEqual([], list((self.scope.path / 'machines').iterdir()))

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
