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


# Brings docker.service along; dpkg's hooks run before it is configured.
APT = """#!/bin/sh
echo "apt-get $*" >>"$STATE/commands"
case " $* " in *' install '*) ;; *) exit 0 ;; esac
mkdir -p "$DOCKER_MACHINE_ROOT/lib/systemd/system"
cp "$STATE/unit" "$DOCKER_MACHINE_ROOT/lib/systemd/system/docker.service"
for word; do
    case $word in
    *--pre-invoke=*) sh -c "${word#*--pre-invoke=}" || exit 1 ;;
    esac
done
cat "$DOCKER_MACHINE_ROOT"/etc/systemd/system/docker.service.d/* \
    >"$STATE/configured"
"""


class _SelfSigning(base.BaseTestCase):
    """A host that is asked to make a certificate for itself."""

    def setUp(self):
        super().setUp()
        self.authority = pki.Authority.create('web1')
        self.asked = selfsigned.ask(NAMES)

    def shown(self):
        """Give what the console tells, as whoever made the server reads it."""
        self.host.write('run/cloud-init/result.json', '{}')
        self.assertEqual(0, self.host.call('report').returncode)
        return self.facts().certificate

    def facts(self):
        text = (self.host.root / 'dev/console').read_text()
        return engine.read_console(text, ID)

    def key(self):
        return self.host.home / 'server-key.pem'


class SelfSignedTest(_SelfSigning):
    def setUp(self):
        super().setUp()
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


class AheadTest(_SelfSigning):
    """The engine is yet to be installed, by a package that starts it."""

    def setUp(self):
        super().setUp()
        self.use('debian-12')

    def use(self, os_release):
        """Take a new host of that distribution."""
        self.host = self.useFixture(hostroot.BootRoot(os_release))
        self.host.program('apt-get', APT)
        self.host.program('dpkg-query', hostroot.QUIET)
        self.package('-H fd://')

    def package(self, flags):
        """Say how the package's unit starts the engine."""
        text = f'[Service]\nExecStart=/usr/sbin/dockerd {flags}\n'
        (self.host.state / 'unit').write_text(text)

    def boot(self, **settings):
        settings = engine.EngineSettings(ID, **settings)
        text = settings.render(KEY, self_signed=self.asked.render())
        script = self.host.script.read_text()
        self.host.write('etc/docker-machine/setup.sh', script)
        ca = self.authority.certificate.decode()
        done = self.host.call('early', text, '', ca)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return self.shown()

    def install(self):
        done = self.host.call('install')
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        self.assertIsNotNone(self.facts().installed)
        # As the engine found it when its package started it.
        return (self.host.state / 'configured').read_text()

    def assertStarted(self, configured):
        self.assertIn(
            '--tlskey=/etc/docker-machine/server-key.pem', configured
        )
        self.assertEqual(0o600, stat.S_IMODE(self.key().stat().st_mode))

    def assertHeldBack(self, configured):
        self.assertIn('ConditionPathExists=/etc/docker-machine/', configured)
        self.assertFalse(self.key().exists())
        self.assertFalse((self.host.home / 'applied').exists())

    def test_it_is_shown_before_there_is_an_engine(self):
        shown = self.boot()
        self.assertTrue(self.facts().installing)
        own = selfsigned.accepted(shown, self.asked)
        self.assertIsNotNone(own)
        self.assertFalse(self.key().exists())
        self.assertStarted(self.install())
        self.assertEqual(own, (self.host.home / 'server.pem').read_bytes())

    def test_it_is_not_started_anew_for_it(self):
        self.boot()
        self.install()
        done = self.host.function('fingerprint')
        applied = (self.host.home / 'applied').read_text()
        self.assertEqual(done.stdout, applied)

    def test_there_is_one_copy_of_the_key(self):
        self.boot()
        self.install()
        secret = self.key().read_text().splitlines()[1]
        for path in self.host.root.rglob('*'):
            if path.is_file() and path != self.key():
                self.assertNotIn(secret.encode(), path.read_bytes(), path)

    def test_a_package_with_listeners_of_its_own(self):
        self.boot()
        self.package('-H tcp://0.0.0.0:2375')
        self.assertHeldBack(self.install())

    def test_somebody_is_there_to_hand_over(self):
        self.boot()
        with (self.host.run_dir / 'serving').open('w') as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.assertHeldBack(self.install())

    def test_no_openssl(self):
        self.host.program('openssl', FAILING)
        self.assertIsNone(self.boot())
        self.assertFalse(self.facts().installing)
        self.assertHeldBack(self.install())
        self.assertNotIn(
            '--pre-invoke', (self.host.state / 'commands').read_text()
        )

    def test_the_hook_fails(self):
        """Then dpkg goes on, and the engine waits for somebody."""
        self.boot()
        self.host.write('etc/docker-machine/settings', 'damaged')
        self.host.write('etc/docker-machine/setup.sh', 'exit 1\n')
        done = self.host.function(
            f'load_settings() {{ machine_id={ID}; }}; install_from_boot'
        )
        self.assertEqual(0, done.returncode)
        configured = (self.host.state / 'configured').read_text()
        self.assertHeldBack(configured)

    def test_other_ways_to_install(self):
        """Nobody knows how they start the engine, so nobody waits for it."""
        for os_release, settings in (
            ('fedora-42', {}),
            ('debian-12', {'source': 'docker'}),
            ('debian-12', {'source': 'https://example.org/install.sh'}),
            ('debian-12', {'source': 'image'}),
            ('debian-12', {'source': 'none'}),
            ('debian-12', {'access': 'ssh'}),
        ):
            self.use(os_release)
            self.assertIsNone(self.boot(**settings), settings)
            self.assertFalse(self.facts().installing, settings)

    def test_a_user_without_our_key_is_told(self):
        self.boot()
        self.assertEqual(
            "no user has the machine's public key", self.facts().failure
        )
