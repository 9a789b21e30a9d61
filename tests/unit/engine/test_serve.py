# SPDX-License-Identifier: Apache-2.0
"""Taking certificates over and starting the engine, on a host of files."""

import fcntl
import pathlib
import shutil
import socket
import stat
import subprocess

from oslotest import base

from dockermachine_osc import engine
from tests.unit.engine import hostroot

UNITS = pathlib.Path(__file__).parent / 'units'
FLAGS = (
    '-H tcp://0.0.0.0:2376 --tlsverify '
    '--tlscacert=/etc/docker-machine/ca.pem '
    '--tlscert=/etc/docker-machine/server.pem '
    '--tlskey=/etc/docker-machine/server-key.pem'
)
CONDITION = 'ConditionPathExists=/etc/docker-machine/server-key.pem'


class DeriveTest(base.BaseTestCase):
    def derive(self, text):
        host = self.useFixture(hostroot.HostRoot())
        settings = engine.EngineSettings('m1').render()
        path = host.write('etc/docker-machine/settings', settings)
        return host.call('derive', path, stdin=text)

    def command(self, text):
        lines = self.derive(text).stdout.splitlines()
        self.assertEqual(['[Unit]', CONDITION], lines[2:4])
        self.assertEqual(['[Service]', 'ExecStart='], lines[4:6])
        self.assertEqual(7, len(lines))
        return lines[6].removeprefix('ExecStart=')

    def unit(self, name):
        return (UNITS / name).read_text()

    def test_as_the_packages_ship_it(self):
        for name, command in (
            (
                'debian',
                '/usr/sbin/dockerd -H fd:// '
                '--containerd=/run/containerd/containerd.sock $DOCKER_OPTS',
            ),
            (
                'docker-ce',
                '/usr/bin/dockerd -H fd:// '
                '--containerd=/run/containerd/containerd.sock',
            ),
            (
                'flatcar',
                '/usr/bin/dockerd --host=fd:// '
                '--containerd=/run/containerd/containerd.sock '
                '$DOCKER_SELINUX $DOCKER_OPTS $DOCKER_CGROUPS '
                '$DOCKER_OPT_BIP $DOCKER_OPT_MTU $DOCKER_OPT_IPMASQ',
            ),
            # The default socket is gone once another is named.
            (
                'opensuse',
                '/usr/bin/dockerd --add-runtime oci=/usr/sbin/runc '
                '$DOCKER_NETWORK_OPTIONS $DOCKER_OPTS '
                '-H unix:///var/run/docker.sock',
            ),
        ):
            expected = f'{command} {FLAGS}'
            self.assertEqual(expected, self.command(self.unit(name)))

    def test_continued_lines(self):
        words = self.command(self.unit('fedora')).split()
        self.assertEqual(['/usr/bin/dockerd', '--host=fd://'], words[:2])
        self.assertIn('$DOCKER_NETWORK_OPTIONS', words)
        self.assertEqual(FLAGS.split(), words[-len(FLAGS.split()) :])

    def test_own_drop_in_of_the_host_counts(self):
        text = self.unit('debian') + (
            '\n# /etc/systemd/system/docker.service.d/override.conf\n'
            '[Service]\nExecStart=\n'
            'ExecStart=/usr/sbin/dockerd -H fd:// --label a=b\n'
            '[Unit]\nExecStart=/not/this\n'
        )
        self.assertEqual(
            f'/usr/sbin/dockerd -H fd:// --label a=b {FLAGS}',
            self.command(text),
        )

    def test_ours_does_not_count(self):
        text = self.unit('docker-ce')
        once = self.derive(text).stdout
        ours = '/etc/systemd/system/docker.service.d/zz-docker-machine.conf'
        again = self.derive(f'{text}\n# {ours}\n{once}').stdout
        self.assertEqual(once, again)

    def test_a_comment_is_no_file(self):
        ours = '/etc/systemd/system/docker.service.d/zz-docker-machine.conf'
        text = self.unit('debian').replace(
            '# the default is not', f'# see {ours}\n# the default is not'
        )
        self.assertIn('$DOCKER_OPTS -H tcp', self.command(text))

    def test_without_a_command(self):
        done = self.derive('# /lib/systemd/system/docker.service\n[Service]\n')
        self.assertEqual(71, done.returncode)


class ServingTestCase(base.BaseTestCase):
    """Hands over to a host of files."""

    def setUp(self):
        super().setUp()
        # The script looks whether the port listens; here we do it.
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        self.port = listener.getsockname()[1]
        self.settings = engine.EngineSettings('m1', port=self.port)

    def host(self, **kwargs):
        return self.useFixture(hostroot.HostRoot(**kwargs))

    def stage(self, host, key='key', settings=None, leave_out=(), now=''):
        stage = host.root / 'run/stage'
        stage.mkdir()
        settings = settings or self.settings
        shutil.copy(host.script, stage / 'setup.sh')
        (stage / 'settings').write_text(settings.render())
        for name, text in (
            ('ca.pem', 'ca'),
            ('server.pem', 'certificate'),
            ('server-key.pem', key),
            ('now', now),
        ):
            (stage / name).write_text(text)
        for name in leave_out:
            (stage / name).unlink()
        return stage

    def serve(self, host, wait=20, **kwargs):
        stage = self.stage(host, **kwargs)
        done = host.call('serve', stage, wait)
        self.assertFalse(stage.exists())
        return done

    def served(self, host, **kwargs):
        done = self.serve(host, **kwargs)
        return engine.outcome(done.returncode, done.stdout.splitlines())

    def failure(self, host, **kwargs):
        return self.assertRaises(
            engine.SetupFailed, self.served, host, **kwargs
        )

    def running(self, host):
        return (host.state / 'running').read_text()


class ServeTest(ServingTestCase):
    def test_first_start(self):
        host = self.host(unit='debian')
        outcome = self.served(host)
        self.assertEqual('20.10.24+dfsg1', outcome.version)
        self.assertEqual(('starting the engine',), outcome.steps)
        self.assertEqual(['start'], host.log())
        self.assertIn('$DOCKER_OPTS -H tcp://0.0.0.0:', self.running(host))
        self.assertTrue((host.state / 'enabled').exists())

    def test_files_are_private(self):
        host = self.host(unit='debian')
        self.served(host)
        self.assertEqual(0o700, stat.S_IMODE(host.home.stat().st_mode))
        for path in host.home.iterdir():
            self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        self.assertEqual('key', (host.home / 'server-key.pem').read_text())
        self.assertEqual(0o644, stat.S_IMODE(host.dropin.stat().st_mode))

    def test_again_changes_nothing(self):
        host = self.host(unit='debian')
        self.served(host)
        outcome = self.served(host)
        self.assertEqual(('the engine is as it should be',), outcome.steps)
        self.assertEqual(['start'], host.log())

    def test_new_certificates_restart_once(self):
        host = self.host(unit='debian')
        self.served(host)
        self.served(host, key='new')
        self.served(host, key='new')
        self.assertEqual(['start', 'restart'], host.log())

    def test_a_set_up_that_was_cut_off_is_made_up_for(self):
        host = self.host(unit='debian')
        self.served(host)
        (host.home / 'applied').unlink()
        outcome = self.served(host)
        self.assertEqual(
            (f'restarting the engine with TLS on port {self.port}',),
            outcome.steps,
        )

    def test_an_engine_that_runs_without_tls(self):
        host = self.host(unit='debian')
        (host.state / 'active').write_text('active\n')
        self.served(host)
        self.assertEqual(['restart'], host.log())
        self.assertIn('--tlsverify', self.running(host))

    def test_a_unit_that_is_masked(self):
        host = self.host(unit='debian')
        host.program(
            'systemctl',
            hostroot.SYSTEMCTL.replace(
                'start*) echo',
                'start*) echo "Unit docker.service is masked." >&2; exit 1;'
                ' echo',
            ),
        )
        error = self.failure(host)
        self.assertIn(': Unit docker.service is masked.', error.cause)

    def test_the_guard_goes(self):
        host = self.host(unit='debian')
        host.write(
            'etc/systemd/system/docker.service.d/zz-docker-machine.conf',
            '[Unit]\nConditionPathExists=/etc/docker-machine/ready\n',
        )
        self.served(host)
        self.assertNotIn('/ready', host.dropin.read_text())

    def test_what_the_boot_has_written_stays(self):
        """Nothing is left for systemd to read anew."""
        host = self.host(unit='debian')
        text = self.settings.render()
        path = host.write('etc/docker-machine/settings', text)
        done = host.function(f'load_settings "{path}"; hold_back')
        self.assertEqual('', done.stderr)
        written = host.dropin.stat()
        self.served(host)
        self.assertEqual(written, host.dropin.stat())
        self.assertEqual(['start'], host.log())

    def test_other_settings_stay(self):
        host = self.host(unit='debian')
        own = host.write('etc/docker/daemon.json', '{"labels": ["a=tls"]}')
        override = host.write(
            'etc/systemd/system/docker.service.d/override.conf',
            '[Service]\nExecStart=\nExecStart=/x/dockerd -H fd:// --debug\n',
        )
        self.served(host)
        self.assertEqual('{"labels": ["a=tls"]}', own.read_text())
        self.assertIn('--debug\n', override.read_text())
        self.assertIn('--debug -H tcp://', self.running(host))

    def test_daemon_json_that_conflicts(self):
        for text in (
            '{"hosts": ["fd://"]}',
            '{"debug": true,\n "tlsverify"\n: false}',
            '{"tlscacert":"/x"}',
        ):
            host = self.host(unit='debian')
            host.write('etc/docker/daemon.json', text)
            error = self.failure(host)
            self.assertEqual(engine.EXIT_CONFLICT, error.exit_code)
            self.assertIn('/etc/docker/daemon.json sets "', error.cause)
            self.assertFalse(host.dropin.exists())
            self.assertEqual([], host.log())

    def test_daemon_json_elsewhere(self):
        host = self.host(unit='debian')
        host.write('srv/docker.json', '{"hosts": []}')
        host.write(
            'etc/systemd/system/docker.service.d/a.conf',
            '[Service]\nExecStart=\n'
            'ExecStart=/x/dockerd --config-file=/srv/docker.json -H fd://\n',
        )
        self.assertIn('/srv/docker.json', self.failure(host).cause)

    def test_drop_ins_that_conflict(self):
        for options, words in (
            ('-H fd:// --tlsverify --tlscacert=/x', 'is on TLS already'),
            ('-H tcp://127.0.0.1:2375', 'listens on tcp:// already'),
        ):
            host = self.host(unit='debian')
            host.write(
                'etc/systemd/system/docker.service.d/10-machine.conf',
                f'[Service]\nExecStart=\nExecStart=/x/dockerd {options}\n',
            )
            error = self.failure(host)
            self.assertEqual(engine.EXIT_CONFLICT, error.exit_code)
            self.assertIn(words, error.cause)
            self.assertIn('docker.service.d/10-machine.conf', error.cause)
            self.assertFalse(host.dropin.exists())

    def test_a_drop_in_behind_ours(self):
        host = self.host(unit='debian')
        host.write(
            'etc/systemd/system/docker.service.d/zzz.conf',
            '[Service]\nExecStart=\nExecStart=/x/dockerd -H fd://\n',
        )
        error = self.failure(host)
        self.assertIn('zzz.conf sets the ExecStart', error.cause)
        self.assertFalse(host.dropin.exists())
        self.assertEqual([], host.log())

    def test_an_engine_that_ran_runs_again(self):
        host = self.host(unit='debian')
        (host.state / 'active').write_text('active\n')
        (host.state / 'running').write_text('as before\n')
        unit = host.root / 'lib/systemd/system/docker.service'
        # It breaks with TLS only.
        host.program(
            'systemctl',
            hostroot.SYSTEMCTL.replace('*--broken*', '*--tlsverify*'),
        )
        error = self.failure(host)
        self.assertEqual(engine.EXIT_START, error.exit_code)
        self.assertFalse(host.dropin.exists())
        self.assertNotIn('--tls', self.running(host))
        self.assertIn('-H fd://', unit.read_text())
        self.assertEqual('active\n', (host.state / 'active').read_text())

    def test_port_that_does_not_listen(self):
        with socket.create_server(('127.0.0.1', 0)) as other:
            free = other.getsockname()[1]
        settings = engine.EngineSettings('m1', port=free)
        error = self.failure(self.host(unit='debian'), settings=settings)
        self.assertIn(f'does not run with TLS on port {free}', error.cause)

    def test_waits_for_cloud_init(self):
        host = self.host(unit='debian')
        host.write('run/docker-machine/pending', '')
        host.write('run/docker-machine/install.log', 'step installing x\n')
        host.write('run/docker-machine/result', '0\n')
        outcome = self.served(host)
        self.assertEqual(
            (
                'waiting for the installation of the engine',
                'installing x',
                'starting the engine',
            ),
            outcome.steps,
        )

    def test_installation_that_failed_is_told_and_then_tried_again(self):
        host = self.host()
        host.write('run/docker-machine/pending', '')
        host.write(
            'run/docker-machine/install.log',
            'step x\nfirst\nsecond\x1b[2J\nhint do this\nfailed no network\n',
        )
        host.write('run/docker-machine/result', '70\n')
        error = self.failure(host)
        self.assertEqual(engine.EXIT_INSTALL, error.exit_code)
        self.assertEqual('no network', error.cause)
        self.assertEqual('do this', error.hint)
        self.assertEqual(('first', 'second[2J'), error.tail)
        host.program('apt-get', '#!/bin/sh\necho "E: second try"; exit 1\n')
        self.assertEqual('apt-get: second try', self.failure(host).cause)

    def test_an_engine_installed_here_starts_once(self):
        host = self.host()
        # As the package does: it starts what it has installed.
        host.program(
            'apt-get',
            '#!/bin/sh\ncase " $* " in *" install "*)\n'
            'cat "$DOCKER_MACHINE_ROOT"/etc/systemd/system/docker.service.d/*'
            ' >"$STATE/seen"\nmkdir -p "$DOCKER_MACHINE_ROOT/$U"\n'
            'echo "[Service]\nExecStart=/x/dockerd -H fd://" '
            '>"$DOCKER_MACHINE_ROOT/$U/docker.service" ;; esac\n'.replace(
                '$U', 'lib/systemd/system'
            ),
        )
        self.served(host)
        seen = (host.state / 'seen').read_text()
        self.assertIn('ConditionPathExists=/etc/docker-machine/ready', seen)
        self.assertNotIn('/ready', host.dropin.read_text())
        self.assertEqual(['start'], host.log())

    def test_nothing_is_held_back_when_the_installation_failed(self):
        host = self.host()
        host.program('apt-get', '#!/bin/sh\nexit 1\n')
        self.failure(host)
        self.assertFalse(host.dropin.exists())

    def test_cloud_init_that_never_came_to_it(self):
        host = self.host()
        host.write('run/docker-machine/pending', '')
        host.write('run/cloud-init/result.json', '{}')
        host.program('apt-get', '#!/bin/sh\necho "E: tried here"; exit 1\n')
        self.assertEqual('apt-get: tried here', self.failure(host).cause)

    def test_not_in_time(self):
        host = self.host()
        host.write('run/docker-machine/pending', '')
        host.write('run/docker-machine/install.log', 'step x\nIgn:1 mirror\n')
        error = self.failure(host, wait=1)
        self.assertEqual(engine.EXIT_TIMEOUT, error.exit_code)
        self.assertEqual(('Ign:1 mirror',), error.tail)

    def test_nobody_listens_any_more(self):
        host = self.host()
        host.write('run/docker-machine/pending', '')
        stage = self.stage(host)
        process = subprocess.Popen(
            ['/bin/sh', host.script, 'serve', stage, '600'],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=host.environment(),
        )
        process.stdout.readline()
        process.stdout.close()
        self.assertNotEqual(0, process.wait(60))
        self.assertFalse(stage.exists())

    def test_one_at_a_time(self):
        host = self.host(unit='debian')
        path = host.write('run/docker-machine/serving', '')
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            error = self.failure(host, wait=1)
        self.assertEqual(engine.EXIT_TIMEOUT, error.exit_code)
        self.assertEqual([], host.log())
        self.served(host)

    def test_no_engine_from_user_data(self):
        host = self.host()
        host.write('run/cloud-init/result.json', '{}')
        settings = engine.EngineSettings('m1', source='none')
        error = self.failure(host, settings=settings)
        self.assertIn('no Docker Engine has appeared', error.cause)

    def test_version_that_is_not_there(self):
        host = self.host(unit='debian')
        settings = engine.EngineSettings('m1', version='28')
        error = self.failure(host, settings=settings)
        self.assertIn('is 20.10.24+dfsg1, asked for was 28', error.cause)
        self.assertEqual([], host.log())

    def test_incomplete(self):
        for name in ('ca.pem', 'server.pem', 'server-key.pem'):
            host = self.host(unit='debian')
            error = self.failure(host, leave_out=[name])
            self.assertIn(f'{name} is missing', error.cause)
            self.assertEqual([], list(host.home.glob('*.pem')))

    def test_firewalls(self):
        host = self.host(unit='debian')
        host.program(
            'firewall-cmd',
            '#!/bin/sh\ncase "$*" in --state) echo running ;;\n'
            '*--query-port*) exit 1 ;;\n'
            '*) echo "firewall-cmd $*" >>"$STATE/commands" ;; esac\n',
        )
        host.program(
            'ufw',
            '#!/bin/sh\ncase $1 in status) echo "Status: active" ;;\n'
            '*) echo "ufw $*" >>"$STATE/commands" ;; esac\n',
        )
        self.served(host)
        self.assertEqual(
            [
                f'firewall-cmd -q --add-port {self.port}/tcp',
                f'firewall-cmd -q --permanent --add-port {self.port}/tcp',
                f'ufw allow {self.port}/tcp',
            ],
            (host.state / 'commands').read_text().splitlines(),
        )
