# SPDX-License-Identifier: Apache-2.0
"""The host makes a certificate for itself: by its openssl, for real TLS."""

import fcntl
import ssl
import stat

from oslotest import base

from dockermachine_osc import engine, pki, selfsigned
from tests.unit.engine import hostroot
from tests.unit.engine.test_boot import ID, KEY
from tests.unit.test_pki import shake_hands

NAMES = ('203.0.113.7', '2001:db8::7', 'web1')
WANTED = 'etc/systemd/system/multi-user.target.wants/docker.service'
FAILING = '#!/bin/sh\nexit 1\n'


class SelfSignedTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.authority = pki.Authority.create('web1')
        self.asked = selfsigned.ask(NAMES)
        self.host = self.useFixture(hostroot.BootRoot(unit='debian'))
        wanted = self.host.write(WANTED, '')
        wanted.unlink()
        wanted.symlink_to('/lib/systemd/system/docker.service')

    def boot(self, self_signed=None, access='tls'):
        """Run what cloud-init runs, and what that starts."""
        if self_signed is None:
            self_signed = self.asked.render()
        settings = engine.EngineSettings(ID, access=access)
        text = settings.render(KEY, self_signed=self_signed)
        ca = self.authority.certificate.decode()
        self.host.write('etc/docker-machine/setup.sh', '')
        for words in (('early', text, '', ca), ('prepare',)):
            done = self.host.call(*words)
            self.assertEqual((0, ''), (done.returncode, done.stderr))

    def shown(self):
        """Give what the console tells, as whoever made the server reads it."""
        self.host.write('run/cloud-init/result.json', '{}')
        self.assertEqual(0, self.host.call('report').returncode)
        text = (self.host.root / 'dev/console').read_text()
        return engine.read_console(text, ID).certificate

    def key(self):
        return self.host.home / 'server-key.pem'

    def assertWaits(self):
        """Assert that the engine is held back until somebody hands over."""
        self.assertFalse(self.key().exists())
        self.assertFalse((self.host.home / 'applied').exists())
        self.assertIn('ConditionPathExists', self.host.dropin.read_text())
        self.assertIsNone(self.shown())

    def test_the_engine_s_start_waits_for_it(self):
        self.boot()
        commands = (self.host.state / 'commands').read_text()
        (line,) = [x for x in commands.splitlines() if 'prepare' in x]
        self.assertIn('--property Before=docker.service', line)
        self.assertIn('--property Type=oneshot', line)

    def test_it_is_what_was_asked_for(self):
        self.boot()
        self.assertIsNotNone(selfsigned.accepted(self.shown(), self.asked))

    def test_real_clients_take_it(self):
        """In Python's strict mode, too, and under each of its names."""
        self.boot()
        own = selfsigned.accepted(self.shown(), self.asked).decode()
        trusted = self.authority.certificate.decode() + own
        issued = self.authority.client('ann')
        files = {
            'cert.pem': issued.certificate.decode(),
            'key.pem': issued.key.decode(),
        }
        for name, text in files.items():
            self.host.write(f'client/{name}', text)
        folder = self.host.root / 'client'
        for name in (*NAMES, 'localhost', '127.0.0.1'):
            client = ssl.create_default_context(cadata=trusted)
            client.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
            client.verify_flags |= ssl.VERIFY_X509_STRICT
            self.assertTrue(shake_hands(client, self.engine(), name))

    def engine(self):
        """Give the engine's side, with what it was given there."""
        home = self.host.home
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(home / 'server.pem', home / 'server-key.pem')
        server.load_verify_locations(home / 'ca.pem')
        server.verify_mode = ssl.CERT_REQUIRED
        return server

    def test_the_key_stays_there_and_is_private(self):
        self.boot()
        mode = stat.S_IMODE(self.key().stat().st_mode)
        self.assertEqual(0o600, mode)
        secret = self.key().read_text().splitlines()[1]
        for path in self.host.root.rglob('*'):
            if path.is_file() and path != self.key():
                text = path.read_bytes()
                self.assertNotIn(secret.encode(), text, path)

    def test_the_engine_is_not_started_anew_for_it(self):
        self.boot()
        done = self.host.function('fingerprint')
        applied = (self.host.home / 'applied').read_text()
        self.assertEqual(done.stdout, applied)

    def test_a_second_first_boot_leaves_it(self):
        self.boot()
        before = self.key().read_text()
        self.boot()
        self.assertEqual(before, self.key().read_text())

    def test_somebody_is_there_to_hand_over(self):
        """Whoever has logged in has the say."""
        self.host.run_dir.mkdir()
        with (self.host.run_dir / 'serving').open('w') as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.boot()
            self.assertWaits()

    def test_not_asked_to(self):
        self.boot(self_signed='')
        self.assertWaits()

    def test_no_openssl(self):
        self.host.program('openssl', FAILING)
        self.boot()
        self.assertWaits()

    def test_docker_does_not_start_at_boot(self):
        (self.host.root / WANTED).unlink()
        self.boot()
        self.assertWaits()

    def test_an_engine_with_listeners_of_its_own(self):
        unit = self.host.root / 'lib/systemd/system/docker.service'
        text = unit.read_text()
        for flag in ('-H tcp://0.0.0.0:2375', '--tls', '--config-file /x'):
            unit.write_text(text.replace('-H fd://', f'-H fd:// {flag}'))
            self.boot()
            self.assertWaits()

    def test_listeners_in_daemon_json(self):
        for text in ('{"hosts": ["unix://"]}', '{ "tlsverify": true }'):
            self.host.write('etc/docker/daemon.json', text)
            self.boot()
            self.assertWaits()

    def test_other_settings_in_daemon_json(self):
        self.host.write('etc/docker/daemon.json', '{"debug": true}')
        self.boot()
        self.assertIsNotNone(self.shown())

    def test_access_ssh(self):
        self.boot(access='ssh')
        self.assertFalse(self.key().exists())
        self.assertIsNone(self.shown())
