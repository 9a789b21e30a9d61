# SPDX-License-Identifier: Apache-2.0
"""An engine that stays on its socket, on a host of files."""

import shutil

from oslotest import base

from dockermachine_osc import engine
from tests.unit.engine import hostroot

#: The engine lets root in and the group of its socket, while it is active.
DOCKER = r"""#!/bin/sh
[ "$(cat "$STATE/active")" = active ] ||
    { echo 'Cannot connect to the Docker daemon' >&2; exit 1; }
[ "${AS:-root}" = root ] || grep -q docker "$STATE/groups" ||
    { echo 'permission denied while trying to connect' >&2; exit 1; }
case "$*" in
version) echo 'Server: 20.10' ;;
'system dial-stdio')
    [ ! -e "$STATE/old" ] || { echo "not a docker command" >&2; exit 1; }
    read -r request
    [ "$request" = "GET /_ping HTTP/1.0$(printf '\r')" ] || exit 1
    printf 'HTTP/1.0 200 OK\r\n\r\nOK' ;;
'ps -q' | 'ps -aq' | 'images -q' | 'volume ls -q') ;;
info*) echo false ;;
*) echo "unexpected: $*" >&2; exit 2 ;;
esac
"""
ID = """#!/bin/sh
case "$1" in
-u) echo 0 ;;
-un) echo root ;;
-nG) cat "$STATE/groups" ;;
esac
"""
SU = """#!/bin/sh
[ "$1 $2 $3 $4" = '-s /bin/sh debian -c' ] && AS=debian exec sh -c "$5"
"""
USERMOD = """#!/bin/sh
echo "usermod $*" >>"$STATE/commands"
echo 'debian sudo docker' >"$STATE/groups"
"""
GPASSWD = """#!/bin/sh
echo "gpasswd $*" >>"$STATE/commands"
echo 'debian sudo' >"$STATE/groups"
"""
CONF = 'etc/systemd/system/docker.service.d/own.conf'
TCP = '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H tcp://0.0.0.0\n'


class SudoRoot(hostroot.HostRoot):
    """A host that its user debian gets root's rights on by sudo.

    :ivar user: who logs in.
    """

    user = 'debian'

    def _setUp(self):
        super()._setUp()
        for name, text in {
            'docker': DOCKER,
            'id': ID,
            'su': SU,
            'usermod': USERMOD,
            'gpasswd': GPASSWD,
        }.items():
            self.program(name, text)
        (self.state / 'groups').write_text('debian sudo\n')

    def environment(self):
        sudo = {'SUDO_USER': self.user} if self.user != 'root' else {}
        return super().environment() | sudo

    def commands(self):
        path = self.state / 'commands'
        return path.read_text().splitlines() if path.exists() else []


class SshTestCase(base.BaseTestCase):
    def host(self, active=False, unit='debian'):
        host = self.useFixture(SudoRoot(unit=unit))
        if active:
            (host.state / 'active').write_text('active\n')
        return host

    def visit(self, host, verb, *more):
        stage = host.root / 'run/stage'
        stage.mkdir()
        shutil.copy(host.script, stage / 'setup.sh')
        settings = engine.EngineSettings('m1', access='ssh').render()
        (stage / 'settings').write_text(settings)
        done = host.call(verb, stage, *more)
        shutil.rmtree(stage, ignore_errors=True)
        self.assertEqual('', done.stderr)
        return done.returncode, done.stdout.splitlines()

    def serve(self, host):
        return engine.outcome(*self.visit(host, 'serve', 20))

    def failure(self, host):
        return self.assertRaises(engine.SetupFailed, self.serve, host)

    def look(self, host):
        before = self.contents(host)
        found = engine.findings(*self.visit(host, 'look'))
        self.assertEqual(before, self.contents(host))
        self.assertEqual([], host.commands())
        return found

    def contents(self, host):
        return {
            str(path.relative_to(host.root)): path.read_bytes()
            for path in sorted(host.root.rglob('*'))
            if path.is_file() and host.root / 'run' not in path.parents
        }


class ServeTest(SshTestCase):
    def test_first_start(self):
        host = self.host()
        host.write(
            'etc/systemd/system/docker.service.d/zz-docker-machine.conf',
            '[Unit]\nConditionPathExists=/etc/docker-machine/ready\n',
        )
        outcome = self.serve(host)
        self.assertEqual('20.10.24+dfsg1', outcome.version)
        self.assertEqual(
            (
                'starting the engine',
                'adding user debian to group docker',
                'asking the engine through its socket',
            ),
            outcome.steps,
        )
        self.assertEqual(['start'], host.log())
        self.assertNotIn('tcp', (host.state / 'running').read_text())
        self.assertFalse(host.dropin.exists())
        self.assertTrue((host.state / 'enabled').exists())
        self.assertEqual(['usermod -a -G docker debian'], host.commands())
        self.assertFalse(list(host.home.glob('*.pem')))

    def test_again_changes_nothing(self):
        host = self.host()
        self.serve(host)
        before = self.contents(host)
        self.assertIn('the engine is as it should be', self.serve(host).steps)
        self.assertEqual(before, self.contents(host))
        self.assertEqual(['start'], host.log())
        self.assertEqual(1, len(host.commands()))

    def test_an_engine_that_runs_is_not_restarted(self):
        host = self.host(active=True)
        host.write('etc/docker/daemon.json', '{"hosts": ["fd://"]}')
        host.write(CONF, TCP)
        before = self.contents(host)
        self.serve(host)
        self.assertEqual([], host.log())
        after = self.contents(host)
        ours = {k for k in after if k.startswith('etc/docker-machine/')}
        self.assertEqual(before.keys(), after.keys() - ours)

    def test_who_may_use_the_socket_already(self):
        for user, groups in (('debian', 'debian docker'), ('root', '')):
            host = self.host(active=True)
            host.user = user
            (host.state / 'groups').write_text(groups)
            self.serve(host)
            self.assertEqual([], host.commands())
            self.assertFalse((host.home / 'member').exists())

    def test_let_in_by_another_group(self):
        host = self.host(active=True)
        host.program('docker', DOCKER.replace('grep -q docker', 'grep -q su'))
        self.serve(host)
        self.assertEqual([], host.commands())

    def test_group_of_no_use(self):
        host = self.host(active=True)
        host.program('usermod', hostroot.RECORDER)
        error = self.failure(host)
        self.assertIn('does not answer user debian: permission', error.cause)

    def test_cannot_be_added(self):
        host = self.host(active=True)
        host.program('usermod', '#!/bin/sh\nexit 6\n')
        self.assertIn('cannot be added to group', self.failure(host).cause)

    def test_no_docker_command(self):
        # This machine may have one.
        done = self.host().function('command() { false; }\nssh_check')
        self.assertEqual(70, done.returncode)
        self.assertIn('failed there is no docker command', done.stdout)
        self.assertIn('docker-cli', done.stdout)

    def test_an_old_docker_command(self):
        host = self.host(active=True)
        (host.state / 'old').touch()
        error = self.failure(host)
        self.assertIn('does not get through: not a docker', error.cause)
        self.assertIn('18.09', error.hint)

    def test_an_engine_that_does_not_start(self):
        host = self.host()
        host.write(CONF, TCP.replace('-H', '--broken -H'))
        self.assertIn('does not run on its socket', self.failure(host).cause)


class LookTest(SshTestCase):
    def test_engine_and_user(self):
        for active, groups, member in (
            (True, 'debian sudo', 'debian'),
            (False, 'debian sudo', 'debian'),
            (True, 'debian docker', ''),
        ):
            host = self.host(active=active)
            (host.state / 'groups').write_text(groups)
            found = self.look(host)
            self.assertEqual(member, found.member)
            self.assertEqual(active, found.running)
            self.assertEqual('', found.conflict)

    def test_root(self):
        host = self.host()
        host.user = 'root'
        self.assertEqual('', self.look(host).member)

    def test_no_engine(self):
        found = self.look(self.host(unit=None))
        self.assertEqual(('apt', 'debian'), (found.method, found.member))

    def test_what_is_no_obstacle(self):
        host = self.host(active=True)
        host.write('etc/docker/daemon.json', '{"hosts": ["fd://"]}')
        host.write(CONF, TCP + ' --tls')
        self.assertEqual('', self.look(host).conflict)


class LeaveTest(SshTestCase):
    def test_all_is_taken_back_without_a_restart(self):
        host = self.host(active=True)
        before = self.contents(host)
        self.serve(host)
        lines = self.visit(host, 'leave')
        outcome = engine.outcome(*lines)
        self.assertEqual(
            ('taking user debian out of group docker again',), outcome.steps
        )
        self.assertEqual('gpasswd -d debian docker', host.commands()[-1])
        self.assertEqual([], host.log())
        after = self.contents(host)
        self.assertEqual(before, after)

    def test_who_was_a_member_stays_one(self):
        host = self.host(active=True)
        (host.state / 'groups').write_text('debian docker')
        self.serve(host)
        self.assertEqual((), engine.outcome(*self.visit(host, 'leave')).steps)
        self.assertEqual([], host.commands())
