# SPDX-License-Identifier: Apache-2.0
"""What a host prints, however much of it."""

import tracemalloc

from oslotest import base

from dockermachine_osc import output


class OutputTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.lines = []
        self.output = output.Output(self.lines.append)

    def test_lines_as_they_come(self):
        self.output.take(b'one\ntw')
        self.assertEqual(['one'], self.lines)
        self.output.take(b'o\n\nlast')
        self.assertEqual('one\ntwo\n\nlast', self.output.end())
        self.assertEqual(['one', 'two', '', 'last'], self.lines)

    def test_no_line_is_longer_than_the_limit(self):
        self.output.take(b'x' * (2 * output.LIMIT) + b'\nnext\n')
        self.assertEqual([output.LIMIT, 4], [len(x) for x in self.lines])

    def test_memory_is_bounded(self):
        """A line without end, and lines without number."""
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for piece in (b'x' * output.LIMIT, b'x\n' * (output.LIMIT // 64)):
            endless = output.Output(len)
            for _ in range(64):
                endless.take(piece)
            current, _ = tracemalloc.get_traced_memory()
            self.assertLess(current, 8 * output.LIMIT)
            self.assertEqual(output.LIMIT, len(endless.end()))
