# SPDX-License-Identifier: Apache-2.0
"""Another version of the engine's packages, on a host of files.

What is installed stands in $STATE/packages, what can be had in $STATE/there,
newest first: a name and a version a line. dpkg compares versions itself.
"""

import fcntl
import socket

from oslotest import base

from dockermachine_osc import engine
from tests.unit.engine import hostroot

DPKG_QUERY = """#!/bin/sh
case $1 in
-S) grep -qx "$2" "$STATE/owned" && echo "docker.io: $2" ;;
-W) sed 's/^/installed /' "$STATE/packages" ;;
esac
"""
APT_GET = """#!/bin/sh
echo "apt-get $* offline=$SYSTEMD_OFFLINE" >>"$STATE/commands"
case " $* " in *' install '*) ;; *) exit 0 ;; esac
[ ! -e "$STATE/apt-fails" ] || { echo 'E: no space left'; exit 100; }
for each; do
    case $each in -*) continue ;; *=*) ;; *) continue ;; esac
    sed -i "s/^${each%%=*} .*/${each%%=*} ${each#*=}/" "$STATE/packages"
done
# A package whose systemctl does not know of chroots.
[ ! -e "$STATE/restarts-itself" ] || systemctl restart docker.service
"""
APT_CACHE = """#!/bin/sh
case $1 in
madison) sed -n "s/^$2 \\(.*\\)/ $2 | \\1 | http:\\/\\/x y/p" "$STATE/there" ;;
policy)
    echo "$2:"
    echo "  Candidate: $(sed -n "s/^$2 //p" "$STATE/there" | head -n 1)" ;;
esac
"""
APT_MARK = """#!/bin/sh
case $1 in
showhold) cat "$STATE/hold" 2>/dev/null ;;
showauto) echo containerd ;;
*) echo "apt-mark $*" >>"$STATE/commands" ;;
esac
"""
DOCKER = """#!/bin/sh
case "$*" in
'ps -q') echo one; echo two ;;
info*) cat "$STATE/live-restore" ;;
esac
"""
# The version 19 of the engine does not run.
SYSTEMCTL = hostroot.SYSTEMCTL.replace(
    'start() {\n',
    'start() {\n'
    '! grep -q "docker.io 19" "$STATE/packages" || {\n'
    '    echo failed >"$STATE/active"; return 1; }\n',
).replace(
    "'show -p ExecStart'*)",
    '\'show -p ExecMainStart\'*) wc -l <"$STATE/log" 2>/dev/null ;;\n'
    "'show -p ExecStart'*)",
)
INSTALLED = 'bash 5\ncontainerd 1.6.20\ndocker.io 20.10.24+dfsg1-1\nrunc 1.1\n'
THERE = """\
containerd 1.6.20
docker.io 28.2.2-0ubuntu1
docker.io 28.2.1-0ubuntu1
docker.io 20.10.24+dfsg1-1
docker.io 19.03.1-1
runc 1.1
"""


class UpgradeTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # The script looks whether the port listens; here we do it.
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        self.port = listener.getsockname()[1]
        self.host = self.useFixture(hostroot.HostRoot(unit='debian'))
        for name, text in {
            'dpkg-query': DPKG_QUERY,
            'apt-get': APT_GET,
            'apt-cache': APT_CACHE,
            'apt-mark': APT_MARK,
            'docker': DOCKER,
            'systemctl': SYSTEMCTL,
        }.items():
            self.host.program(name, text)
        self.state = self.host.state
        for name, text in {
            'active': 'active\n',
            'packages': INSTALLED,
            'there': THERE,
            'owned': f'{self.host.programs}/dockerd\n',
            'live-restore': 'false\n',
            'log': '',
        }.items():
            (self.state / name).write_text(text)

    def call(self, version='', wait=20):
        stage = self.host.root / 'run/stage'
        stage.mkdir()
        settings = engine.EngineSettings('m1', version=version, port=self.port)
        (stage / 'settings').write_text(settings.render())
        done = self.host.call('upgrade', stage, wait)
        self.assertFalse(stage.exists())
        self.assertEqual('', done.stderr)
        self.lines = done.stdout.splitlines()
        return engine.outcome(done.returncode, self.lines)

    def fails(self, code, *arguments, **options):
        error = self.assertRaises(
            engine.SetupFailed, self.call, *arguments, **options
        )
        self.assertEqual(code, error.exit_code, error)
        return error

    def refuses(self, code, *arguments):
        error = self.fails(code, *arguments)
        self.assertEqual(INSTALLED, self.packages())
        self.assertEqual([], self.host.log())
        return error

    def packages(self):
        return (self.state / 'packages').read_text()

    def installs(self):
        commands = self.state / 'commands'
        return [
            line
            for line in commands.read_text().splitlines()
            if ' install ' in line
        ]

    def test_newest(self):
        outcome = self.call()
        self.assertEqual(
            {
                'package': 'docker.io',
                'package-before': '20.10.24+dfsg1-1',
                'package-after': '28.2.2-0ubuntu1',
                'before': '20.10.24+dfsg1',
                'restarted': 'yes',
            },
            outcome.facts,
        )
        (command,) = self.installs()
        self.assertIn(' docker.io=28.2.2-0ubuntu1 offline=1', command)
        for option in ('--force-confold', '--no-remove'):
            self.assertIn(option, command)
        self.assertNotIn('runc', command)
        self.assertEqual(['restart'], self.host.log())
        self.assertIn('restarting the engine', outcome.steps)

    def test_fate_of_containers_comes_before_the_change(self):
        self.call()
        note = 'note 2 running container(s) stop with the engine, those with'
        (where,) = [i for i, x in enumerate(self.lines) if x.startswith(note)]
        self.assertIn('step changing docker.io', self.lines[where + 1])
        (self.state / 'live-restore').write_text('true\n')
        self.call('20.10.24')
        self.assertIn('run on: live-restore is set', str(self.lines))

    def test_nothing_new(self):
        self.call()
        outcome = self.call()
        self.assertEqual('no', outcome.facts['restarted'])
        self.assertEqual('28.2.2-0ubuntu1', outcome.facts['package-before'])
        self.assertEqual(1, len(self.installs()))
        self.assertEqual(['restart'], self.host.log())

    def test_versions_and_beginnings_of_them(self):
        for wanted, found in (
            ('28', '28.2.2-0ubuntu1'),
            ('28.2.1', '28.2.1-0ubuntu1'),
            ('20.10', '20.10.24+dfsg1-1'),
            ('28.2.1-0ubuntu1', '28.2.1-0ubuntu1'),
        ):
            facts = self.call(wanted).facts
            self.assertEqual(found, facts['package-after'], wanted)

    def test_no_such_version(self):
        for version in ('27', '28.2.2-0ubuntu1+x', '28.2.20', '2'):
            error = self.refuses(engine.EXIT_INSTALL, version)
            self.assertIn(f'no docker.io {version} for', error.cause)
            self.assertIn('28.2.2-0ubuntu1 28.2.1-0ubuntu1', error.cause)

    def test_newer_than_what_there_is(self):
        """The package came from a source that is no more."""
        (self.state / 'there').write_text('docker.io 19.03.1-1\n')
        outcome = self.call()
        self.assertEqual('no', outcome.facts['restarted'])
        self.assertEqual(INSTALLED, self.packages())

    def test_containerd_goes_along_and_is_restarted_with_it(self):
        (self.state / 'there').write_text(f'containerd 1.7\n{THERE}')
        self.call()
        (command,) = self.installs()
        self.assertIn(' containerd=1.7 offline', command)
        # Nobody had asked for it by name, so it still may go again.
        commands = (self.state / 'commands').read_text()
        self.assertIn('apt-mark auto containerd\n', commands)
        self.assertNotIn('apt-mark auto docker.io', commands)
        self.assertEqual(['restart'], self.host.log())

    def test_a_package_that_restarts_it_all_the_same(self):
        (self.state / 'restarts-itself').touch()
        self.assertEqual('yes', self.call().facts['restarted'])
        self.assertEqual(['restart'], self.host.log())

    def test_one_that_does_not_run_goes_again(self):
        self.host.program(
            'journalctl',
            '#!/bin/sh\necho "Starting docker"\n'
            'echo "failed to start daemon: too old"\n',
        )
        error = self.fails(engine.EXIT_START, '19.03')
        self.assertIn('docker.io 19.03.1-1: failed to start', error.cause)
        self.assertIn('20.10.24+dfsg1-1 is back, and runs', error.cause)
        self.assertIn('failed to start daemon: too old', error.tail)
        self.assertEqual(INSTALLED, self.packages())
        self.assertEqual('active\n', (self.state / 'active').read_text())

    def test_cut_off_before_the_restart(self):
        self.call()
        (self.host.run_dir / 'upgrading').write_text('20.10.24+dfsg1-1\n')
        (self.host.run_dir / 'packages').write_text(INSTALLED)
        facts = self.call().facts
        self.assertEqual('20.10.24+dfsg1-1', facts['package-before'])
        self.assertEqual('28.2.2-0ubuntu1', facts['package-after'])
        self.assertEqual(['restart', 'restart'], self.host.log())
        self.call()
        self.assertEqual(['restart', 'restart'], self.host.log())

    def test_apt_fails(self):
        (self.state / 'apt-fails').touch()
        error = self.refuses(engine.EXIT_INSTALL)
        self.assertEqual('apt-get: no space left', error.cause)
        self.assertIn('E: no space left', error.tail)
        (self.state / 'apt-fails').unlink()
        self.assertEqual('yes', self.call().facts['restarted'])

    def test_on_hold(self):
        (self.state / 'hold').write_text('docker.io\n')
        error = self.refuses(engine.EXIT_CONFLICT)
        self.assertIn('docker.io is on hold', error.cause)
        self.assertIn('apt-mark unhold docker.io', error.hint)

    def test_of_no_package(self):
        (self.state / 'owned').write_text('')
        error = self.refuses(engine.EXIT_UNSUPPORTED)
        self.assertIn('/dockerd, is of no package', error.cause)

    def test_snap(self):
        unit = 'etc/systemd/system/snap.docker.dockerd.service'
        self.host.write(unit, '[Service]\n')
        error = self.refuses(engine.EXIT_CONFLICT)
        self.assertIn('snap refresh docker', error.hint)

    def test_no_engine(self):
        (self.host.root / 'lib/systemd/system/docker.service').unlink()
        error = self.refuses(engine.EXIT_CONFLICT)
        self.assertIn('machine provision', error.hint)

    def test_one_at_a_time(self):
        path = self.host.write('run/docker-machine/serving', '')
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.fails(engine.EXIT_TIMEOUT, wait=1)
        self.assertEqual('yes', self.call().facts['restarted'])

    def test_what_takes_too_long_goes_on(self):
        self.host.program(
            'apt-get', APT_GET.replace('offline=', 'o=', 1) + 'sleep 3\n'
        )
        error = self.fails(engine.EXIT_TIMEOUT, wait=1)
        self.assertIn('goes on', error.cause)
        outcome = self.call()
        self.assertIn('waiting for another set-up of this host', outcome.steps)
        self.assertEqual('28.2.2-0ubuntu1', outcome.facts['package-after'])
        self.assertEqual(['restart'], self.host.log())


class PickTest(base.BaseTestCase):
    def test_pick(self):
        host = self.useFixture(hostroot.HostRoot())
        versions = '5:28.2.2-1~debian.12~bookworm 5:28.2.1-1~d 3:27.0-1.el9'
        for wanted, found in (
            ('28', '5:28.2.2-1~debian.12~bookworm'),
            ('28.2.1', '5:28.2.1-1~d'),
            ('5:28.2.1-1~d', '5:28.2.1-1~d'),
            ('27', '3:27.0-1.el9'),
            ('28.2.10', ''),
            ('8', ''),
        ):
            done = host.function(f"printf '%s\\n' {versions} | pick {wanted}")
            self.assertEqual(found, done.stdout.strip(), wanted)


#: rpm's database, and dnf's answers, as the two say them.
RPM = """#!/bin/sh
case $1 in
-qf) echo docker-ce ;;
-qa) cat "$STATE/packages" ;;
esac
"""
DNF = """#!/bin/sh
echo "dnf $*" >>"$STATE/commands"
case " $* " in
*' repoquery '*) for name; do :; done; sed -n "s/^$name //p" "$STATE/there" ;;
esac
"""


class DnfTest(base.BaseTestCase):
    """What is asked of dnf; there is none here to answer really."""

    def setUp(self):
        super().setUp()
        self.host = self.useFixture(
            hostroot.HostRoot('rocky-9', unit='docker-ce')
        )
        for name, text in {'rpm': RPM, 'dnf': DNF}.items():
            self.host.program(name, text)
        (self.host.state / 'packages').write_text(
            'containerd.io 1.7.1-1\ndocker-ce 3:28.1.0-1.el9\n'
            'docker-ce-cli 1:28.1.0-1.el9\n'
        )
        (self.host.state / 'there').write_text(
            'docker-ce 3:27.5.1-1.el9\ndocker-ce 3:28.2.2-1.el9\n'
            'docker-ce-cli 1:27.5.1-1.el9\ndocker-ce-cli 1:28.2.2-1.el9\n'
            'containerd.io 1.7.1-1\n'
        )

    def change(self, version=''):
        """Run what comes before the restart, with rpm and dnf only."""
        done = self.host.function(
            'command() { [ "$2" = rpm ] || [ "$2" = dnf ]; }\n'
            f'version={version}; find_package; want; change $wanted'
        )
        self.assertEqual('', done.stderr)
        *_, last = (self.host.state / 'commands').read_text().splitlines()
        return last

    def test_newest(self):
        self.assertTrue(
            self.change().endswith(
                ' upgrade docker-ce-3:28.2.2-1.el9 '
                'docker-ce-cli-1:28.2.2-1.el9'
            )
        )

    def test_older(self):
        self.assertTrue(
            self.change('27').endswith(
                ' downgrade docker-ce-3:27.5.1-1.el9 '
                'docker-ce-cli-1:27.5.1-1.el9'
            )
        )
