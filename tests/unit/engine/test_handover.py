# SPDX-License-Identifier: Apache-2.0
"""The remote command, run by real shells with a sudo of our own."""

import io
import pathlib
import re
import shlex
import subprocess
import tarfile

import fixtures
from oslotest import base

from dockermachine_osc import engine
from dockermachine_osc.engine import settings as engine_settings

SETTINGS = engine.EngineSettings('m1')
SECRET = b'-----BEGIN PRIVATE KEY-----\nsecret\n'
SUDO = '#!/bin/sh\n[ "$1" = -n ] && shift && exec "$@"\n'
NO_SUDO = '#!/bin/sh\necho "sudo: a password is required" >&2\nexit 1\n'
SETUP = '#!/bin/sh\necho "setup $*"; ls "$2"; cat "$2/server-key.pem"\n'


def parcel(wait=30):
    goods = engine.tls_files(b'ca', b'certificate', SECRET)
    return engine.handover(SETTINGS, goods, wait)


class CommandTest(base.BaseTestCase):
    """The command is run as a login user would, who is not root."""

    def setUp(self):
        super().setUp()
        top = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.programs, self.run_dir = top / 'bin', top / 'run'
        self.programs.mkdir()
        self.run_dir.mkdir()

    def program(self, name, text):
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def run_it(self, uid='1000', sudo=SUDO, stdin=None, shell='sh'):
        if uid:
            self.program('id', f'#!/bin/sh\necho {uid}\n')
        self.program('sudo', sudo)
        command = parcel().command.replace('/run/', f'{self.run_dir}/')
        return subprocess.run(
            [shell, '-c', command],
            input=stdin if stdin is not None else self.archive(),
            capture_output=True,
            env={'PATH': f'{self.programs}:/usr/bin:/bin'},
            timeout=30,
            check=False,
        )

    def archive(self):
        """The parcel with another script in it, which does no harm."""
        buffer = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(parcel().stdin)) as before,
            tarfile.open(fileobj=buffer, mode='w') as after,
        ):
            for member in before:
                data = before.extractfile(member).read()
                if member.name == 'setup.sh':
                    data = SETUP.encode()
                    member.size = len(data)
                after.addfile(member, io.BytesIO(data))
        return buffer.getvalue()

    def check(self, done):
        lines = done.stdout.decode().splitlines()
        self.assertEqual(0, done.returncode)
        words = lines[0].split()
        self.assertEqual(['setup', 'serve'], words[:2])
        self.assertEqual('30', words[3])
        self.assertEqual(
            ['ca.pem', 'now', 'server-key.pem', 'server.pem', 'settings'],
            lines[1:6],
        )
        self.assertEqual(
            ['setup.sh', *SECRET.decode().splitlines()], lines[6:]
        )

    def test_by_sudo(self):
        self.check(self.run_it())

    def test_root_needs_no_sudo(self):
        self.check(self.run_it(uid='0', sudo=NO_SUDO))

    def test_under_bash_as_login_shell(self):
        self.check(self.run_it(shell='bash'))

    def test_sudo_wants_a_password(self):
        done = self.run_it(sudo=NO_SUDO)
        self.assertEqual(engine.EXIT_SUDO, done.returncode)
        self.assertEqual([], list(self.run_dir.iterdir()))

    def test_exit_code_of_the_set_up_is_kept(self):
        done = self.run_it(sudo='#!/bin/sh\nexit 71\n')
        self.assertEqual(engine.EXIT_CONFLICT, done.returncode)

    def test_damaged_parcel_leaves_nothing(self):
        done = self.run_it(stdin=b'no archive at all')
        self.assertEqual(engine.EXIT_STAGING, done.returncode)
        self.assertEqual([], list(self.run_dir.iterdir()))

    def test_any_login_shell_can_read_it(self):
        command = parcel().command
        self.assertNotRegex(command, '[\\\\\\n!`]')
        # an even number of single quotes, none inside of another
        self.assertEqual(['exec', 'sh', '-c'], shlex.split(command)[:3])
        self.assertEqual(4, command.count("'"))

    def test_no_name_that_others_can_guess(self):
        """Whoever is on the host could take it first, as a link elsewhere."""
        self.assertIn('mktemp -d /run/docker-machine.XXXXXX', parcel().command)
        script = engine_settings.setup_script().decode()
        self.assertNotRegex(script, r'(^|[^a-z])(tmp/|/tmp|/dev/shm)')

    def test_no_secret_in_it(self):
        handover = parcel()
        self.assertNotIn('secret', handover.command)
        self.assertNotIn('secret', repr(handover))
        self.assertIn(b'secret', handover.stdin)


class ParcelTest(base.BaseTestCase):
    def test_files(self):
        with tarfile.open(fileobj=io.BytesIO(parcel().stdin)) as archive:
            members = archive.getmembers()
            files = {m.name: archive.extractfile(m).read() for m in members}
        self.assertEqual({0o600}, {m.mode for m in members})
        self.assertEqual(SECRET, files['server-key.pem'])
        self.assertEqual(SETTINGS.render().encode(), files['settings'])
        self.assertEqual(engine_settings.setup_script(), files['setup.sh'])

    def test_same_again(self):
        self.assertEqual(parcel(), parcel())


class OutcomeTest(base.BaseTestCase):
    def failure(self, code, *lines):
        return self.assertRaises(
            engine.SetupFailed, engine.outcome, code, lines
        )

    def test_well(self):
        outcome = engine.outcome(0, ['step a b\n', 'noise', 'ready 28.2.2\n'])
        self.assertEqual('28.2.2', outcome.version)
        self.assertEqual(('a b',), outcome.steps)

    def test_progress(self):
        self.assertEqual('a b', engine.progress('step a b\n'))
        self.assertIsNone(engine.progress('stepping stone'))
        self.assertIsNone(engine.progress('tail step a'))
        self.assertEqual('a[2Jb', engine.progress('step a\x1b[2Jb'))

    def test_failure(self):
        error = self.failure(
            70, 'step x', 'tail one', 'tail two', 'hint do', 'failed why'
        )
        self.assertEqual('why', error.cause)
        self.assertEqual('do', error.hint)
        self.assertEqual(('one', 'two'), error.tail)
        self.assertEqual('why\n  | one\n  | two\ndo', str(error))

    def test_another_user_has_to_log_in(self):
        said = 'Please login as the user "debian" rather than "root".'
        error = self.failure(142, said)
        self.assertIn(said, error.cause)
        self.assertIn('--ssh-user', error.hint)
        self.assertEqual('', self.failure(1, 'sh: no such thing').hint)

    def test_host_has_no_room_for_what_it_is_handed(self):
        error = self.failure(
            engine.EXIT_STAGING, 'tar: x: No space left on device'
        )
        self.assertIn('tar: x: No space left on device', error.cause)

    def test_ready_is_not_enough(self):
        self.assertEqual(1, self.failure(1, 'ready 28').exit_code)
        self.assertEqual(0, self.failure(0, 'step x').exit_code)

    def test_no_words_at_all(self):
        self.assertIn('exit code 3', self.failure(3).cause)
        self.assertIn('password', self.failure(engine.EXIT_SUDO).cause)
        self.assertIn('tar', self.failure(engine.EXIT_STAGING).cause)
        self.assertIn('sudo', self.failure(engine.EXIT_NO_COMMAND).cause)

    def test_a_host_cannot_flood_or_steer_us(self):
        lines = [f'tail {i} \x1b[2J\x07' + 'x' * 9999 for i in range(999)]
        error = self.failure(70, *lines)
        self.assertEqual(40, len(error.tail))
        self.assertTrue(error.tail[-1].startswith('998 [2J'))
        self.assertIsNone(re.search('[\x00-\x09\x0b-\x1f]', str(error)))
        self.assertLess(len(str(error)), 20_000)
