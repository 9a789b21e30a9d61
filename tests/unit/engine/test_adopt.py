# SPDX-License-Identifier: Apache-2.0
"""Looking at somebody's host, and leaving it as it was, on a host of files."""

import socket

from oslotest import base

from dockermachine_osc import engine
from tests.unit import workbench
from tests.unit.engine import hostroot

KEY = workbench.ED25519
DAEMON_JSON = '{"registry-mirrors": ["https://m.example"], "labels": ["a=b"]}'
CONF = 'etc/systemd/system/docker.service.d/own.conf'
#: What the engine holds stands in files; it answers while it is active.
DOCKER = r"""#!/bin/sh
[ "$(cat "$STATE/active")" = active ] || exit 1
case "$*" in
'ps -q') cat "$STATE/running-containers" 2>/dev/null ;;
'ps -aq') cat "$STATE/containers" 2>/dev/null ;;
'images -q') cat "$STATE/images" 2>/dev/null ;;
'volume ls -q') cat "$STATE/volumes" 2>/dev/null ;;
info*) cat "$STATE/live-restore" ;;
*) exit 2 ;;
esac
:
"""


class AdoptTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # Somebody has to listen where the engine would.
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        self.port = listener.getsockname()[1]

    def host(self, unit='debian', active=True):
        host = self.useFixture(hostroot.HostRoot(unit=unit))
        host.program('docker', DOCKER)
        host.program('apt-get', hostroot.RECORDER)
        host.write('etc/ssh/ssh_host_ed25519_key.pub', f'{KEY} root@x\n')
        (host.state / 'live-restore').write_text('false\n')
        if unit and active:
            (host.state / 'active').write_text('active\n')
        return host

    def stage(self, host, **settings):
        folder = host.root.parent / 'stage'
        folder.mkdir(exist_ok=True)
        settings = engine.EngineSettings('m1', port=self.port, **settings)
        rendered = settings.render()
        (folder / 'settings').write_text(rendered)
        (folder / 'setup.sh').write_bytes(host.script.read_bytes())
        for name in ('ca.pem', 'server.pem', 'server-key.pem'):
            (folder / name).write_text(f'{name} of m1\n')
        return folder

    def look(self, host, **settings):
        before = self.contents(host)
        done = host.call('look', self.stage(host, **settings))
        self.assertEqual('', done.stderr)
        self.assertEqual(before, self.contents(host))
        self.assertEqual([], host.log())
        lines = done.stdout.splitlines()
        return engine.findings(done.returncode, lines)

    def serve(self, host):
        done = host.call('serve', self.stage(host), '60')
        engine.outcome(done.returncode, done.stdout.splitlines())

    def leave(self, host):
        done = host.call('leave', self.stage(host))
        lines = done.stdout.splitlines()
        engine.outcome(done.returncode, lines)
        return done.stdout

    def contents(self, host):
        """Give all files but those that a reboot takes away."""
        return {
            str(path.relative_to(host.root)): path.read_bytes()
            for path in sorted(host.root.rglob('*'))
            if path.is_file() and host.root / 'run' not in path.parents
        }


class LookTest(AdoptTestCase):
    def test_no_engine(self):
        found = self.look(self.host(unit=None))
        self.assertEqual('debian 12', found.distribution)
        self.assertEqual(('', 'apt'), (found.engine, found.method))
        self.assertEqual((KEY,), found.host_keys)
        self.assertEqual('', found.conflict)

    def test_no_engine_to_be_had(self):
        host = self.host(unit=None)
        for source, words in (
            ('image', 'no Docker Engine in this image'),
            ('none', 'no Docker Engine has appeared'),
        ):
            self.assertIn(words, self.look(host, source=source).conflict)
        host.write('etc/os-release', 'ID=nix\nVERSION_ID=1\n')
        found = self.look(host)
        self.assertIn("'nix' 1 has no engine", found.conflict)
        self.assertIn('--engine-source', found.hint)

    def test_snap(self):
        host = self.host(unit=None)
        unit = 'etc/systemd/system/snap.docker.dockerd.service'
        host.write(unit, '[Service]\n')
        self.assertIn('as a snap', self.look(host).conflict)

    def test_engine(self):
        host = self.host()
        (host.state / 'running-containers').write_text('a\nb\n')
        (host.state / 'live-restore').write_text('true\n')
        host.write('etc/docker/daemon.json', DAEMON_JSON)
        found = self.look(host)
        self.assertEqual('20.10.24+dfsg1', found.engine)
        self.assertEqual(2, found.containers)
        self.assertTrue(found.live_restore)
        self.assertEqual(('', ''), (found.machine, found.conflict))

    def test_engine_that_does_not_run(self):
        found = self.look(self.host(active=False))
        self.assertIsNone(found.containers)
        self.assertEqual('', found.conflict)

    def test_drop_in_that_sets_hosts(self):
        host = self.host()
        host.write(
            CONF,
            '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// '
            '-H unix:///run/second.sock\n',
        )
        self.assertEqual('', self.look(host).conflict)
        self.serve(host)
        command = host.dropin.read_text().splitlines()[-1]
        self.assertIn('-H fd:// -H unix:///run/second.sock -H tcp', command)

    def test_daemon_json_that_sets_hosts(self):
        host = self.host()
        for key in ('hosts', 'tlsverify', 'tlscacert'):
            host.write('etc/docker/daemon.json', f'{{"{key}" :\n[]}}')
            found = self.look(host)
            self.assertIn(
                f'/etc/docker/daemon.json sets "{key}"', found.conflict
            )
            self.assertIn(f'take "{key}" out', found.hint)

    def test_tls_of_another_ca(self):
        host = self.host()
        host.write(
            CONF,
            '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// '
            '-H tcp://0.0.0.0:2376 --tlsverify --tlscacert=/etc/theirs.pem\n',
        )
        found = self.look(host)
        self.assertIn('on TLS already', found.conflict)
        self.assertIn(f'/{CONF}', found.conflict)
        self.assertIn('take the --tls options out', found.hint)

    def test_open_to_everybody_already(self):
        host = self.host()
        host.write(
            CONF,
            '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// '
            '-H tcp://0.0.0.0:2375\n',
        )
        self.assertIn('listens on tcp:// already', self.look(host).conflict)

    def test_another_version(self):
        found = self.look(self.host(), version='28')
        self.assertIn('20.10.24', found.conflict)
        self.assertIn('--engine-version', found.hint)

    def test_second_look(self):
        host = self.host()
        self.serve(host)
        (host.state / 'log').unlink()
        found = self.look(host)
        self.assertEqual(('m1', ''), (found.machine, found.conflict))

    def test_no_host_keys(self):
        host = self.host()
        for key in (host.root / 'etc/ssh').iterdir():
            key.unlink()
        self.assertEqual((), self.look(host).host_keys)


class FoundTest(AdoptTestCase):
    """What `look` told goes along, so that only one of two is served."""

    def serve_found(self, host, found):
        folder = self.stage(host)
        (folder / 'found').write_text(found)
        return host.call('serve', folder, '60')

    def test_as_it_was(self):
        host = self.host()
        # Twice: a set-up that was cut off is finished by its own machine.
        for _ in range(2):
            done = self.serve_found(host, self.look_again(host))
            engine.outcome(done.returncode, done.stdout.splitlines())

    def look_again(self, host):
        done = host.call('look', self.stage(host))
        return engine.findings(0, done.stdout.splitlines()).machine

    def test_machine_of_another(self):
        """As of one that was forgotten, with --leave-host."""
        host = self.host()
        host.write('etc/docker-machine/settings', 'machine_id=old\n')
        self.assertEqual('old', self.look_again(host))
        self.assertEqual(0, self.serve_found(host, 'old').returncode)

    def test_another_was_faster(self):
        host = self.host()
        for found in '', 'old':
            host.write('etc/docker-machine/settings', 'machine_id=m2\n')
            before = self.contents(host)
            done = self.serve_found(host, found)
            self.assertEqual(engine.EXIT_TAKEN, done.returncode)
            self.assertIn('become machine m2 meanwhile', done.stdout)
            self.assertEqual(before, self.contents(host))
        self.assertEqual([], host.log())


class LeaveTest(AdoptTestCase):
    def test_nothing_there(self):
        host = self.host()
        before = self.contents(host)
        self.assertIn('nothing is left', self.leave(host))
        self.assertEqual(before, self.contents(host))
        self.assertEqual([], host.log())

    def test_all_is_taken_back(self):
        host = self.host()
        host.write('etc/docker/daemon.json', DAEMON_JSON)
        before = self.contents(host)
        self.serve(host)
        self.assertNotEqual(before, self.contents(host))
        self.assertEqual(['restart'], host.log())
        self.leave(host)
        self.assertEqual(before, self.contents(host))
        self.assertFalse(host.dropins.exists())
        self.assertEqual(['restart', 'restart'], host.log())
        self.assertNotIn('--tls', (host.state / 'running').read_text())
        self.assertFalse((host.state / 'commands').exists())

    def test_drop_ins_of_others_stay(self):
        host = self.host()
        host.write(CONF, '[Service]\nEnvironment=A=b\n')
        self.serve(host)
        self.leave(host)
        self.assertTrue((host.root / CONF).exists())

    def test_an_engine_that_stands_still_is_not_started(self):
        host = self.host()
        self.serve(host)
        (host.state / 'active').write_text('inactive\n')
        (host.state / 'log').unlink()
        self.leave(host)
        self.assertEqual([], host.log())

    def test_cut_off(self):
        host = self.host()
        before = self.contents(host)
        self.serve(host)
        for path in host.home.iterdir():
            path.unlink()
        self.leave(host)
        self.assertEqual(before, self.contents(host))

    def installed(self):
        host = self.host()
        self.serve(host)
        (host.home / 'installed').write_text('apt docker.io runc\n')
        return host

    def removed(self, host):
        self.leave(host)
        self.assertFalse(host.home.exists())
        path = host.state / 'commands'
        return path.read_text() if path.exists() else ''

    def test_packages_that_came_with_us(self):
        removed = self.removed(self.installed())
        self.assertIn('purge -y docker.io runc', removed)

    def test_packages_that_were_there(self):
        host = self.host()
        self.serve(host)
        self.assertEqual('', self.removed(host))

    def test_an_engine_that_holds_something(self):
        for things in ('containers', 'images', 'volumes'):
            host = self.installed()
            (host.state / things).write_text('a\n')
            self.assertEqual('', self.removed(host), things)
            self.assertEqual('restart', host.log()[-1])

    def test_an_engine_that_does_not_tell(self):
        """What it holds may be somebody's data."""
        host = self.installed()
        (host.state / 'active').write_text('inactive\n')
        self.assertEqual('', self.removed(host))

    def test_packages_cannot_be_removed(self):
        host = self.installed()
        host.program('apt-get', '#!/bin/sh\nexit 1\n')
        self.assertRaises(engine.SetupFailed, self.leave, host)

    def test_the_engine_does_not_start_without_us(self):
        host = self.host()
        self.serve(host)
        host.write(CONF, '[Service]\nExecStart=\nExecStart=dockerd --broken\n')
        error = self.assertRaises(engine.SetupFailed, self.leave, host)
        self.assertIn('does not start without us', str(error))

    def test_firewall(self):
        for program, opened, expected in (
            ('ufw', 'ufw 2376', 'ufw delete allow 2376/tcp'),
            (
                'firewall-cmd',
                'firewalld 2376',
                'firewall-cmd -q --permanent --remove-port 2376/tcp',
            ),
        ):
            host = self.host()
            self.serve(host)
            host.program(program, hostroot.RECORDER)
            (host.home / 'opened').write_text(f'{opened}\n')
            self.assertIn(expected, self.removed(host))
