# SPDX-License-Identifier: Apache-2.0
"""Polls against a clock that the test turns."""

import itertools
import threading

from oslotest import base

from dockermachine_osc import errors
from dockermachine_osc.report import Steps
from dockermachine_osc.waiting import Deadline
from tests.unit import workbench


class TestDeadline(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.clock = self.useFixture(workbench.Clock())

    def test_time_passes(self):
        deadline = Deadline(10)
        self.clock.now += 4
        self.assertEqual((4, 6), (deadline.elapsed, deadline.remaining))
        self.clock.now += 100
        self.assertEqual(0, deadline.remaining)

    def test_polls(self):
        start = self.clock.now
        polls = Deadline(60).polls(first=1, most=4, factor=2)
        moments = [self.clock.now - start for _ in polls]
        self.assertEqual([0, 1, 3, 7, 11, 15], moments[:6])
        # Once more at the very end, and never after it.
        self.assertEqual(60, moments[-1])
        self.assertEqual(len(moments), len(set(moments)))

    def test_polls_end_whenever_they_begin(self):
        """Seconds that are no whole numbers do not add up exactly."""
        for number in range(300):
            self.clock.now = 1000 + number / 7
            polls = list(itertools.islice(Deadline(600).polls(), 1000))
            self.assertLess(len(polls), 1000, self.clock.now)

    def test_polls_at_least_once(self):
        self.assertEqual(1, len(list(Deadline(0).polls())))

    def test_pauses_that_take_long_themselves(self):
        tries = 0
        for _ in Deadline(10).polls():
            self.clock.now += 9
            tries += 1
        self.assertEqual(2, tries)

    def test_within(self):
        """A nearer deadline ends with the other, and with the user."""
        stop = threading.Event()
        deadline = Deadline(10, stop)
        self.assertEqual(3, deadline.within(3).seconds)
        self.assertLessEqual(deadline.within(60).seconds, 10)
        stop.set()
        self.assertRaises(errors.Interrupted, deadline.within(3).check)

    def test_exceeded(self):
        error = Deadline(2.5).exceeded('It did not come')
        self.assertIsInstance(error, errors.DeadlineExceeded)
        self.assertIn('It did not come within 2.5 s', str(error))
        self.assertIn('--timeout', str(error))
        self.assertTrue(str(Deadline(1).exceeded('x', 'Do y')).endswith('y'))


class TestSteps(base.BaseTestCase):
    def test_passes_on_and_remembers(self):
        told = workbench.Notes()
        steps = Steps(told)
        self.assertEqual('', steps.current)
        steps.begin('one')
        steps.begin('two')
        steps.note('a note')
        steps.warn('a warning')
        self.assertEqual('two', steps.current)
        self.assertEqual(['one', 'two'], told.steps)
        self.assertEqual(
            (['a note'], ['a warning']), (told.notes, told.warnings)
        )
        self.assertGreaterEqual(steps.elapsed, 0)
