# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows of it, read back by a terminal."""

import re

from oslotest import base

from dockermachine_osc.commands import progress
from tests.unit.commands import shell


class Screen:
    """Shows what was written, as a terminal does; never scrolls."""

    def __init__(self, text):
        self.rows, self.row, self.column = [''], 0, 0
        for part in re.findall(r'\x1b\[[A-Z]|\r|\n|[^\x1b\r\n]+', text):
            self.take(part)

    def take(self, part):
        line = self.rows[self.row]
        if part == '\r':
            self.column = 0
        elif part == '\n':
            self.row, self.column = self.row + 1, 0
            self.rows += [''] * (self.row + 1 - len(self.rows))
        elif part == '\x1b[K':
            self.rows[self.row] = line[: self.column]
        elif part == '\x1b[A':
            self.row -= 1
        else:
            line = line.ljust(self.column)
            self.rows[self.row] = line[: self.column] + part
            self.column += len(part)

    @property
    def text(self):
        lines = [re.sub(r' *[0-9]+\.[0-9]s ', '', row) for row in self.rows]
        return [line for line in lines if line]


class TestProgress(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.stream = shell.Terminal()
        self.terminal = progress.TerminalReporter(self.stream)

    def assertShows(self, *lines):
        self.assertEqual(list(lines), Screen(self.stream.getvalue()).text)

    def test_one(self):
        self.terminal.step('Checking')
        self.assertShows('Checking ...')
        self.terminal.note('image: x')
        self.assertShows('image: x', 'Checking ...')
        self.terminal.step('Making')
        self.assertShows('image: x', 'Making ...')
        self.terminal.done()
        self.assertShows('image: x')

    def test_several(self):
        one, two = self.terminal.of('a1'), self.terminal.of('bb1')
        one.step('Making')
        two.step('Making')
        self.assertShows('a1  Making ...', 'bb1 Making ...')
        one.step('Booting')
        self.assertShows('a1  Booting ...', 'bb1 Making ...')
        one.note('ready')
        one.done()
        self.assertShows('a1: ready', 'bb1 Making ...')
        two.warn('failed')
        two.done()
        self.assertShows('a1: ready', 'bb1: failed')

    def test_more_than_the_terminal_has_lines_and_columns(self):
        for number in range(50):
            self.terminal.of(f'web{number}').step('long ' * 50)
        lines = Screen(self.stream.getvalue()).rows
        self.assertLess(len(lines), 24)
        self.assertLess(max(map(len, lines)), 80)
        for number in range(50):
            self.terminal.of(f'web{number}').done()
        self.assertShows()

    def test_no_terminal(self):
        stream = shell.io.StringIO()
        terminal = progress.TerminalReporter(stream)
        terminal.of('a1').step('Making')
        terminal.of('a1').note('ready')
        terminal.of('a1').done()
        self.assertEqual('a1: ready\n', stream.getvalue())

    def test_quiet(self):
        terminal = progress.TerminalReporter(self.stream, quiet=True)
        terminal.step('Making')
        terminal.note('image: x')
        terminal.warn('beware')
        terminal.done()
        self.assertEqual('beware\n', self.stream.getvalue())
