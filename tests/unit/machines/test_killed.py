# SPDX-License-Identifier: Apache-2.0
"""Killed at every change to the files of the workstation, one after another.

Whatever stands there afterwards, the next command copes with it.
"""

from pathlib import Path

import fixtures

from dockermachine_osc import chains, errors, pki, store, together
from tests.unit import dying, workbench
from tests.unit.machines import test_upkeep

USERS = b'Host mine\n  User me\n'


class KilledTestCase(workbench.MachinesTestCase):
    """Has a machine that nothing is done to, and a user's ssh_config."""

    # Many hundred times these files are written anew, and not to last.
    root = '/dev/shm' if Path('/dev/shm').is_dir() else None

    def setUp(self):
        super().setUp()
        self.users_ssh.path = self.folder / 'home' / '.ssh' / 'config'
        self.users_ssh.path.parent.mkdir(parents=True)
        self.users_ssh.path.write_bytes(USERS)
        self.create('other')
        self.others = self.contents('other')

    def contents(self, name):
        path = self.files.machine(name).path
        return {p.name: p.read_bytes() for p in path.iterdir()}

    def deaths(self, work, at_least):
        """Yield after each death, and be sure that there were some."""
        deaths = dying.Deaths(self.folder, self.fake)
        for number in deaths.of(work):
            # So that what was left is of a process long dead.
            with fixtures.MonkeyPatch('dockermachine_osc.files._STALE', -1):
                yield number
            self.assertEqual(self.others, self.contents('other'), number)
        self.assertGreater(deaths.count, at_least)

    def assertNothingLeft(self, number):
        """Assert that only the other machine is there, and its context."""
        self.assertEqual(
            {'other'},
            {s['name'] for s in self.fake.things['servers'].values()},
            number,
        )
        left = [
            path
            for path in self.local()
            if '/machines/other/' not in path
            and not path.startswith('docker/contexts/')
            and not path.endswith('.lock')
        ]
        self.assertEqual(['home/.ssh/config'], left, number)
        self.assertEqual(USERS, self.users_ssh.path.read_bytes(), number)
        metas = list(self.folder.glob('docker/contexts/meta/*'))
        keys = list(self.folder.glob('docker/contexts/tls/*'))
        self.assertEqual((1, 1), (len(metas), len(keys)), number)


class TestCreate(KilledTestCase):
    def test_tls(self):
        for number in self.deaths(lambda: self.create('web1'), 30):
            self.delete()
            self.assertNothingLeft(number)

    def test_ssh(self):
        def work():
            self.create('web1', access='ssh')

        for number in self.deaths(work, 20):
            self.delete()
            self.assertNothingLeft(number)


class TestDelete(KilledTestCase):
    def test_tls(self):
        self.create('web1')
        for number in self.deaths(self.delete, 10):
            self.delete()
            self.assertNothingLeft(number)

    def test_ssh(self):
        self.create('web1', access='ssh')
        for number in self.deaths(self.delete, 10):
            self.delete()
            self.assertNothingLeft(number)


class TestRename(KilledTestCase):
    def setUp(self):
        super().setUp()
        self.create('web1', access='ssh')
        self.before = self.contents('web1')
        self.before.pop(store.RECORD)

    def test_rename(self):
        def work():
            self.machines.rename('web1', 'db')

        (server,) = [
            s['id']
            for s in self.fake.things['servers'].values()
            if s['name'] == 'web1'
        ]
        for number in self.deaths(work, 5):
            name = self.machines.show(server).server.name
            after = self.contents(name)
            after.pop(store.RECORD)
            self.assertEqual(self.before, after, number)
            self.machines.rename(server, 'db')
            self.assertEqual(['db', 'other'], self.files.names())
            config = (self.files.root / 'ssh_config').read_text()
            self.assertIn('Host db.', config)
            self.delete('db')
            self.assertNothingLeft(number)


class TestContext(KilledTestCase):
    def test_create_another(self):
        self.create('web1')

        def work():
            self.machines.create_context('web1', 'second')

        for number in self.deaths(work, 5):
            self.machines.create_context('web1', 'third')
            self.delete()
            self.assertNothingLeft(number)

    def test_delete(self):
        self.create('web1')
        for number in self.deaths(
            lambda: self.machines.delete_context('web1'), 5
        ):
            self.machines.create_context('web1', '')
            self.delete()
            self.assertNothingLeft(number)


class TestRenew(test_upkeep.UpkeepTestCase):
    root = KilledTestCase.root

    def assertTogether(self):
        """Assert that CA, certificate and both keys are of one piece."""
        ca = self.store.read(store.CA)
        pki.Authority.load(ca, self.store.read(store.CA_KEY))
        chains.check(
            ca, self.store.read(store.CERT), self.store.read(store.KEY)
        )

    def killed(self, role):
        def work():
            self.machines.renew('web1', frozenset([role]), self.told, 60)

        deaths = dying.Deaths(self.folder, self.fake)
        for number in deaths.of(work):
            yield number
            self.assertEqual([], list(self.store.path.glob('.*')), number)
        self.assertGreater(deaths.count, 10)

    def assertWorks(self, number):
        """Assert that docker and the next command have what they need."""
        if not together.is_unfinished(self.store.path):
            self.assertTogether()
        self.assertIsNotNone(self.machines.show('web1').folder, number)
        self.assertTogether()
        (keys,) = self.folder.glob('docker/contexts/tls/*/docker')
        for name in (store.CA, store.CERT, store.KEY):
            self.assertEqual(
                self.store.read(name), (keys / name).read_bytes(), number
            )

    def test_client(self):
        ca = self.store.read(store.CA)
        for number in self.killed('client'):
            self.assertWorks(number)
            self.assertEqual(ca, self.store.read(store.CA), number)

    def test_ca(self):
        for number in self.killed('ca'):
            self.assertWorks(number)
            # The engine may have either CA: this gives it ours.
            self.engine_failure = errors.EngineFailure('another CA')
            self.machines.provision('web1', self.told, 60)
            self.engine_failure = None
            self.assertEqual(
                self.store.read(store.CA), self.handed_over('ca.pem'), number
            )
