# SPDX-License-Identifier: Apache-2.0
"""What ``env`` prints, evaluated in every shell that Debian packages.

Needs no cloud, but the shells. Debian: apt-get install busybox csh
emacs-nox fish ksh mksh posh tcsh yash zsh
"""

import os
import shutil
import subprocess
from pathlib import Path

import fixtures
import hypothesis
from hypothesis import strategies
from oslotest import base

from dockermachine_osc import errors, shells

#: What each shell's user types, and the shell's name for render().
QUOTED = 'eval "$(cat text)"; exec env -0'
UNQUOTED = 'eval $(cat text); exec env -0'
LISP = (
    '(progn (with-temp-buffer (shell-command "cat text" (current-buffer)) '
    '(eval-buffer)) (with-temp-buffer (call-process "env" nil t nil "-0") '
    '(princ (buffer-string))))'
)
PROGRAMS = {
    'sh': ('sh', ['sh', '-c']),
    'dash': ('dash', ['dash', '-c']),
    'bash': ('bash', ['bash', '-c']),
    'bash with history': ('bash', ['bash', '--norc', '-iHc']),
    'busybox': ('sh', ['busybox', 'sh', '-c']),
    'posh': ('sh', ['posh', '-c']),
    'yash': ('sh', ['yash', '-c']),
    'zsh': ('zsh', ['zsh', '-fc']),
    'zsh at a prompt': ('zsh', ['zsh', '-fic']),
    'ksh': ('ksh', ['ksh', '-c']),
    'mksh': ('ksh', ['mksh', '-c']),
    'fish': ('fish', ['fish', '--no-config', '-c']),
    'csh': ('csh', ['bsd-csh', '-fc']),
    'tcsh': ('tcsh', ['tcsh', '-fc']),
    'tcsh as csh': ('csh', ['tcsh', '-fc']),
    'tcsh with backslash_quote': ('tcsh', ['tcsh', '-fc']),
    'emacs': ('emacs', ['emacs', '--batch', '-Q', '--eval']),
}
CSH_QUOTED = 'eval "`cat text`"; exec env -0'
CSH_UNQUOTED = 'eval `cat text`; exec env -0'
TYPED = {
    'fish': 'eval (cat text); exec env -0',
    'csh': CSH_QUOTED,
    'tcsh': CSH_QUOTED,
    'tcsh as csh': CSH_QUOTED,
    'tcsh with backslash_quote': f'set backslash_quote; {CSH_QUOTED}',
    'emacs': LISP,
}
#: As Docker Machine told its users, where that is another way.
TYPED_WITHOUT_QUOTES = {
    **{name: UNQUOTED for name in PROGRAMS if name not in TYPED},
    'csh': CSH_UNQUOTED,
    'tcsh': CSH_UNQUOTED,
    'tcsh as csh': CSH_UNQUOTED,
}

HOSTILE = (
    '',
    ' ',
    'two  blanks   three',
    ' lead and trail ',
    'a tab\there',
    'a line\nbreak',
    '\nlead',
    'trail\n',
    'a carriage\rreturn',
    '$HOME ${HOME} $(touch bad) `touch bad`',
    '"; touch bad; "',
    "'; touch bad; '",
    '; touch bad',
    '& touch bad',
    '| touch bad',
    '> bad',
    '# no comment',
    '\\',
    'ends in \\',
    '\\\\n \\" \\$x \\` \\!',
    '\\\n$\\\n"\n',
    '! !! !$ !" !touch a!b',
    '* ? [a-z] x [!q]* y \\*',
    '~ ~root =1 =- a =1',
    '{a,b} {a,touch} {1..3} \\{a,b} {"a,b}',
    '{a,touch}',
    '%PATH% %i ^ =',
    '$\'\\x41\' $"x"',
    '-n',
    '(setenv "X" "y")',
    '?\\" ;; #',
    '\x1b[31m \x7f \x01',
    'é “quotes” \U0001f433 \u2028',
)
#: Files that an unquoted pattern would match and a shell then evaluate.
TRAPS = (
    '$(touch bad)',
    '`touch bad`',
    ';touch bad;',
    '"; touch bad; "',
    'V0="$(touch bad)"',
)
LETTERS = 'a1 \n\t\r\\\'"`$(){}[]*?!#~;&|<>=%^,.-é'


class TestShells(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        for name in TRAPS:
            (self.folder / name).touch()

    def evaluate(self, name, variables, typed):
        shell, argv = PROGRAMS[name]
        self.assertIsNotNone(shutil.which(argv[0]), f'install {argv[0]}')
        text = shells.render(shell, variables, "x\ntouch bad; `touch bad` '")
        (self.folder / 'text').write_bytes(text.encode())
        done = subprocess.run(
            [*argv, typed],
            cwd=self.folder,
            env={
                'PATH': os.environ['PATH'],
                'HOME': str(self.folder.parent),
                'LC_ALL': 'C.UTF-8',
                'OLD': 'old',
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        self.assertEqual(0, done.returncode, (name, text, done))
        self.assertEqual(
            {'text', *TRAPS}, {path.name for path in self.folder.iterdir()}
        )
        entries = done.stdout.decode().split('\0')
        return dict(entry.partition('=')[::2] for entry in entries)

    def assertRoundTrip(self, name, values, typed):
        """Values come back as they were, between others, and OLD is gone."""
        given = {f'V{number}': value for number, value in enumerate(values)}
        variables = [('FIRST', '1'), *given.items(), ('OLD', None)]
        found = self.evaluate(name, [*variables, ('LAST', '2')], typed)
        self.assertEqual(
            given | {'FIRST': '1', 'LAST': '2'},
            {key: found.get(key) for key in (*given, 'FIRST', 'LAST')},
            name,
        )
        self.assertNotIn('OLD', found)

    def words_for(self, name, value):
        try:
            shells.render(PROGRAMS[name][0], [('X', value)], '')
        except errors.InvalidRequest:
            return False
        return True

    def test_as_our_hint_says(self):
        for name in PROGRAMS:
            values = [v for v in HOSTILE if self.words_for(name, v)]
            self.assertRoundTrip(name, values, TYPED.get(name, QUOTED))

    def test_as_docker_machine_said(self):
        """Tabs and line breaks become blanks then; nothing else may."""
        for name, typed in TYPED_WITHOUT_QUOTES.items():
            values = [
                v
                for v in HOSTILE
                if self.words_for(name, v) and not set(v) & {'\t', '\n'}
            ]
            self.assertRoundTrip(name, values, typed)

    def test_line_breaks_without_quotes_run_nothing(self):
        values = ['a\ntouch bad', '"\ntouch bad\n"', '\\\ntouch bad', '\t;\n']
        variables = [(f'V{n}', value) for n, value in enumerate(values)]
        for name, typed in TYPED_WITHOUT_QUOTES.items():
            if 'csh' not in name:
                self.evaluate(name, variables, typed)

    def test_what_a_shell_has_no_words_for(self):
        refused = {
            shell: [v for v in HOSTILE if not self.words_for(shell, v)]
            for shell in PROGRAMS
        }
        of_csh = [v for v in HOSTILE if '\n' in v or '{' in v]
        self.assertEqual(
            {name: of_csh if 'csh' in name else [] for name in PROGRAMS},
            refused,
        )

    @hypothesis.settings(database=None, deadline=None, max_examples=15)
    @hypothesis.given(
        strategies.lists(
            strategies.text(LETTERS, max_size=12), min_size=20, max_size=40
        )
    )
    def test_any_value(self, values):
        for name in PROGRAMS:
            fit = [v for v in values if self.words_for(name, v)]
            self.assertRoundTrip(name, fit, TYPED.get(name, QUOTED))

    @hypothesis.settings(database=None, deadline=None, max_examples=15)
    @hypothesis.given(
        strategies.lists(
            strategies.text(
                LETTERS.replace('\n', '').replace('\t', ''), max_size=12
            ),
            min_size=20,
            max_size=40,
        )
    )
    def test_any_value_without_quotes(self, values):
        for name, typed in TYPED_WITHOUT_QUOTES.items():
            fit = [v for v in values if self.words_for(name, v)]
            self.assertRoundTrip(name, fit, typed)
