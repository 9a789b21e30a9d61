# SPDX-License-Identifier: Apache-2.0
"""Reading ~/.docker/machine, of which nothing is trusted."""

import json
import os
import pathlib

import fixtures
from hypothesis import given
from hypothesis import strategies as st
from oslotest import base

from dockermachine_osc import docker_machine_files as files
from dockermachine_osc import errors, store
from tests import docker_machine
from tests.unit import fuzz

_KEYS = (
    *('ConfigVersion', 'Driver', 'DriverName', 'HostOptions'),
    *('AuthOptions', 'SSHKeyPath', 'SSHPort', 'Name'),
)
SERVER = '0' * 8 + '-0000-4000-8000-' + '0' * 12


class TreeTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        home = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.tree = docker_machine.Tree(home / 'machine')
        self.root = self.tree.root

    def one(self, name='web1'):
        (entry,) = files.read(self.root, [name])
        return entry

    def change(self, name='web1', **fields):
        """Change config.json at the places named, as in Driver__SSHPort."""
        path = self.root / 'machines' / name / 'config.json'
        document = json.loads(path.read_text())
        for place, value in fields.items():
            *parts, last = place.split('__')
            part = document
            for key in parts:
                part = part[key]
            part[last] = value
        self.tree.configure(name, document)


class ReadTest(TreeTestCase):
    def test_openstack(self):
        self.tree.add(
            'web1',
            'openstack',
            b'key',
            MachineId=SERVER,
            IPAddress='172.24.4.7',
            SSHUser='debian',
            SSHPort=2222,
            AuthUrl='https://cloud.example/v3',
            KeyPairName='web1-' + 'a' * 64,
            FloatingIpPool='public',
        )
        self.change(HostOptions__AuthOptions__ServerCertSANs=['a.example'])
        entry = self.one()
        self.assertEqual('', entry.problem)
        self.assertEqual(
            ('openstack', SERVER), (entry.driver, entry.server_id)
        )
        self.assertEqual('172.24.4.7', entry.address)
        self.assertEqual(('debian', 2222), (entry.ssh_user, entry.ssh_port))
        self.assertEqual(2376, entry.engine_port)
        self.assertEqual(('a.example',), entry.tls_sans)
        self.assertEqual('web1-' + 'a' * 64, entry.key_pair)
        self.assertTrue(entry.floating_ip)
        self.assertEqual(b'key', entry.read_ssh_key())
        found = entry.read_certificates()
        self.assertEqual(
            {store.CA, store.CERT, store.KEY, store.CA_KEY}, set(found)
        )
        self.assertNotIn('swordfish', repr(entry))

    def test_generic(self):
        self.tree.add('db', 'generic', IPAddress='10.0.0.7', EnginePort=2377)
        entry = self.one('db')
        self.assertEqual(('', 2377), (entry.problem, entry.engine_port))
        self.assertIsNone(entry.key_file)
        self.assertIsNone(entry.read_ssh_key())
        self.assertFalse(entry.floating_ip)

    def test_key_pair_of_the_user_is_not_one_that_was_made(self):
        self.tree.add(
            'web1', 'openstack', KeyPairName='mine', ExistingKey=True
        )
        self.assertEqual('', self.one().key_pair)

    def test_folder_that_was_moved(self):
        """Its paths are absolute: of another home folder, or of Windows."""
        self.tree.add('web1', 'generic', b'key')
        for path in (
            '/home/alice/.docker/machine/machines/web1/id_rsa',
            r'C:\Users\alice\.docker\machine\machines\web1\id_rsa',
        ):
            self.change(Driver__SSHKeyPath=path)
            self.assertEqual(b'key', self.one().read_ssh_key())

    def test_all_sorted_and_only_folders(self):
        for name in ('b', 'a', '.hidden'):
            self.tree.add(name, 'generic')
        (self.root / 'machines/note.txt').write_text('x')
        self.assertEqual(['a', 'b'], [e.name for e in files.read(self.root)])

    def test_unknown_name(self):
        self.tree.add('web1', 'generic')
        error = self.assertRaises(errors.NotFound, self.one, 'web2')
        self.assertIn('web2', str(error))
        self.assertIn('There are: web1', str(error))

    def test_no_folder(self):
        error = self.assertRaises(
            errors.InvalidRequest, files.read, self.root / 'nowhere'
        )
        self.assertIn('--path', error.hint)

    def test_default_root(self):
        use = self.useFixture
        use(fixtures.EnvironmentVariable('HOME', '/home/alice'))
        use(fixtures.EnvironmentVariable('MACHINE_STORAGE_PATH'))
        expected = pathlib.Path('/home/alice/.docker/machine')
        self.assertEqual(expected, files.default_root())
        use(fixtures.EnvironmentVariable('MACHINE_STORAGE_PATH', '/srv/dm'))
        self.assertEqual(pathlib.Path('/srv/dm'), files.default_root())


class HostileTest(TreeTestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tree.add('web1', 'openstack', b'key')
        self.config = self.folder / 'config.json'

    def assertProblem(self, words, hint=''):
        entry = self.one()
        self.assertIn(words, entry.problem)
        self.assertIn(hint, entry.hint)
        self.assertTrue(entry.problem.isprintable())

    def test_other_drivers(self):
        self.change(DriverName='virtualbox')
        self.assertProblem("machines of driver 'virtualbox' are not")
        self.assertEqual('virtualbox', self.one().driver)
        self.change(DriverName='x\x1b[2J')
        self.assertProblem('DriverName in its config.json')

    def test_other_versions(self):
        for version in (0, 1, 2):
            self.change(ConfigVersion=version)
            self.assertProblem(f'of version {version}', 'rewrites it')
        self.change(ConfigVersion=4)
        self.assertProblem('which is new')
        self.config.write_text('{"DriverName": "openstack"}')
        self.assertProblem('of version 0')

    def test_wrong_types(self):
        before = self.config.read_bytes()
        for place, value in {
            'ConfigVersion': True,
            'ConfigVersion ': '3',
            'Driver': [],
            'DriverName': {},
            'HostOptions': 'x',
            'HostOptions__AuthOptions': 1,
            'HostOptions__AuthOptions__ServerCertSANs': ['a', 2],
            'HostOptions__AuthOptions__ServerCertSANs ': {'a': 1},
            'Driver__SSHPort': '22',
            'Driver__SSHPort ': -1,
            'Driver__SSHPort  ': 1 << 70,
            'Driver__EnginePort': 2376.5,
            'Driver__SSHUser': '-oProxyCommand=x',
            'Driver__SSHKeyPath': 7,
            'Driver__IPAddress': 'x' * 2000,
            'Driver__MachineId': '\x1b]0;x\x07',
            'Driver__KeyPairName': ['x'],
            'Driver__ExistingKey': 'no',
        }.items():
            self.config.write_bytes(before)
            self.change(**{place.strip(): value})
            self.assertNotEqual('', self.one().problem, place)
            self.assertNotIn('\x1b', self.one().problem)

    def test_no_json(self):
        for text in (b'', b'{', b'[1]', b'\xff\xfe', b'[' * 100_000, b'null'):
            self.config.write_bytes(text)
            self.assertProblem('config.json is not')

    def test_names_that_do_not_fit(self):
        self.change(Name='web2')
        self.assertProblem('that of another machine')
        self.change(Name='web1', Driver__MachineName='../web1')
        self.assertProblem('that of another machine')

    def test_paths_out_of_the_folder(self):
        for path in (
            '/etc/shadow',
            '/root/.ssh/id_rsa',
            'id_rsa',
            str(self.folder / '..' / 'web2' / 'id_rsa'),
            str(self.folder / '..'),
            str(self.folder) + '/',
            f'{self.folder}/.hidden',
        ):
            self.change(Driver__SSHKeyPath=path)
            self.assertProblem('SSHKeyPath in its config.json leads out')

    def test_store_paths_are_not_followed(self):
        other = self.root.parent / 'other'
        other.mkdir()
        for name in ('ca.pem', 'cert.pem', 'key.pem', 'ca-key.pem'):
            (other / name).write_text('other')
        self.change(
            Driver__StorePath=str(other),
            HostOptions__AuthOptions__StorePath=str(other),
            HostOptions__AuthOptions__CaPrivateKeyPath=f'{other}/ca-key.pem',
        )
        for content in self.one().read_certificates().values():
            self.assertNotEqual(b'other', content)

    def test_names_of_folders(self):
        for name in ('a\nb', '-rf', 'a b', 'x' * 129):
            (self.root / 'machines' / name).mkdir()
        for entry in files.read(self.root):
            if entry.name != 'web1':
                self.assertIn('none that Docker Machine', entry.problem)
                self.assertTrue(entry.name.isprintable())

    def test_links(self):
        target = self.root.parent / 'config.json'
        self.config.rename(target)
        self.config.symlink_to(target)
        self.assertProblem('is a symbolic link')
        self.config.unlink()
        os.mkfifo(self.config)
        self.assertProblem('is no file')
        moved = self.root.parent / 'web1'
        self.folder.rename(moved)
        self.folder.symlink_to(moved)
        self.assertProblem('its folder is a symbolic link')

    def test_links_to_secrets(self):
        key = self.folder / 'key.pem'
        key.unlink()
        key.symlink_to('/etc/hostname')
        error = self.assertRaises(
            errors.StoreFailure, self.one().read_certificates
        )
        self.assertIn('symbolic link', str(error))

    def test_huge(self):
        with self.config.open('wb') as stream:
            stream.truncate(1 << 40)
        self.assertProblem('has more than')
        key = self.folder / 'id_rsa'
        with key.open('wb') as stream:
            stream.truncate(1 << 40)
        self.config.unlink()
        self.tree.configure(
            'web1', docker_machine.config(self.root, 'web1', 'openstack', {})
        )
        self.assertRaises(errors.StoreFailure, self.one().read_ssh_key)

    def test_missing(self):
        self.config.unlink()
        self.assertProblem('cannot be read: No such file')

    def test_open_to_others(self):
        for name in ('key.pem', 'id_rsa'):
            path = self.folder / name
            path.chmod(0o640)
            entry = self.one()
            error = self.assertRaises(
                errors.StoreFailure,
                entry.read_ssh_key
                if name == 'id_rsa'
                else entry.read_certificates,
            )
            self.assertIn(f'chmod 600 {path}', error.hint)
            path.chmod(0o600)
        self.folder.chmod(0o777)
        self.assertProblem('can be written by other users', 'chmod o-w')

    def test_another_users(self):
        """Whoever runs this: the files are not theirs any more."""
        self.useFixture(
            fixtures.MonkeyPatch('os.geteuid', lambda: os.getuid() + 1)
        )
        error = self.assertRaises(errors.StoreFailure, files.read, self.root)
        self.assertIn('belongs to another user', str(error))

    @fuzz.tries(200)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(_KEYS),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        )
    )
    def test_never_crashes(self, document):
        if isinstance(document, dict):
            document = {'ConfigVersion': 3, 'DriverName': 'generic'} | document
        self.tree.configure('web1', document)
        self.assertEqual('web1', self.one().name)
