# SPDX-License-Identifier: Apache-2.0
"""File systems that are full or read-only, and other users' files.

They are real, which takes root; the cloud need not be.
"""

from __future__ import annotations

import os
import pathlib

import fixtures

from dockermachine_osc import chains, errors, home, machines, store
from dockermachine_osc.contexts import Contexts
from tests.functional import apart
from tests.unit import workbench
from tests.unit.machines import test_upkeep

USERS = b'Host mine\n  User me\n'
KILO = 1024
#: More than a machine needs.
ENOUGH = 'size=1m,nr_inodes=1000'


class LocalFilesTestCase(workbench.MachinesTestCase):
    """Has a user's own ~/.ssh/config below the folder of the test."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.chmod(0o711)
        self.folder.parent.chmod(0o711)
        self.place = self.folder / 'store'
        self.users_ssh.path = self.folder / 'ssh' / 'config'
        self.before = self.fake.holds()

    def assertFails(self, words, call, *args):
        error = self.assertRaises(errors.MachineError, call, *args)
        for word in words:
            self.assertIn(word, str(error))

    def sizes(self):
        """Give ever larger file systems: so many bytes, or so many files."""
        yield from ((f'{4 * pages}k', 1000) for pages in range(1, 30))
        yield from (('1m', inodes) for inodes in range(2, 36))


class TestFull(LocalFilesTestCase):
    def test_create(self) -> None:
        refused = [size for size in self.sizes() if not self.creates_in(*size)]
        self.assertGreater(len(refused), 15)
        self.assertLess(len(refused), 50)

    def creates_in(self, size, inodes):
        """Tell whether a machine has room; if not, see what is said."""
        refused = self.folder / 'refused'

        def work() -> None:
            apart.small(self.folder / 'docker', '1m')
            apart.small(self.place, size, inodes)
            try:
                self.create()
            except errors.StoreFailure as error:
                self.assertIn('No space left on device', str(error))
                self.assertIn('Make room', str(error))
                self.assertIn(str(self.place), str(error))
                self.assertHolds(self.before)
                left = [p for p in self.local() if p.endswith('.pem')]
                self.assertEqual([], left)
                apart.resize(self.place, ENOUGH)
                self.create()
                refused.touch()

        apart.run(work)
        fits = not refused.exists()
        refused.unlink(missing_ok=True)
        return fits

    def test_contexts(self) -> None:
        """A machine without a context is one all the same."""

        def work() -> None:
            apart.small(self.folder / 'docker', '20k')
            self.create('one')
            self.create('two')
            self.assertEqual('one', self.machines.get('one').context)
            self.assertEqual('', self.machines.get('two').context)
            said = ' '.join(self.told.warnings)
            self.assertIn(f'two in {self.folder}/docker: No space', said)
            self.assertEqual(
                1, len(list(self.folder.glob('docker/contexts/*/*/meta.json')))
            )
            apart.resize(self.folder / 'docker', ENOUGH)
            self.machines.create_context('two', '')

        apart.run(work)

    def test_ssh_config(self) -> None:
        def work() -> None:
            apart.small(self.users_ssh.path.parent, '4k')
            self.users_ssh.path.write_bytes(USERS)
            self.create(access='ssh')
            said = ' '.join(self.told.warnings)
            self.assertIn('cannot be written (No space left', said)
            self.assertIn('Include "', said)
            self.assertEqual(USERS, self.users_ssh.path.read_bytes())
            self.assertTrue(self.delete())

        apart.run(work)

    def test_delete(self) -> None:
        def work() -> None:
            apart.small(self.place, '1m')
            self.create()
            self.fill(self.place / 'full')
            self.assertTrue(self.delete())
            self.assertHolds(self.before)
            self.assertEqual(['store/full'], self.local())

        apart.run(work)

    def fill(self, path: pathlib.Path) -> None:
        with path.open('wb', buffering=0) as stream:
            try:
                while True:
                    stream.write(b'x' * KILO)
            except OSError:
                pass


class TestFullRenewal(test_upkeep.UpkeepTestCase, LocalFilesTestCase):
    def test_renew(self) -> None:
        """All new or all old, and the next one finishes it."""
        for role in ('ca', 'client'):
            for pages in range(10):
                apart.run(lambda r=role, p=pages: self.renewed(r, p))
        refused = (self.folder / 'refused').read_text()
        self.assertGreater(len(refused), 4)
        self.assertLess(len(refused), 20)

    def renewed(self, role: str, pages: int) -> None:
        self.delete()
        apart.small(self.place, '1m')
        self.create()
        # A page for each file that a machine has, and some.
        apart.resize(self.place, f'size={(8 + pages) * 4}k')
        before = self.fingerprint(store.CERT)
        try:
            self.machines.renew('web1', frozenset([role]), self.told, 60)
        except errors.StoreFailure as error:
            self.assertIn('No space left on device', str(error))
            with (self.folder / 'refused').open('a') as stream:
                stream.write('x')
            apart.resize(self.place, ENOUGH)
            self.machines.show('web1')
            self.assertWorks()
            self.machines.renew('web1', frozenset([role]), self.told, 60)
        self.assertNotEqual(before, self.fingerprint(store.CERT))
        self.assertWorks()

    def assertWorks(self) -> None:
        names = (store.CA, store.CERT, store.KEY)
        chains.check(*map(self.store.read, names))


class TestReadOnly(LocalFilesTestCase):
    def test_all_that_only_reads(self) -> None:
        def work() -> None:
            apart.small(self.place, '1m')
            self.create()
            whole = store.Store(self.place)
            whole.remember('f' * 64, self.files)
            apart.resize(self.place, 'ro')
            self.assertIsNotNone(self.machines.show('web1').folder)
            self.assertEqual(1, len(self.machines.list()))
            found = machines.local_machine(whole, 'f' * 64, 'here', 'web1')
            self.assertTrue(found.endpoint.url)
            whole.remember('f' * 64, self.files)
            words = 'Read-only file system', home.ROOT_VARIABLE
            self.assertFails(words, self.create, 'web2')
            self.assertFails(words, self.delete)
            self.assertEqual(1, len(self.machines.list()))
            self.elsewhere().delete('web1', 60)
            self.assertHolds(self.before)

        apart.run(work)

    def elsewhere(self) -> machines.Machines:
        """Give the machines as with another folder in the variable."""
        scope = store.Store(self.folder / 'else').scope('u', 'r', 'p')
        return machines.Machines(self.cloud, scope, self.contexts)


class TestOthers(LocalFilesTestCase):
    def scope(self) -> None:
        store.Store(self.place).scope('u', 'r', 'p')

    def test_anothers_folder(self) -> None:
        self.place.mkdir()
        words = 'belongs to another user (id 0)', home.ROOT_VARIABLE
        apart.run(lambda: self.assertFails(words, self.scope), apart.NOBODY)
        os.chown(self.place, apart.NOBODY, apart.NOBODY)
        apart.run(self.scope, apart.NOBODY)
        words = f'belongs to another user (id {apart.NOBODY})', 'sudo'
        self.assertFails(words, self.scope)

    def test_not_to_be_looked_into(self) -> None:
        self.folder.chmod(0o700)
        words = 'Permission denied', home.ROOT_VARIABLE
        apart.run(lambda: self.assertFails(words, self.scope), apart.NOBODY)

    def test_sudo(self) -> None:
        """What it would make in the home of who calls it would be root's."""
        home = self.folder / 'home'
        home.mkdir()
        os.chown(home, apart.NOBODY, apart.NOBODY)
        self.place = home / '.local' / 'share' / 'x'
        self.scope()  # root in a container, whose home is mounted
        self.useFixture(
            fixtures.EnvironmentVariable('SUDO_UID', str(apart.NOBODY))
        )
        words = f'belongs to another user (id {apart.NOBODY})', 'without sudo'
        self.assertFails(words, self.scope)
        self.assertEqual([], list(home.iterdir()))
        self.place = self.folder / 'store'
        self.scope()

    def test_anothers_docker(self) -> None:
        """As with sudo: root's contexts would be in the user's way."""
        docker = self.folder / 'docker'
        docker.mkdir()
        os.chown(docker, apart.NOBODY, apart.NOBODY)
        self.create()
        said = ' '.join(self.told.warnings)
        self.assertIn(f'{docker} belongs to another user', said)
        self.assertEqual([], list(docker.iterdir()))
        self.assertFails(
            ['belongs to another user', 'DOCKER_CONFIG'],
            Contexts(docker).write,
            *('web1', 'tcp://192.0.2.1:2376', '', 'id'),
        )

    def test_links_in_the_way(self) -> None:
        """What stands where we write is replaced, never written through."""
        victim = self.folder / 'victim'
        victim.write_text('precious')
        self.create()
        folder = self.files.machine('web1')
        for name in (store.RECORD, store.KEY, store.KNOWN_HOSTS):
            (folder.path / name).unlink()
            (folder.path / name).symlink_to(victim)
            folder.write(name, b'ours')
        self.assertTrue(self.delete())
        self.assertEqual('precious', victim.read_text())
