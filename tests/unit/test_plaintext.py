# SPDX-License-Identifier: Apache-2.0
"""Nothing that others say steers a terminal."""

import io

import hypothesis
from hypothesis import strategies
from oslotest import base

from dockermachine_osc import errors, plaintext
from dockermachine_osc.commands.base import TerminalReporter

STEERING = '\x1b\x07\x08\x9b\r\u202e\u2066\ud800'
ANY_TEXT = strategies.text(strategies.characters())


def steers(text):
    """Tell whether a terminal shows anything but these characters."""
    return not text.replace('\n', '').isprintable()


class PlainTextTest(base.BaseTestCase):
    def test_line(self):
        self.assertEqual('a b', plaintext.line(f'a{STEERING}\nb\n'))

    def test_lines(self):
        self.assertEqual('a \nb\n', plaintext.lines(f'a{STEERING}\nb\n'))

    def test_what_is_left_alone(self):
        for text in ('Jürgen', '機器', 'שלום', '👩\u200d💻'):
            self.assertEqual(text, plaintext.line(text))

    @hypothesis.given(
        strategies.characters(categories=['Cc', 'Cs', 'Zl', 'Zp'])
    )
    def test_every_control_character(self, character):
        self.assertEqual('', plaintext.line(character))

    @hypothesis.given(ANY_TEXT)
    def test_can_be_printed(self, text):
        plaintext.lines(text).encode()
        self.assertEqual(plaintext.line(text), plaintext.line(text + '\x1b'))


class WhereItMattersTest(base.BaseTestCase):
    def test_errors(self):
        error = errors.HostFailure(f'a{STEERING}', f'b{STEERING}')
        self.assertFalse(steers(str(error)))
        error.message += STEERING
        error.hint = STEERING
        self.assertFalse(steers(str(error)))
        self.assertFalse(steers(error.message + error.hint))

    def test_what_is_told(self):
        stream = io.StringIO()
        stream.isatty = lambda: True
        reporter = TerminalReporter(stream)
        for tell in (reporter.note, reporter.warn, reporter.step):
            tell(f'a{STEERING}b')
        said = stream.getvalue().replace('\r\x1b[K', '')
        self.assertEqual(3, said.count('a b'))
        self.assertFalse(steers(said))
