# SPDX-License-Identifier: Apache-2.0
"""Certificates, contexts, provision and check of a machine that is there."""

import io
import tarfile
import time

import fixtures

from dockermachine_osc import engine, errors, host, pki, store
from dockermachine_osc.machines import errand
from tests.unit import sshserver, workbench


class UpkeepTestCase(workbench.MachinesTestCase):
    """Has a machine whose engine shows the certificate it was given last."""

    def setUp(self):
        super().setUp()
        self.machine = self.create()
        self.store = self.files.machine('web1')
        self.engine_failure = None
        self.silent = ()
        for name, new in {
            'ask': self.ask,
            'shown_certificate': self.shown_certificate,
        }.items():
            path = f'dockermachine_osc.engine.{name}'
            self.useFixture(fixtures.MonkeyPatch(path, new))

    def ask(self, address, port, folder, timeout):
        if self.engine_failure:
            raise self.engine_failure
        if address in self.silent:
            raise engine.EngineTimeout('No answer')
        return workbench.FACTS

    def shown_certificate(self, address, port, folder, timeout):
        if self.engine_failure:
            raise self.engine_failure
        return self.handed_over('server.pem')

    def handed_over(self, name):
        _, stdin = self.guest.parcels[-1]
        with tarfile.open(fileobj=io.BytesIO(stdin)) as archive:
            return archive.extractfile(name).read()

    def fingerprint(self, name):
        return pki.facts(self.store.read(name)).fingerprint

    def record(self):
        return self.machines.get('web1').server.record

    def metadata(self):
        (server,) = self.fake.things['servers'].values()
        return server['metadata']


class TestCertificates(UpkeepTestCase):
    def renew(self, *roles):
        self.machines.renew('web1', frozenset(roles), self.told, 60)

    def test_shown(self):
        shown = self.machines.certificates('web1', 5)
        self.assertEqual(['ca', 'client', 'server'], [c.role for c in shown])
        facts = self.record()
        for certificate in shown:
            expected = getattr(facts, f'{certificate.role}_fingerprint')
            self.assertEqual(expected, certificate.facts.fingerprint)

    def test_shown_without_the_engine(self):
        self.engine_failure = engine.EngineTimeout('Nobody')
        shown = self.machines.certificates('web1', 5)
        self.assertEqual(['ca', 'client'], [c.role for c in shown])

    def test_client(self):
        ca, client = self.fingerprint(store.CA), self.fingerprint(store.CERT)
        self.renew('client')
        self.assertEqual(ca, self.fingerprint(store.CA))
        self.assertNotEqual(client, self.fingerprint(store.CERT))
        self.assertEqual(
            self.fingerprint(store.CERT), self.record().client_fingerprint
        )
        # The engine was left alone.
        self.assertEqual(1, len(self.guest.parcels))

    def test_client_reaches_the_docker_context(self):
        self.renew('client')
        key = self.store.read(store.KEY)
        kept = [
            p.read_bytes() for p in self.contexts.config_dir.rglob('*.pem')
        ]
        self.assertIn(key, kept)

    def test_server(self):
        before = self.record().server_fingerprint
        client = self.fingerprint(store.CERT)
        self.renew('server')
        after = pki.facts(self.handed_over('server.pem'))
        self.assertNotEqual(before, after.fingerprint)
        self.assertEqual(after.fingerprint, self.record().server_fingerprint)
        self.assertEqual(client, self.fingerprint(store.CERT))
        self.assertIn(self.record().address, after.names)

    def test_ca_renews_all(self):
        names = (store.CA, store.CERT)
        before = [self.fingerprint(n) for n in names]
        self.renew('ca')
        for old, name in zip(before, names, strict=True):
            self.assertNotEqual(old, self.fingerprint(name))
        self.assertEqual(self.store.read(store.CA), self.handed_over('ca.pem'))
        self.assertEqual(
            self.fingerprint(store.CA), self.record().ca_fingerprint
        )

    def test_further_names_are_kept(self):
        self.create('web2', tls_sans=('web2.example.org', '192.0.2.77'))
        self.machines.renew('web2', frozenset({'server'}), self.told, 60)
        names = pki.facts(self.handed_over('server.pem')).names
        self.assertIn('web2.example.org', names)
        self.assertIn('192.0.2.77', names)

    def test_engine_does_not_take_it(self):
        """The files that were good stay, for another try."""
        before = {p.name: p.read_bytes() for p in self.store.path.iterdir()}
        self.guest.failures['wait_ready'] = engine.EngineUntrusted('Other CA')
        self.assertRaises(errors.EngineFailure, self.renew, 'ca')
        after = {p.name: p.read_bytes() for p in self.store.path.iterdir()}
        self.assertEqual(before, after)

    def test_host_does_not_let_us_in(self):
        before = self.metadata().copy()
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertRaises(errors.HostFailure, self.renew, 'server')
        self.assertEqual(before, self.metadata())

    def test_key_of_the_ca_is_elsewhere(self):
        (self.store.path / store.CA_KEY).unlink()
        self.assertRaises(errors.StoreFailure, self.renew, 'client')

    def test_not_from_another_workstation(self):
        self.foreign_machine('web2')
        error = self.assertRaises(
            errors.StoreFailure,
            self.machines.renew,
            'web2',
            frozenset({'client'}),
            self.told,
            60,
        )
        self.assertIn('not on this workstation', str(error))

    def test_pinned_key_that_is_damaged(self):
        """No other key is trusted in its place."""
        (self.store.path / store.KNOWN_HOSTS).write_text('garbage')
        logins = len(self.guest.logins)
        error = self.assertRaises(errors.StoreFailure, self.renew, 'server')
        self.assertIn('known_hosts is damaged', str(error))
        self.assertEqual(logins, len(self.guest.logins))

    def test_pinned_key_and_not_that_of_the_metadata(self):
        self.metadata()['docker-machine:host-key'] = 'ssh-ed25519 AAAA'
        self.renew('server')
        *_, keys = self.guest.logins[-1]
        self.assertEqual((workbench.ED25519,), keys)


class TestContext(UpkeepTestCase):
    def test_another_name(self):
        self.machines.create_context('web1', 'other')
        self.assertFalse(self.contexts.exists('web1'))
        self.assertEqual(self.record().id, self.contexts.owner('other'))
        self.assertEqual('other', self.machines.get('web1').context)

    def test_deleted_and_made_again(self):
        self.assertTrue(self.machines.delete_context('web1'))
        self.assertFalse(self.contexts.exists('web1'))
        self.assertFalse(self.machines.delete_context('web1'))
        self.assertEqual('web1', self.machines.create_context('web1', ''))
        self.assertEqual(self.record().id, self.contexts.owner('web1'))

    def test_somebody_elses(self):
        self.contexts.write('other', 'tcp://192.0.2.9:2376', '', 'x')
        self.assertRaises(
            errors.StoreFailure, self.machines.create_context, 'web1', 'other'
        )
        self.assertEqual('x', self.contexts.owner('other'))
        self.assertTrue(self.contexts.exists('web1'))

    def test_no_name_of_a_context(self):
        for name in ('default', 'a b', '-x'):
            self.assertRaises(
                errors.InvalidRequest,
                self.machines.create_context,
                'web1',
                name,
            )


class TestProvision(UpkeepTestCase):
    def provision(self, name='web1'):
        return self.machines.provision(name, self.told, 60)

    def test_well(self):
        self.assertFalse(self.provision())
        self.assertEqual(1, len(self.guest.parcels))

    def test_engine_is_gone(self):
        self.engine_failure = engine.EngineRefused('None listens')
        self.assertTrue(self.provision())
        self.assertEqual(2, len(self.guest.parcels))
        self.assertEqual('ready', self.record().state)

    def test_host_fails(self):
        self.engine_failure = engine.EngineRefused('None listens')
        self.guest.status = engine.EXIT_INSTALL
        self.guest.lines = ['step installing docker.io', 'failed disk full']
        error = self.assertRaises(errors.EngineFailure, self.provision)
        self.assertIn("failed at 'Installing docker.io' after 0", str(error))
        self.assertIn('disk full', str(error))
        self.assertIn('docker machine provision web1', error.hint)

    def test_pinned_key_stays(self):
        """Who rebuilds the server and forgets its user gets nothing."""
        del self.metadata()['docker-machine:ssh-user']
        other = sshserver.new_key()[1].get_base64()
        self.fake.console = workbench.CONSOLE.replace(
            workbench.ED25519, f'ssh-ed25519 {other}'
        )
        self.engine_failure = engine.EngineRefused('None listens')
        self.assertTrue(self.provision())
        _, _, login, keys = self.guest.logins[-1]
        self.assertEqual('debian', login.user)
        self.assertEqual((workbench.ED25519,), keys)

    def test_another_address(self):
        (server,) = self.fake.things['servers'].values()
        server['addresses']['net'] = [{'version': 4, 'addr': '10.9.9.9'}]
        self.assertTrue(self.provision())
        names = pki.facts(self.handed_over('server.pem')).names
        self.assertIn('10.9.9.9', names)
        self.assertFalse(self.provision())

    def move(self, *addresses):
        """Give the server's port other addresses, and no floating IP."""
        self.left = self.record().address
        self.fake.things['floatingips'].clear()
        port = self.fake.things['ports'][self.record().port_id]
        port['fixed_ips'] = [{'ip_address': a} for a in addresses]

    def test_address_that_is_gone(self):
        for new, others in (
            ('10.9.9.9', ['2001:db8::9']),
            ('2001:db8::7', []),
            ('2001:db8::8', ['10.9.9.8']),
        ):
            self.move(*others, new)
            self.assertTrue(self.provision())
            self.assertMoved(new)
            self.assertFalse(self.provision())

    def assertMoved(self, address):
        self.assertEqual(address, self.record().address)
        ((_, _, _, keys), *_) = self.guest.logins
        where, _, _, now = self.guest.logins[-1]
        self.assertEqual((address, keys), (where, now))
        names = pki.facts(self.handed_over('server.pem')).names
        self.assertIn(address, names)
        pinned = [f'{a} {workbench.ED25519}\n' for a in (address, self.left)]
        self.assertEqual(''.join(pinned), self.known_hosts())
        self.assertEqual(address, self.store.load()['address'])
        meta = next((self.folder / 'docker').rglob('meta.json')).read_text()
        self.assertIn(address, meta)

    def take_floating(self):
        """Take the floating IP away, and give what it was."""
        (floating,) = self.fake.things['floatingips'].items()
        self.fake.things['floatingips'].clear()
        return floating

    def known_hosts(self):
        return self.store.read(store.KNOWN_HOSTS).decode()

    def test_address_that_comes_back(self):
        """At the other one nobody answers; the old one is good as before."""
        old = self.record().address
        floating = self.take_floating()
        self.engine_failure = engine.EngineTimeout('No answer')
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertRaises(errors.HostFailure, self.provision)
        self.assertEqual(old, self.record().address)
        self.assertIn(f'{old} {workbench.ED25519}\n', self.known_hosts())
        self.fake.things['floatingips'] |= [floating]
        self.engine_failure = None
        self.guest.failures.clear()
        self.assertFalse(self.provision())
        way = errand.known_way(self.record(), self.store)
        self.assertEqual((workbench.ED25519,), way.host_keys)

    def test_address_that_is_not_in_the_record(self):
        old = self.record().address
        del self.metadata()['docker-machine:address']
        self.engine_failure = engine.EngineTimeout('No answer')
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertRaises(errors.HostFailure, self.provision)
        self.assertEqual(f'{old} {workbench.ED25519}\n', self.known_hosts())

    def test_address_that_is_silent(self):
        """The machine was moved to it while it had no floating IP."""
        old = self.record().address
        floating = self.take_floating()
        self.assertTrue(self.provision())
        fixed = self.record().address
        self.fake.things['floatingips'] |= [floating]
        self.assertFalse(self.provision())
        self.play_silence({fixed})
        (broken,) = [x for x in self.machines.check('web1', 1) if x.hint]
        self.assertEqual('route to SSH', broken.name)
        self.assertIn(f'Or does {old} answer?', broken.hint)
        self.assertTrue(self.provision())
        self.assertEqual(old, self.record().address)
        self.assertIn(f'{old} {workbench.ED25519}\n', self.known_hosts())
        self.assertIn(f'address: {old}; {fixed}: no answer', self.told.notes)

    def test_all_addresses_are_silent(self):
        address = self.record().address
        self.play_silence({address, '10.9.9.9'})
        port = self.fake.things['ports'][self.record().port_id]
        port['fixed_ips'] = [{'ip_address': '10.9.9.9'}]
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertRaises(errors.HostFailure, self.provision)
        self.assertEqual(address, self.record().address)

    def play_silence(self, silent):
        """Have SSH and the engine answer at all addresses but these."""

        def probe(address, *arguments):
            return 'no answer' if address in silent else ''

        self.guest.patch('host.probe', probe)
        self.silent = silent

    def test_renew_follows(self):
        self.move('2001:db8::9')
        self.machines.renew('web1', frozenset({'server'}), self.told, 60)
        self.assertMoved('2001:db8::9')

    def test_engine_that_knows_the_new_address(self):
        (floating,) = self.fake.things['floatingips'].values()
        port = self.fake.things['ports'][self.record().port_id]
        self.fake.things['floatingips'].clear()
        self.assertTrue(self.provision())
        fixed = port['fixed_ips'][0]['ip_address']
        self.assertEqual(fixed, self.record().address)
        # The certificate has named both from the beginning.
        self.assertEqual(1, len(self.guest.parcels))
        self.assertIn(floating['floating_ip_address'], self.told.notes[-1])

    def test_half_made(self):
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertRaises(
            errors.HostFailure, self.create, 'web2', keep_on_failure=True
        )
        self.guest.failures.clear()
        self.assertTrue(self.provision('web2'))
        machine = self.machines.get('web2')
        self.assertEqual('running', machine.state)
        self.assertEqual('debian', machine.server.record.ssh_user)
        *_, keys = self.guest.logins[-1]
        self.assertEqual((workbench.ED25519,), keys)

    def test_half_made_with_a_silent_console(self):
        self.test_half_made()
        (self.files.machine('web2').path / store.KNOWN_HOSTS).unlink()
        self.fake.console = ''
        self.engine_failure = engine.EngineRefused('None listens')
        error = self.assertRaises(errors.HostFailure, self.provision, 'web2')
        self.assertIn('console log show', str(error))

    def test_off(self):
        (server,) = self.fake.things['servers'].values()
        server['status'] = 'SHUTOFF'
        error = self.assertRaises(errors.InvalidRequest, self.provision)
        self.assertIn('machine start web1', str(error))


class TestRemembered(UpkeepTestCase):
    """What somebody in the project writes, and what is known here."""

    def test_another_access(self):
        """docker would be led through SSH, and to no pinned key at all."""
        url, local = self.machines.get('web1').url, self.local()
        self.metadata()['docker-machine:access'] = 'ssh'
        shown = self.machines.show('web1')
        self.assertEqual(url, shown.url)
        self.assertIn('access is not tls', shown.server.record.problems[-1])
        self.assertEqual(local, self.local())
        self.machines.renew('web1', frozenset({'client'}), self.told, 60)
        self.assertEqual('tls', self.metadata()['docker-machine:access'])

    def local_contents(self):
        return {p: (self.folder / p).read_bytes() for p in self.local()}

    def test_what_cannot_be_read(self):
        known, local = self.store.load(), self.local_contents()
        for key in ('address', 'ssh-user', 'server-expires'):
            self.metadata()[f'docker-machine:{key}'] = '$(reboot)'
        self.machines.show('web1')
        self.assertEqual(known, self.store.load())
        # Without an address docker would take the engine of this host.
        self.assertEqual(local, self.local_contents())


class TestUpgrade(UpkeepTestCase):
    LINES = (
        'note 2 running container(s) run on',
        'fact package docker.io',
        'fact package-before 27-1',
        'fact package-after 28.2.2-1',
        'fact before 27.0.1',
        'fact restarted yes',
        'ready 28.2.2',
    )

    def upgrade(self, version=''):
        return self.machines.upgrade('web1', version, self.told, 60)

    def test_upgraded(self):
        self.guest.lines = self.LINES
        self.metadata()['docker-machine:engine-version'] = '27.0.1'
        done = self.upgrade('28')
        self.assertEqual(('27.0.1', '28.2.2'), (done.before, done.after))
        self.assertEqual('docker.io', done.package)
        self.assertIs(True, done.restarted)
        self.assertEqual('28.2.2', self.record().engine_version)
        self.assertEqual(
            ['web1: 2 running container(s) run on'], self.told.notes[-1:]
        )
        self.assertIn(b'\nversion=28\n', self.handed_over('settings'))

    def test_no_version(self):
        error = self.assertRaises(errors.InvalidRequest, self.upgrade, 'new')
        self.assertIn("'new' is no version", str(error))
        self.assertEqual(1, len(self.guest.parcels))

    def test_off(self):
        (server,) = self.fake.things['servers'].values()
        server['status'] = 'SHUTOFF'
        error = self.assertRaises(errors.InvalidRequest, self.upgrade)
        self.assertIn('machine start web1', str(error))

    def test_does_not_run(self):
        before = self.metadata().copy()
        self.guest.status = engine.EXIT_START
        self.guest.lines = ['tail it broke', 'failed no', 'hint look there']
        error = self.assertRaises(errors.EngineFailure, self.upgrade)
        self.assertIn('it broke', str(error))
        self.assertIn("it failed at 'Logging in' after 0 s.", str(error))
        self.assertIn('look there\n', error.hint)
        self.assertIn('docker machine upgrade web1', error.hint)
        self.assertEqual(before, self.metadata())

    def test_host_that_does_not_tell(self):
        self.guest.lines = ['fact package docker.io', 'ready 28.2.2']
        self.assertRaises(errors.HostFailure, self.upgrade)


class TestCheck(UpkeepTestCase):
    def setUp(self):
        super().setUp()
        self.clock_of_host = 0
        self.service = 'active'
        self.guest.run = self.answer

    def answer(self, command, **options):
        date = f'{time.time() + self.clock_of_host:.0f}\n'
        told = date if command.startswith('date') else f'{self.service}\n'
        return host.Result(0, told, '')

    def check(self):
        return {c.name: c for c in self.machines.check('web1', 5)}

    def assertBroken(self, name, words):
        links = self.check()
        self.assertIs(False, links[name].holds, links[name])
        self.assertIn(words, links[name].detail)
        self.assertTrue(links[name].hint)
        states = [link.holds for link in links.values()]
        where = list(links).index(name)
        self.assertEqual([True] * where, states[:where])
        self.assertEqual({None}, {*states[where + 1 :], None})

    def test_whole(self):
        for link in self.check().values():
            self.assertTrue(link.holds, link)
            self.assertTrue(link.detail, link)

    def test_names(self):
        metadata = self.metadata()
        metadata['docker-machine:tls-sans'] = '127.0.0.9,localhost'
        self.assertBroken('DNS', "'localhost' is 127.0.0.1")
        metadata['docker-machine:tls-sans'] = 'no-such.invalid'
        self.assertBroken('DNS', "'no-such.invalid' is not known")
        found = [(2, 1, 6, '', (metadata['docker-machine:address'], 0))]
        self.useFixture(
            fixtures.MonkeyPatch('socket.getaddrinfo', lambda *a: found)
        )
        metadata['docker-machine:tls-sans'] = 'web1.test'
        self.assertEqual('web1.test', self.check()['DNS'].detail)

    def test_server_is_off(self):
        (server,) = self.fake.things['servers'].values()
        server['status'] = 'SHUTOFF'
        self.assertBroken('server', 'SHUTOFF')

    def test_address(self):
        self.metadata()['docker-machine:address'] = '192.0.2.99'
        self.assertBroken('address', '192.0.2.99')

    def test_group(self):
        (group,) = self.fake.things['security-groups'].values()
        group['security_group_rules'] = [
            r
            for r in group['security_group_rules']
            if r['port_range_min'] != 2376
        ]
        self.assertBroken('security group', 'opens tcp 2376')

    def test_ssh(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'dockermachine_osc.host.probe', lambda *a: 'no answer'
            )
        )
        self.assertBroken('route to SSH', 'no answer')

    def test_login(self):
        self.guest.failures['connect'] = host.AuthenticationRefused(
            'Not let in', 'Check'
        )
        self.assertBroken('login', 'Not let in')

    def test_clock(self):
        self.clock_of_host = 9000
        self.assertBroken('login', 'ahead')

    def test_daemon(self):
        self.service = 'failed'
        self.assertBroken('daemon', 'failed')

    def test_engine(self):
        self.useFixture(
            fixtures.MonkeyPatch('dockermachine_osc.engine.ask', self.refuse)
        )
        self.assertBroken('engine', 'refuses our')

    def refuse(self, *arguments):
        raise engine.ClientRefused('It refuses our certificate')
