# SPDX-License-Identifier: Apache-2.0
"""Options of an engine: brought by create and adopt, changed by set."""

import base64
import io
import tarfile

import fixtures
from oslotest import base

from dockermachine_osc import engine, errors, host, pki, store
from dockermachine_osc.machines.setting import Changes
from tests.unit import workbench
from tests.unit.machines import adopting

Options = engine.EngineOptions
SECRET = Options(
    labels={'a': 'b'},
    env={'TOKEN': 's3cret'},
    http_proxy='http://u:s3cret@proxy:3128',
    no_proxy='localhost',
)


def contents(parcel):
    """Give what a host is handed, by name."""
    with tarfile.open(fileobj=io.BytesIO(parcel[1])) as archive:
        return {
            m.name: archive.extractfile(m).read() for m in archive.getmembers()
        }


class TestChanges(base.BaseTestCase):
    old = Options(
        labels={'a': '1', 'b': '2'},
        env={'A': '1'},
        insecure_registries=('r1', 'r2'),
        registry_mirrors=('https://m1', 'https://m2'),
        storage_driver='overlay2',
        opts=('dns=192.0.2.1', 'debug', 'dns=192.0.2.2'),
        http_proxy='http://p1',
        no_proxy='localhost',
        registry_cas={'r1': b'1'},
    )

    def applied(self, given=None, **gone):
        return Changes(given or Options(), **gone).applied(self.old)

    def test_nothing(self):
        self.assertEqual(self.old, self.applied())

    def test_added(self):
        found = self.applied(
            Options(
                labels={'b': '3', 'c': '4'},
                env={'B': '2'},
                insecure_registries=('r2', 'r3'),
                registry_mirrors=('https://m3',),
                opts=('dns=192.0.2.3',),
                https_proxy='http://p2',
                registry_cas={'r2': b'2'},
            )
        )
        self.assertEqual({'a': '1', 'b': '3', 'c': '4'}, found.labels)
        self.assertEqual({'A': '1', 'B': '2'}, found.env)
        self.assertEqual(('r1', 'r2', 'r3'), found.insecure_registries)
        mirrors = ('https://m1', 'https://m2', 'https://m3')
        self.assertEqual(mirrors, found.registry_mirrors)
        self.assertEqual(('debug', 'dns=192.0.2.3'), found.opts)
        self.assertEqual('overlay2', found.storage_driver)
        self.assertEqual('http://p1', found.http_proxy)
        self.assertEqual('http://p2', found.https_proxy)
        self.assertEqual({'r1': b'1', 'r2': b'2'}, found.registry_cas)

    def test_taken_away(self):
        found = self.applied(
            labels=frozenset('a'),
            env=frozenset('A'),
            insecure_registries=frozenset(['r1', 'never']),
            registry_mirrors=frozenset(['https://m1']),
            storage_driver=True,
            opts=frozenset(['dns']),
            proxies=True,
            registry_cas=frozenset(['r1']),
        )
        expected = Options(
            labels={'b': '2'},
            insecure_registries=('r2',),
            registry_mirrors=('https://m2',),
            opts=('debug',),
        )
        self.assertEqual(expected, found)

    def test_replaced(self):
        found = self.applied(
            Options(http_proxy='http://p2', storage_driver='vfs'),
            proxies=True,
            storage_driver=True,
        )
        self.assertEqual(('http://p2', ''), (found.http_proxy, found.no_proxy))
        self.assertEqual('vfs', found.storage_driver)

    def test_contradiction_with_what_is_there(self):
        changes = Changes(Options(env={'http_proxy': 'x'}))
        error = self.assertRaises(
            errors.InvalidRequest, changes.applied, self.old
        )
        self.assertIn('contradicts --http-proxy', str(error))


class TestCreate(workbench.MachinesTestCase):
    def test_handed_over_and_nowhere_else(self):
        self.create(engine_options=SECRET, post_script=b'#!/bin/sh\ns3cret')
        (parcel,) = self.guest.parcels
        found = contents(parcel)
        self.assertEqual(SECRET.render().encode(), found['options'])
        self.assertEqual(b'#!/bin/sh\ns3cret', found['post-script'])
        self.assertNotIn('s3cret', parcel[0])
        (body,) = self.fake.booted
        user_data = base64.b64decode(body['user_data']).decode()
        self.assertIn('defer=yes', user_data)
        self.assertNotIn('s3cret', user_data + repr(self.fake.holds()))
        # The host has them now.
        self.assertFalse(self.files.machine('web1').has(store.OPTIONS))

    def test_nothing_said_is_nothing_handed_over(self):
        self.create()
        found = contents(self.guest.parcels[0])
        self.assertNotIn('options', found)
        self.assertNotIn('post-script', found)

    def test_ca_of_a_registry_is_checked_first(self):
        key = pki.Authority.create('x').key
        for pem, words in ((b'nothing', 'no certificate'), (key, 'private')):
            options = Options(registry_cas={'r:5000': pem})
            self.assertRefuses(
                [words, "--registry-ca 'r:5000'"],
                lambda options=options: self.create(engine_options=options),
            )

    def test_two_places_for_the_data(self):
        options = Options(opts=('data-root=/mnt/data',))
        self.assertRefuses(
            '--data-volume contradicts --engine-opt data-root',
            lambda: self.create(engine_options=options, data_volume=10),
        )

    def test_provision_brings_what_never_arrived(self):
        self.guest.failures['run'] = errors.HostFailure('Broken')
        self.assertRaises(
            errors.HostFailure,
            lambda: self.create(engine_options=SECRET, keep_on_failure=True),
        )
        self.guest.failures.clear()
        self.machines.provision('web1', self.told, 60)
        found = contents(self.guest.parcels[-1])
        self.assertEqual(SECRET.render().encode(), found['options'])
        self.assertFalse(self.files.machine('web1').has(store.OPTIONS))


class TestSet(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.create()
        self.guest.parcels.clear()
        self.play(SECRET, 'fact containers 2', 'fact live-restore true')
        self.old = SECRET

    def play(self, options, *facts):
        lines = [f'option {x}' for x in options.render().splitlines()]
        self.guest.lines = [*facts, *lines, 'ready told']

    def set(self, given=None, **gone):
        changes = Changes(given or Options(), **gone)
        return self.machines.set_options('web1', changes, self.told, 60)

    def handed_over(self):
        found = contents(self.guest.parcels[-1])['options'].decode()
        return Options.parse(found.splitlines())

    def test_changed(self):
        self.assertTrue(self.set(Options(labels={'c': 'd'})))
        self.assertEqual({'a': 'b', 'c': 'd'}, self.handed_over().labels)
        self.assertEqual(SECRET.env, self.handed_over().env)
        self.assertIn('configure', self.guest.parcels[-1][0])
        self.assertEqual(
            'web1: restart the engine once; 2 running container(s) run on: '
            'live-restore is set',
            self.told.notes[-1],
        )

    def test_nothing_to_change(self):
        self.assertFalse(self.set(Options(labels={'a': 'b'})))
        self.assertFalse(self.set(labels=frozenset(['never'])))
        self.assertTrue(
            all('configure' not in p[0] for p in self.guest.parcels)
        )

    def test_no_restart_for_a_ca(self):
        self.set(Options(registry_cas={'r': b'x'}))
        self.assertIn('need not restart', self.told.notes[-1])

    def test_no_answer_afterwards(self):
        """The way back has time of its own."""

        def wait_ready(*arguments):
            self.clock.sleep(60)
            raise engine.EngineTimeout('Nobody')

        path = 'dockermachine_osc.engine.wait_ready'
        self.useFixture(fixtures.MonkeyPatch(path, wait_ready))
        error = self.assertRaises(
            errors.EngineFailure, self.set, Options(opts=('debug',))
        )
        self.assertIn('former options again', str(error))
        self.assertEqual(SECRET, self.handed_over())
        self.assertIn('configure "$d" 115', self.guest.parcels[-1][0])

    def test_refused_by_the_engine(self):
        run = self.guest.run

        def refuse(command, stdin=b'', on_line=print, timeout=0):
            if 'configure' not in command:
                return run(command, stdin, on_line, timeout)
            said = 'failed the engine refuses its options: unknown flag'
            return host.Result(engine.EXIT_CONFLICT, said, '')

        self.guest.run = refuse
        error = self.assertRaises(
            engine.SetupFailed, self.set, Options(opts=('nonsense',))
        )
        self.assertIn('unknown flag', str(error))

    def test_off(self):
        (server,) = self.fake.things['servers'].values()
        server['status'] = 'SHUTOFF'
        error = self.assertRaises(
            errors.InvalidRequest, self.set, Options(opts=('debug',))
        )
        self.assertIn('docker machine start web1', str(error))
        self.assertEqual([], self.guest.parcels)

    def test_host_that_tells_nonsense(self):
        self.guest.lines = ['option exec /bin/x', 'ready told']
        error = self.assertRaises(
            errors.EngineFailure, self.set, Options(opts=('debug',))
        )
        self.assertIn('damaged', str(error))


class TestAdopt(adopting.AdoptingTestCase):
    def setUp(self):
        super().setUp()
        ca = pki.Authority.create('registry').certificate
        self.given = {
            'engine_options': Options(
                labels={'a': 'b'}, registry_cas={'r': ca}
            ),
            'post_script': b'#!/bin/sh\n',
        }

    def test_proposed(self):
        changes = self.propose(**self.given).changes
        self.assertIn("set the engine's options: label", changes)
        self.assertIn(
            'trust the CA of registry r (/etc/docker/certs.d)', changes
        )
        self.assertIn('run the post-script as root', '\n'.join(changes))

    def test_again(self):
        self.adopt(**self.given)
        self.assertEqual((), self.propose(**self.given).changes)
        self.fake.log.clear()
        self.host.lines['look'].append('fact options differ')
        self.assertRefused('docker machine set web1', **self.given)
