# SPDX-License-Identifier: Apache-2.0
"""The system's ssh, played by a small program on PATH."""

import os
import pathlib
import signal
import socket

import fixtures
from oslotest import base

from dockermachine_osc import errors, host, openssh, system_ssh

#: Runs the command here; what it was called with stands in $TOLD.
_RUNS = """\
#!/bin/sh
printf '%s\\n' "$@" >"$TOLD"
while [ "$1" != -- ]; do shift; done
shift
exec sh -c "$*"
"""


class SystemSshTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.told = self.folder / 'told'
        self.setenv('TOLD', str(self.told))
        self.setenv('PATH', f'{self.folder}:/usr/bin:/bin')

    def setenv(self, name, value):
        self.useFixture(fixtures.EnvironmentVariable(name, value))

    def ssh(self, text=_RUNS):
        path = self.folder / 'ssh'
        path.write_text(text)
        path.chmod(0o755)

    def run_there(self, command, stdin=b'', **options):
        there = system_ssh.SystemHost(['ssh', '-l', 'me', '192.0.2.1'])
        return there.run(command, stdin, **options)

    def fails(self, kind, expected, command='true', **options):
        error = self.assertRaises(kind, self.run_there, command, **options)
        self.assertIn(expected, str(error))


class RunTest(SystemSshTestCase):
    def test_result(self):
        self.ssh()
        result = self.run_there('echo a; echo b >&2; exit 3')
        self.assertEqual(
            (3, 'a', 'b\n'), (result.status, result.stdout, result.stderr)
        )

    def test_never_asks_anybody(self):
        self.ssh()
        self.run_there('true')
        arguments = self.told.read_text().splitlines()
        self.assertEqual('-T', arguments[0])
        self.assertIn('BatchMode=yes', arguments)
        self.assertEqual(
            ['-l', 'me', '192.0.2.1', '--', 'true'], arguments[-5:]
        )

    def test_lines_as_they_come(self):
        self.ssh()
        lines, read = [], self.folder / 'read'

        def note(line):
            lines.append(line)
            read.touch()

        # The second one comes only when the first has been seen.
        self.run_there(
            f'echo one; until [ -e {read} ]; do sleep 0.01; done; echo two',
            on_line=note,
            timeout=60,
        )
        self.assertEqual(['one', 'two'], lines)

    def test_much_in_all_directions(self):
        self.ssh()
        data = bytes(range(256)) * 8192
        much = 'head -c 1000000 /dev/zero'
        result = self.run_there(
            f'{much} >&2; {much} >&2; {much} >&2; {much} | tr "\\0" x; '
            'wc -c; echo end >&2',
            data,
            timeout=60,
        )
        self.assertTrue(result.stdout.endswith(str(len(data))))
        self.assertTrue(result.stderr.endswith('end\n'))
        self.assertLess(len(result.stderr), 3000000)

    def test_line_without_end_is_bounded(self):
        self.ssh()
        lines = []
        result = self.run_there(
            'head -c 3000000 /dev/zero | tr "\\0" x; echo; echo next',
            on_line=lines.append,
            timeout=60,
        )
        self.assertEqual([1 << 20, 4], [len(line) for line in lines])
        self.assertEqual(1 << 20, len(result.stdout))

    def test_nothing_of_the_users_session_goes_along(self):
        """As ssh itself understands it, whatever is set for all hosts."""
        config = self.folder / 'config'
        config.write_text(
            'Host *\n ForwardAgent yes\n ForwardX11 yes\n'
            ' RemoteForward 1234 localhost:22\n PasswordAuthentication yes\n'
        )
        self.ssh(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} -G "$@"\n')
        said = openssh.resolved(self.run_there('true').stdout)
        for option in ('forwardagent', 'forwardx11'):
            self.assertEqual('no', said[option])
        self.assertEqual('yes', said['batchmode'])
        self.assertNotIn('remoteforward', said)

    def test_who_does_not_listen(self):
        self.ssh()
        result = self.run_there('exec 0<&-; exit 4', b'x' * 1000000)
        self.assertEqual(4, result.status)

    def test_no_text(self):
        self.ssh()
        result = self.run_there("printf '\\377\\n'")
        self.assertEqual('\N{REPLACEMENT CHARACTER}', result.stdout)

    def test_not_done_in_time(self):
        self.ssh('#!/bin/sh\nexec sleep 600\n')
        self.fails(errors.HostFailure, '--timeout', timeout=0.2)

    def test_not_done_in_time_with_a_proxy_that_lives_on(self):
        pid = self.folder / 'pid'
        self.ssh(
            f'#!/bin/sh\nsleep 999 >&2 & echo $! >{pid}\nexec sleep 600\n'
        )
        self.fails(errors.HostFailure, '--timeout', timeout=1)
        os.kill(int(pid.read_text()), signal.SIGKILL)

    def test_interrupted(self):
        """Whoever gives up leaves no ssh behind."""
        self.ssh('#!/bin/sh\necho $$\nexec sleep 600\n')
        pids = []

        def interrupt(line):
            pids.append(line)
            raise KeyboardInterrupt

        self.assertRaises(
            KeyboardInterrupt, self.run_there, 'true', on_line=interrupt
        )
        self.assertFalse(pathlib.Path('/proc', pids[0]).exists())


class FailureTest(SystemSshTestCase):
    def test_in_the_words_of_ssh(self):
        for said, kind, expected in (
            (
                'Host key verification failed.',
                host.HostKeyChanged,
                'does not trust the host: Host key verification failed.',
            ),
            (
                'me@192.0.2.1: Permission denied (publickey).',
                host.AuthenticationRefused,
                'ssh-add -l',
            ),
            (
                'ssh: connect to host 192.0.2.1 port 22: Connection refused',
                errors.HostFailure,
                'Connection refused',
            ),
            ('', errors.HostFailure, 'it says nothing'),
        ):
            self.ssh(f'#!/bin/sh\necho "{said}" >&2\nexit 255\n')
            self.fails(kind, expected)

    def test_connection_breaks(self):
        """Something was said before: the command had begun."""
        said = 'Timeout, server 192.0.2.1 not responding.'
        self.ssh(f'#!/bin/sh\necho step x\necho "{said}" >&2\nexit 255\n')
        self.fails(host.ConnectionLost, said)

    def test_words_that_steer_the_terminal(self):
        self.ssh("#!/bin/sh\nprintf 'no \\033[2J way\\n' >&2\nexit 255\n")
        error = self.assertRaises(errors.HostFailure, self.run_there, 'true')
        self.assertNotIn('\x1b', str(error))

    def test_no_ssh(self):
        self.setenv('PATH', str(self.folder))
        self.fails(errors.HostFailure, 'openssh-client')
        error = self.assertRaises(
            errors.HostFailure, system_ssh.configuration, ['ssh', 'x']
        )
        self.assertIn('openssh-client', str(error))


class ConfigurationTest(SystemSshTestCase):
    def test_printed(self):
        self.ssh('#!/bin/sh\necho "$@"\n')
        self.assertEqual(
            '-G -l me web\n',
            system_ssh.configuration(['ssh', '-l', 'me', 'web']),
        )

    def test_offence_taken(self):
        self.ssh('#!/bin/sh\necho "Bad configuration option" >&2\nexit 255\n')
        error = self.assertRaises(
            errors.HostFailure, system_ssh.configuration, ['ssh', 'web']
        )
        self.assertIn('Bad configuration option', str(error))


class ReachesTest(base.BaseTestCase):
    def test_open_and_closed(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            self.assertTrue(system_ssh.reaches('127.0.0.1', port, 5))
        self.assertTrue(system_ssh.reaches('127.0.0.1', port, 5))

    def test_no_answer(self):
        """Linux drops what comes while the queue is full."""
        with socket.create_server(('127.0.0.1', 0), backlog=0) as server:
            address, port = server.getsockname()
            with socket.create_connection((address, port)):
                self.assertFalse(system_ssh.reaches(address, port, 0.2))
