# SPDX-License-Identifier: Apache-2.0
"""What we print is given to real shells; those that every Debian has."""

import subprocess
from pathlib import Path

import fixtures
import hypothesis
from hypothesis import strategies
from oslotest import base

from dockermachine_osc import errors, shells
from tests.unit import fuzz

COMMAND = 'openstack docker machine env web1'
VARIABLES = [
    ('DOCKER_TLS_VERIFY', '1'),
    ('DOCKER_HOST', 'tcp://192.0.2.1:2376'),
]
HINT = 'Run this command to configure your shell: '
POSIX = (
    'export DOCKER_TLS_VERIFY="1"\n'
    'export DOCKER_HOST="tcp://192.0.2.1:2376"\n'
    f'# {HINT}\n'
    '# eval "$(openstack docker machine env web1)"\n'
)
CSH = (
    'setenv DOCKER_TLS_VERIFY "1";\n'
    'setenv DOCKER_HOST "tcp://192.0.2.1:2376";\n'
    f': {HINT}\n'
    ': \'eval "`openstack docker machine env web1`"\'\n'
)
POWERSHELL = (
    '$Env:DOCKER_TLS_VERIFY = "1"\n'
    '$Env:DOCKER_HOST = "tcp://192.0.2.1:2376"\n'
    f'# {HINT}\n'
    '# & openstack docker machine env web1 | Invoke-Expression\n'
)
EXPECTED = {
    'sh': POSIX,
    'bash': POSIX,
    'zsh': POSIX,
    'ksh': POSIX,
    'dash': POSIX,
    'fish': (
        'set -gx DOCKER_TLS_VERIFY "1";\n'
        'set -gx DOCKER_HOST "tcp://192.0.2.1:2376";\n'
        f'# {HINT}\n'
        '# eval (openstack docker machine env web1)\n'
    ),
    'tcsh': CSH,
    'csh': CSH.replace('\n: ', '\nif (0) echo '),
    'powershell': POWERSHELL,
    'pwsh': POWERSHELL,
    'cmd': (
        'SET DOCKER_TLS_VERIFY=1\n'
        'SET DOCKER_HOST=tcp://192.0.2.1:2376\n'
        f'REM {HINT}\n'
        'REM \t@FOR /f "tokens=*" %i IN '
        "('openstack docker machine env web1') DO @%i\n"
    ),
    'emacs': (
        '(setenv "DOCKER_TLS_VERIFY" "1")\n'
        '(setenv "DOCKER_HOST" "tcp://192.0.2.1:2376")\n'
        f';; {HINT}\n'
        ';; (with-temp-buffer (shell-command '
        '"openstack docker machine env web1" (current-buffer)) '
        '(eval-buffer))\n'
    ),
}
UNSET = {
    'sh': 'unset X',
    'bash': 'unset X',
    'zsh': 'unset X',
    'ksh': 'unset X',
    'dash': 'unset X',
    'fish': 'set -e X;',
    'tcsh': 'unsetenv X;',
    'csh': 'unsetenv X;',
    'powershell': 'Remove-Item Env:\\X',
    'pwsh': 'Remove-Item Env:\\X',
    'cmd': 'SET X=',
    'emacs': '(setenv "X" nil)',
}


class TestText(base.BaseTestCase):
    def test_set(self):
        self.assertEqual(set(EXPECTED), set(shells.SHELLS))
        for shell, text in EXPECTED.items():
            self.assertEqual(text, shells.render(shell, VARIABLES, COMMAND))

    def test_unset(self):
        self.assertEqual(set(UNSET), set(shells.SHELLS))
        for shell, line in UNSET.items():
            text = shells.render(shell, [('X', None)], COMMAND)
            self.assertEqual(line, text.splitlines()[0])

    def test_no_proxy_is_unset_by_its_name(self):
        text = shells.render('sh', [('NO_PROXY', None)], COMMAND)
        self.assertEqual('unset NO_PROXY', text.splitlines()[0])

    def test_hint_stays_in_its_comment(self):
        hostile = "a\nb\r\nc\x0bd\u2028e 'f' \x1b[0m"
        for shell in shells.SHELLS:
            text = shells.render(shell, [], hostile)
            self.assertEqual(2, len(text.splitlines()), shell)
            self.assertTrue(text.isascii(), shell)

    def test_unknown_shell(self):
        error = self.assertRaises(
            errors.InvalidRequest, shells.render, 'nu', VARIABLES, COMMAND
        )
        self.assertIn('powershell', str(error))

    def test_impossible_names(self):
        for name in ('', 'A B', 'A=B', '1A', 'A;reboot', 'Ä', 'A\n'):
            for shell in shells.SHELLS:
                self.assertRaises(
                    errors.InvalidRequest,
                    shells.render,
                    shell,
                    [(name, 'x')],
                    COMMAND,
                )


class TestEscapes(base.BaseTestCase):
    """Shells that cannot run here, and values that some cannot have."""

    def line(self, shell, value):
        return shells.render(shell, [('X', value)], '').splitlines()[0]

    def test_powershell(self):
        for value, expected in (
            ('C:\\Users\\a b', '"C:\\Users\\a b"'),
            ('$Env:Y $(reboot)', '"`$Env:Y `$(reboot)"'),
            ('a"b`c', '"a`"b``c"'),
            ('“a” „b', '"`“a`” `„b"'),
            ("it's %PATH%", '"it\'s %PATH%"'),
            ('a\nb\r\nc', '"a`nb`r`nc"'),
        ):
            self.assertEqual(
                f'$Env:X = {expected}', self.line('powershell', value)
            )

    def test_cmd(self):
        for value, expected in (
            ('C:\\Program Files (x86)\\a', 'SET X=C:\\Program Files (x86)\\a'),
            ("it's $HOME!", "SET X=it's $HOME!"),
            ('a&reboot', 'SET "X=a&reboot"'),
            ('a|b>c<d^e', 'SET "X=a|b>c<d^e"'),
        ):
            self.assertEqual(expected, self.line('cmd', value))

    def test_no_words_for_it(self):
        for shell, value in (
            ('cmd', 'a\nreboot'),
            ('cmd', 'a\rb'),
            ('cmd', '%PATH%'),
            ('cmd', '"a'),
            ('tcsh', 'a\nreboot'),
            ('tcsh', '{a,reboot}'),
            *((shell, 'a\0b') for shell in shells.SHELLS),
        ):
            error = self.assertRaises(
                errors.InvalidRequest, self.line, shell, value
            )
            self.assertIn('X', str(error))


class TestEvaluated(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)

    def evaluate(self, shell, variables, how='eval "$(cat text)"'):
        text = shells.render(shell, variables, "x\ntouch bad; `touch bad` '")
        (self.folder / 'text').write_text(text)
        done = subprocess.run(
            [shell, '-c', f'{how} && exec env -0'],
            cwd=self.folder,
            env={'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'OLD': 'old'},
            capture_output=True,
            check=True,
        )
        self.assertEqual(b'', done.stderr)
        self.assertEqual(['text'], [p.name for p in self.folder.iterdir()])
        entries = done.stdout.decode().split('\0')
        return dict(entry.split('=', 1) for entry in entries if entry)

    def test_set_and_unset_together(self):
        for shell in ('dash', 'bash'):
            for how in ('eval "$(cat text)"', 'eval $(cat text)', '. ./text'):
                found = self.evaluate(
                    shell, [*VARIABLES, ('OLD', None), ('NEW', '')], how
                )
                self.assertEqual('1', found['DOCKER_TLS_VERIFY'])
                self.assertEqual('tcp://192.0.2.1:2376', found['DOCKER_HOST'])
                self.assertEqual('', found['NEW'])
                self.assertNotIn('OLD', found)

    def test_unset_what_is_not_set(self):
        for shell in ('dash', 'bash'):
            self.assertNotIn('X', self.evaluate(shell, [('X', None)]))

    @fuzz.tries(40)
    @hypothesis.given(
        strategies.lists(
            strategies.text('ab \n\t\r\\\'"`$(){}[]*?!#~;&|<>=%^é', max_size=9)
        )
    )
    @hypothesis.example(['$(touch bad)', '`touch bad`', '"; touch bad; "'])
    @hypothesis.example(['\\', '\\\\', '\\"; touch bad; "', '\\\n', '$\n'])
    def test_any_value(self, values):
        given = {f'V{number}': value for number, value in enumerate(values)}
        for shell in ('dash', 'bash'):
            found = self.evaluate(shell, list(given.items()))
            self.assertEqual(given, {name: found[name] for name in given})

    def test_eval_without_quotes(self):
        """What Docker Machine told its users to type."""
        values = ['a  b', ' c ', '*', '[a-z]*', '?', '{a,b}', '\\*', '$(ls)']
        for shell in ('dash', 'bash'):
            found = self.evaluate(
                shell,
                [(f'V{n}', value) for n, value in enumerate(values)],
                'eval $(cat text)',
            )
            self.assertEqual(values, [found[f'V{n}'] for n in range(8)])


class TestDetect(base.BaseTestCase):
    def test_detect(self):
        windows = {'COMSPEC': r'C:\Windows\system32\cmd.exe'}
        system = 'C:\\Program Files\\Modules;C:\\Windows\\Modules'
        for environ, parent, expected in (
            ({}, '', 'sh'),
            ({'SHELL': ''}, '', 'sh'),
            ({'SHELL': '/bin/bash'}, '', 'bash'),
            ({'SHELL': '/usr/bin/fish'}, '', 'fish'),
            ({'SHELL': '/bin/bash'}, 'fish', 'fish'),
            ({'SHELL': '/bin/bash'}, '-zsh', 'zsh'),
            ({'SHELL': '/bin/bash'}, '/usr/bin/tcsh', 'tcsh'),
            ({'SHELL': '/bin/bash'}, 'pwsh', 'pwsh'),
            ({'SHELL': '/bin/bash'}, 'python3', 'bash'),
            ({'SHELL': '/bin/bash'}, 'mksh', 'ksh'),
            ({'SHELL': '/bin/ash'}, 'busybox', 'sh'),
            ({'SHELL': '/bin/bash'}, 'emacs-nox', 'emacs'),
            ({'SHELL': '/usr/bin/nu'}, 'nu', 'sh'),
            ({}, 'sh', 'sh'),
            (windows, 'powershell.exe', 'powershell'),
            (windows, r'C:\Program Files\PowerShell\7\pwsh.EXE', 'pwsh'),
            (windows, 'CMD.EXE', 'cmd'),
            (windows, '', 'cmd'),
            (windows | {'PSModulePath': system}, '', 'cmd'),
            (
                windows | {'PSModulePath': f'C:\\Users\\a;{system}'},
                '',
                'powershell',
            ),
            (
                windows | {'SHELL': r'C:\Program Files\Git\bin\bash.exe'},
                '',
                'bash',
            ),
        ):
            self.assertEqual(
                expected, shells.detect(environ, parent), (environ, parent)
            )
