# SPDX-License-Identifier: Apache-2.0
"""The files are compared with those that docker itself writes."""

import errno
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from unittest import mock

import fixtures
from oslotest import base

from dockermachine_osc import contexts, errors

KEYS = {'ca': b'CA', 'cert': b'CERT', 'key': b'KEY'}
HOST = 'tcp://192.0.2.1:2376'
# As docker 28 wrote it.
FOREIGN = (
    '{"Name":"web1","Metadata":{"Description":"x y"},"Endpoints":{"docker":'
    '{"Host":"tcp://1.2.3.4:2376","SkipTLSVerify":false}}}'
)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


class ContextsTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path) / 'd'
        self.contexts = contexts.Contexts(self.folder)
        digest = hashlib.sha256(b'web1').hexdigest()
        self.meta = self.folder / 'contexts' / 'meta' / digest / 'meta.json'
        self.tls = self.folder / 'contexts' / 'tls' / digest

    def write(self, name='web1', machine_id='id1', **keys):
        self.contexts.write(
            name, HOST, 'a machine', machine_id, **(keys or KEYS)
        )

    def settings(self, content, file_mode=0o600):
        self.folder.mkdir(exist_ok=True)
        path = self.folder / 'config.json'
        path.write_text(content)
        path.chmod(file_mode)
        return path


class TestWrite(ContextsTestCase):
    def test_as_docker_does(self):
        self.write()
        self.assertEqual(
            {
                'Name': 'web1',
                'Metadata': {
                    'Description': 'a machine',
                    'dockermachine-osc.machine-id': 'id1',
                },
                'Endpoints': {
                    'docker': {'Host': HOST, 'SkipTLSVerify': False}
                },
            },
            json.loads(self.meta.read_bytes()),
        )
        self.assertEqual(
            {'ca.pem': b'CA', 'cert.pem': b'CERT', 'key.pem': b'KEY'},
            {p.name: p.read_bytes() for p in (self.tls / 'docker').iterdir()},
        )

    def test_for_the_owner_only(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.write()
        for path in (self.folder, *self.folder.rglob('*')):
            expected = 0o700 if path.is_dir() else 0o600
            self.assertEqual(expected, mode(path), path)

    def test_folders_of_docker_are_left_alone(self):
        self.folder.mkdir(mode=0o755)
        self.write()
        self.assertEqual(0o755, mode(self.folder))

    def test_ours_is_renewed(self):
        self.write()
        self.write(ca=b'CA2', cert=b'CERT2', key=b'KEY2')
        self.assertEqual(
            b'CERT2', (self.tls / 'docker' / 'cert.pem').read_bytes()
        )

    def test_from_tls_to_ssh(self):
        self.write()
        self.contexts.write('web1', 'ssh://debian@192.0.2.1', '', 'id1')
        self.assertFalse(self.tls.exists())

    def test_somebody_elses(self):
        self.meta.parent.mkdir(parents=True)
        for content in (FOREIGN, '', '[]', '{"Metadata": null}', '\xff'):
            self.meta.write_text(content, encoding='latin-1')
            self.assertRaises(errors.StoreFailure, self.write, machine_id='')
            error = self.assertRaises(errors.StoreFailure, self.write)
            self.assertIn('docker context rm web1', error.hint)
            self.assertEqual(content, self.meta.read_text('latin-1'))
            self.assertFalse(self.tls.exists())

    def test_another_machines(self):
        self.write()
        self.assertRaises(errors.StoreFailure, self.write, machine_id='id2')

    def test_names_that_docker_refuses(self):
        for name in ('default', 'x', '', '-a', '.a', 'a b', 'a/b', 'ab\n'):
            self.assertFalse(contexts.valid_name(name))
            self.assertRaises(errors.InvalidRequest, self.write, name)

    def test_names_that_docker_takes(self):
        for name in ('ab', 'web1', 'Web_1.example-com+x', '1' * 200):
            self.assertTrue(contexts.valid_name(name))

    def test_disk_full(self):
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch.object(os, 'fsync', autospec=True, side_effect=full):
            error = self.assertRaises(errors.StoreFailure, self.write)
        self.assertIn('No space left', str(error))
        self.assertFalse(self.contexts.exists('web1'))

    def test_what_a_crash_leaves_is_removed(self):
        self.write()
        (self.tls / 'docker' / 'key.pem').unlink()
        self.assertTrue(self.contexts.remove('web1', 'id1'))
        self.assertFalse(self.tls.exists())
        self.write()
        shutil.rmtree(self.tls)
        self.assertTrue(self.contexts.remove('web1', 'id1'))

    def test_no_half_context(self):
        (self.folder / 'contexts').mkdir(parents=True)
        (self.folder / 'contexts' / 'tls').write_text('in the way')
        self.assertRaises(errors.StoreFailure, self.write)
        self.assertFalse(self.meta.parent.exists())

    def test_a_failed_renewal_is_still_ours(self):
        self.write()
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch.object(os, 'fsync', autospec=True, side_effect=full):
            self.assertRaises(errors.StoreFailure, self.write)
        self.assertEqual('id1', self.contexts.owner('web1'))
        self.assertTrue((self.tls / 'docker' / 'key.pem').exists())

    def test_no_permission(self):
        self.contexts = contexts.Contexts(Path('/sys/docker'))
        error = self.assertRaises(errors.StoreFailure, self.write)
        self.assertIn('DOCKER_CONFIG', error.hint)


class TestOwner(ContextsTestCase):
    def test_owner(self):
        self.assertIsNone(self.contexts.owner('web1'))
        self.assertFalse(self.contexts.exists('web1'))
        self.write()
        self.assertEqual('id1', self.contexts.owner('web1'))
        self.assertTrue(self.contexts.exists('web1'))
        for content in (
            FOREIGN,
            '{',
            '7',
            '{"Metadata": []}',
            '{"Metadata": {"dockermachine-osc.machine-id": 7}}',
        ):
            self.meta.write_text(content)
            self.assertEqual('', self.contexts.owner('web1'))


class TestRemove(ContextsTestCase):
    def test_remove(self):
        self.write()
        self.write('web2')
        self.assertTrue(self.contexts.remove('web1', 'id1'))
        self.assertFalse(self.meta.parent.exists())
        self.assertFalse(self.tls.exists())
        self.assertFalse(self.contexts.remove('web1', 'id1'))
        self.assertTrue(self.contexts.exists('web2'))

    def test_only_ours(self):
        self.write()
        for machine_id in ('id2', ''):
            self.assertFalse(self.contexts.remove('web1', machine_id))
        self.meta.write_text(FOREIGN)
        for machine_id in ('id1', ''):
            self.assertFalse(self.contexts.remove('web1', machine_id))
        self.assertTrue(self.meta.exists())
        self.assertTrue(self.tls.exists())

    def test_without_keys(self):
        self.contexts.write('web1', 'ssh://debian@192.0.2.1', '', 'id1')
        self.assertTrue(self.contexts.remove('web1', 'id1'))

    def test_current_no_more(self):
        self.write()
        settings = self.settings(
            '{"auths": {"é": {"auth": "eA=="}}, "currentContext": "web1",'
            ' "z": 1, "a": 2}',
            0o644,
        )
        self.assertTrue(self.contexts.remove('web1', 'id1'))
        self.assertEqual(
            '{\n\t"auths": {\n\t\t"é": {\n\t\t\t"auth": "eA=="\n\t\t}\n\t},'
            '\n\t"z": 1,\n\t"a": 2\n}',
            settings.read_text(),
        )
        self.assertEqual(0o644, mode(settings))

    def test_current_through_a_link(self):
        self.write()
        elsewhere = self.folder.parent / 'dotfiles.json'
        self.settings('{"currentContext": "web1"}').rename(elsewhere)
        (self.folder / 'config.json').symlink_to(elsewhere)
        self.assertTrue(self.contexts.remove('web1', 'id1'))
        self.assertTrue((self.folder / 'config.json').is_symlink())
        self.assertEqual('{}', elsewhere.read_text())

    def test_another_is_current(self):
        self.write()
        for content in (
            '{"currentContext":"web2"}',
            '{"currentContext":',
            '["web1"]',
            '',
            '{}',
        ):
            self.write()
            settings = self.settings(content)
            self.assertTrue(self.contexts.remove('web1', 'id1'))
            self.assertEqual(content, settings.read_text())


class TestPlace(base.BaseTestCase):
    def test_variable(self):
        with fixtures.EnvironmentVariable('DOCKER_CONFIG', '/x/docker'):
            self.assertEqual(Path('/x/docker'), contexts.Contexts().config_dir)

    def test_home(self):
        self.useFixture(fixtures.EnvironmentVariable('HOME', '/home/ann'))
        for value in (None, ''):
            with fixtures.EnvironmentVariable('DOCKER_CONFIG', value):
                self.assertEqual(
                    Path('/home/ann/.docker'), contexts.Contexts().config_dir
                )
