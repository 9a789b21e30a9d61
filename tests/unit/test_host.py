# SPDX-License-Identifier: Apache-2.0
"""Real SSH over loopback, with real keys."""

import logging
import socket
import time
from pathlib import Path

import fixtures
from cryptography.hazmat.primitives import serialization
from oslotest import base

from dockermachine_osc import errors, host
from dockermachine_osc.waiting import Deadline
from tests.unit import sshserver, workbench

ADDRESS = '127.0.0.1'


class HostTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # What paramiko logs of the connections that are to fail.
        logging.getLogger('paramiko').setLevel(logging.CRITICAL)
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(fixtures.EnvironmentVariable('HOME', str(self.folder)))
        self.useFixture(fixtures.EnvironmentVariable('SSH_AUTH_SOCK'))
        self.private, self.key = sshserver.new_key()
        self.server = self.useFixture(sshserver.SshServer(self.key))
        self.login = host.Login('debian', self.file('key', self.private))

    def file(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def connect(self, known=None, login=None, port=None):
        known = [self.server.key_line] if known is None else known
        port = port or self.server.port
        return host.connect(ADDRESS, port, login or self.login, known)

    def assertRefused(self, error, *words, **options):
        def attempt():
            with self.connect(**options):
                self.fail('was let in')

        raised = self.assertRaises(error, attempt)
        for text in words:
            self.assertIn(text, str(raised))
        self.assertEqual([], self.server.commands)


class TestHostKey(HostTestCase):
    def test_right(self):
        with self.connect() as there:
            self.assertEqual(self.server.key_line, there.key_line)
        self.assertEqual([('debian', self.key)], self.server.attempts)

    def test_right_among_others(self):
        rsa = 'ecdsa-sha2-nistp256 ' + ecdsa_key().get_base64()
        with self.connect([rsa, self.server.key_line]) as there:
            self.assertEqual(self.server.key_line, there.key_line)

    def test_wrong(self):
        _, other = sshserver.new_key()
        self.assertRefused(
            host.HostKeyChanged,
            'another host key',
            'debian@127.0.0.1',
            known=[f'{other.get_name()} {other.get_base64()}'],
        )
        self.assertEqual([], self.server.attempts)

    def test_wrong_type(self):
        """Only keys of another type are known: none of them was shown."""
        other = ecdsa_key()
        self.assertRefused(
            host.HostKeyChanged,
            known=[f'{other.get_name()} {other.get_base64()}'],
        )
        self.assertEqual([], self.server.attempts)

    def test_known_key_that_is_none(self):
        """It may come from metadata that others can write."""
        for line in (
            'ssh-ed25519 AAAA',
            'ssh-ed25519 A',
            'ssh-ed25519 ' + self.server.key_line.split()[1][:40],
            'ssh-rsa AAAAB3NzaC1yc2EAAAABAAAAAQA=',
            'ssh-rsa AAAAB3NzaC1yc2EAAAAE/////wAAAAX//////w==',
            'x',
        ):
            self.assertRefused(host.HostKeyChanged, known=[line])
        self.assertEqual([], self.server.attempts)

    def test_none_known(self):
        with self.connect([]) as there:
            line = there.key_line
        self.assertEqual(self.server.key_line, line)
        with self.connect([line]) as there:
            self.assertEqual(line, there.key_line)

    def test_files_of_the_user_have_no_say(self):
        _, other = sshserver.new_key()
        line = f'[{ADDRESS}]:{self.server.port} {other.get_name()} '
        self.file('.ssh/known_hosts', (line + other.get_base64()).encode())
        with self.connect():
            pass
        with self.connect([]):
            pass


class TestLogin(HostTestCase):
    def test_refused(self):
        private, _ = sshserver.new_key()
        login = host.Login('debian', self.file('other', private))
        self.assertRefused(
            host.AuthenticationRefused,
            'does not accept the key',
            str(login.key),
            login=login,
        )

    def test_nothing_but_a_key_is_tried(self):
        """Neither a password, which this host takes, nor the agent."""
        other = self.file('other', sshserver.new_key()[0])
        login = host.Login('debian', other)
        self.assertRefused(host.AuthenticationRefused, login=login)
        self.server.played['true'] = lambda channel, server: 0
        with self.connect() as there:
            there.run('true')
        self.assertEqual([], self.server.demanded)

    def test_no_other_key_is_tried(self):
        self.file('.ssh/id_ed25519', self.private)
        private, key = sshserver.new_key()
        login = host.Login('debian', self.file('other', private))
        self.assertRefused(host.AuthenticationRefused, login=login)
        self.assertEqual({'debian'}, {u for u, _ in self.server.attempts})
        self.assertTrue(all(k == key for _, k in self.server.attempts))

    def test_default_key_of_the_user(self):
        self.file('.ssh/id_ed25519', self.private)
        with self.connect(login=host.Login('debian', None, agent=True)):
            pass

    def test_nothing_to_log_in_with(self):
        self.assertRefused(
            errors.HostFailure, login=host.Login('debian', None, agent=True)
        )

    def test_passphrase(self):
        self.assertRefused(
            host.AuthenticationRefused,
            'has a passphrase',
            'ssh-add',
            login=host.Login('debian', self.locked_key()),
        )

    def test_key_file_that_is_none(self):
        login = host.Login('debian', self.file('junk', b'junk'))
        self.assertRefused(errors.HostFailure, login=login)

    def test_key_file_that_is_gone(self):
        login = host.Login('debian', self.folder / 'nope')
        self.assertRefused(errors.HostFailure, login=login)

    def locked_key(self):
        key = serialization.load_ssh_private_key(self.private, None)
        return self.file(
            'locked',
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.BestAvailableEncryption(b'secret'),
            ),
        )


class TestCheckKey(HostTestCase):
    def setUp(self):
        super().setUp()
        self.public = f'{self.key.get_name()} {self.key.get_base64()} me@x'
        _, other = sshserver.new_key()
        self.other = f'{other.get_name()} {other.get_base64()}'

    def refuses(self, public, key, words):
        error = self.assertRaises(
            errors.InvalidRequest, host.check_key, public, key
        )
        self.assertIn(words, str(error))

    def test_file(self):
        host.check_key(self.public, self.login.key)
        self.refuses(self.other, self.login.key, 'not the private key')

    def test_locked_file(self):
        locked = TestLogin.locked_key(self)
        host.check_key(self.other, locked)
        self.file('locked.pub', self.public.encode())
        host.check_key(self.public, locked)
        self.refuses(self.other, locked, 'not the private key')

    def test_default_keys(self):
        self.refuses(self.public, None, 'ssh-add')
        self.file('.ssh/id_ed25519', self.private)
        host.check_key(self.public, None)
        self.refuses(self.other, None, 'ssh-add')


class TestRun(HostTestCase):
    def play(self, function, stdin=b'', **options):
        self.server.played['do it'] = function
        with self.connect() as there:
            return there.run('do it', stdin, **options)

    def test_output_and_status(self):
        def play(channel, server):
            channel.sendall(b'out\n')
            channel.sendall_stderr(b'err\n')
            return 3

        result = self.play(play)
        self.assertEqual(host.Result(3, 'out\n', 'err\n'), result)
        self.assertEqual(['do it'], self.server.commands)

    def test_stdin(self):
        def play(channel, server):
            received = bytearray()
            while data := channel.recv(4096):
                received += data
            channel.sendall(str(sum(received)).encode())
            return 0

        data = bytes(range(256)) * 1000
        result = self.play(play, data)
        self.assertEqual(str(sum(data)), result.stdout)

    def test_without_stdin_it_ends(self):
        def play(channel, server):
            return len(channel.recv(1))

        self.assertEqual(0, self.play(play).status)

    def test_lines_as_they_come(self):
        lines = []
        ready = sshserver.threading.Event()

        def on_line(line):
            lines.append(line)
            ready.set()

        def play(channel, server):
            channel.sendall(b'fir')
            channel.sendall(b'st\nsec')
            self.assertTrue(ready.wait(20), 'no line before the end')
            channel.sendall('ond ü \xff\nlast'.encode('latin-1'))
            return 0

        result = self.play(play, on_line=on_line)
        self.assertEqual(['first', 'second \ufffd \ufffd', 'last'], lines)
        self.assertTrue(result.stdout.endswith('last'))

    def test_endless_output_is_bounded(self):
        line = b'x' * 1023 + b'\n'

        def play(channel, server):
            for _ in range(3000):
                channel.sendall(line)
            return 0

        lines = []
        result = self.play(play, on_line=lines.append)
        self.assertEqual(1 << 20, len(result.stdout))
        self.assertEqual(3000, len(lines))

    def test_line_without_end_is_bounded(self):
        def play(channel, server):
            for _ in range(3000):
                channel.sendall(b'x' * 1024)
            channel.sendall(b'\nnext')
            return 0

        lines = []
        self.play(play, on_line=lines.append)
        self.assertEqual([1 << 20, 4], [len(line) for line in lines])

    def test_a_host_that_goes_on_and_on(self):
        def play(channel, server):
            while True:
                channel.sendall(b'alive\n')
                time.sleep(0.01)

        error = self.assertRaises(
            errors.HostFailure, self.play, play, timeout=0.5
        )
        self.assertIn('not done within 0.5 s', str(error))

    def test_much_on_stderr(self):
        def play(channel, server):
            for _ in range(3000):
                channel.sendall_stderr(b'x' * 1024)
            return 0

        result = self.play(play, timeout=20)
        self.assertEqual(1 << 20, len(result.stderr))

    def test_silence(self):
        def play(channel, server):
            channel.recv(1)

        error = self.assertRaises(
            errors.HostFailure, self.play, play, timeout=0.1
        )
        self.assertIn('not done within 0.1 s', str(error))

    def test_command_that_closes_its_output_and_runs_on(self):
        def play(channel, server):
            channel.recv(1)
            channel.shutdown_write()

        error = self.assertRaises(
            errors.HostFailure, self.play, play, timeout=0.1
        )
        self.assertIn('not done within 0.1 s', str(error))

    def test_connection_breaks(self):
        def play(channel, server):
            channel.recv(1)
            channel.sendall(b'step one\n')
            server.hang_up()

        lines = []
        error = self.assertRaises(
            errors.HostFailure, self.play, play, on_line=lines.append
        )
        self.assertIn('connection broke', str(error))

    def test_command_that_is_killed(self):
        """No exit status comes, as when the process got a signal."""

        def play(channel, server):
            channel.recv(1)
            channel.close()

        error = self.assertRaises(errors.HostFailure, self.play, play)
        self.assertIn('was killed', str(error))

    def test_after_the_end(self):
        with self.connect() as there:
            pass
        self.assertRaises(errors.HostFailure, there.run, 'x')
        self.assertRaises(errors.HostFailure, lambda: there.key_line)


class TestReach(HostTestCase):
    def setUp(self):
        super().setUp()
        self.clock = self.useFixture(workbench.Clock())

    def test_open(self):
        self.assertEqual('', host.probe(ADDRESS, self.server.port))
        host.wait_open(ADDRESS, self.server.port, Deadline(5))

    def test_closed(self):
        port = sshserver.closed_port()
        self.assertEqual('connection refused', host.probe(ADDRESS, port))
        error = self.assertRaises(
            errors.DeadlineExceeded,
            host.wait_open,
            ADDRESS,
            port,
            Deadline(5),
        )
        for words in (f'{ADDRESS} port {port}', 'refused', '5 s'):
            self.assertIn(words, str(error))
        self.assertRefused(errors.HostFailure, 'onnection refused', port=port)

    def test_something_else(self):
        port = self.useFixture(sshserver.Banner(b'220 mail\r\n')).port
        self.assertIn('else than SSH', host.probe(ADDRESS, port))
        self.assertRefused(errors.HostFailure, 'failed', port=port)

    def test_banner_that_steers_the_terminal(self):
        for text in (b'SSH-1.\x1b[2J\r\n', b'SSH-2.0\x1b]0;x\x07\r\n'):
            port = self.useFixture(sshserver.Banner(text)).port
            error = self.assertRaises(
                errors.HostFailure, self.connect(port=port).__enter__
            )
            self.assertNotIn('\x1b', str(error))

    def test_hangs_up(self):
        port = self.useFixture(sshserver.Banner(b'')).port
        self.assertNotEqual('', host.probe(ADDRESS, port))
        self.assertRefused(errors.HostFailure, 'failed', port=port)

    def test_silent(self):
        path = 'dockermachine_osc.host.CONNECT_TIMEOUT'
        self.useFixture(fixtures.MonkeyPatch(path, 0.05))
        with socket.create_server((ADDRESS, 0)) as silent:
            port = silent.getsockname()[1]
            self.assertEqual('no answer', host.probe(ADDRESS, port))

    def test_busy_host(self):
        """The exchange of keys may take longer than a connection."""
        path = 'dockermachine_osc.host.CONNECT_TIMEOUT'
        self.useFixture(fixtures.MonkeyPatch(path, 0.3))
        self.server.delay = 1.0
        with self.connect() as there:
            self.assertEqual(self.server.key_line, there.key_line)

    def test_opens_later(self):
        path = 'dockermachine_osc.host.probe'
        answers = ['connection refused', 'no answer', '']
        self.useFixture(fixtures.MonkeyPatch(path, lambda *a: answers.pop(0)))
        host.wait_open(ADDRESS, 22, Deadline(60))
        self.assertEqual([], answers)


def ecdsa_key():
    import paramiko

    return paramiko.ECDSAKey.generate()
