# SPDX-License-Identifier: Apache-2.0
"""Signals that are held back act at the end of the block."""

import os
import signal
import threading

from oslotest import base

from dockermachine_osc import interrupts


class InterruptsTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        self.steps = []


class TestHeld(InterruptsTestCase):
    def hold(self, *numbers):
        with interrupts.held():
            for number in numbers:
                os.kill(os.getpid(), number)
                self.steps.append('went on')

    def test_nothing_came(self):
        self.hold()
        self.assertIs(
            signal.default_int_handler, signal.getsignal(signal.SIGINT)
        )

    def test_ctrl_c_acts_at_the_end(self):
        self.assertRaises(KeyboardInterrupt, self.hold, signal.SIGINT)
        self.assertEqual(['went on'], self.steps)
        self.test_nothing_came()

    def test_second_ctrl_c_acts_at_once(self):
        self.assertRaises(
            KeyboardInterrupt, self.hold, signal.SIGINT, signal.SIGINT
        )
        self.assertEqual(['went on'], self.steps)

    def test_handler_of_sigterm_is_called(self):
        def end(number, frame):
            raise SystemExit(128 + number)

        before = signal.signal(signal.SIGTERM, end)
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        raised = self.assertRaises(SystemExit, self.hold, signal.SIGTERM)
        self.assertEqual(143, raised.code)
        self.assertEqual(['went on'], self.steps)

    def test_what_is_ignored_stays_ignored(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.hold(signal.SIGINT)
        self.assertIs(signal.SIG_IGN, signal.getsignal(signal.SIGINT))

    def test_other_threads_have_nothing_to_hold(self):
        thread = threading.Thread(target=self.hold)
        thread.start()
        thread.join()
        self.test_nothing_came()


class TestAwaited(InterruptsTestCase):
    def await_them(self, *numbers, act=True):
        """Get signals; let them act one by one, or leave it to the end."""
        with interrupts.awaited(lambda: self.steps.append('woken')) as do:
            for number in numbers:
                os.kill(os.getpid(), number)
                self.steps.append('went on')
                if act:
                    do()

    def assertRestored(self):
        self.assertIs(
            signal.default_int_handler, signal.getsignal(signal.SIGINT)
        )

    def test_nothing_came(self):
        self.await_them()
        self.assertRestored()

    def test_it_acts_when_asked(self):
        self.assertRaises(
            KeyboardInterrupt, self.await_them, signal.SIGINT, signal.SIGINT
        )
        self.assertEqual(['woken', 'went on'], self.steps)
        self.assertRestored()

    def test_it_acts_in_the_end(self):
        def wait():
            self.await_them(signal.SIGINT, act=False)

        self.assertRaises(KeyboardInterrupt, wait)
        self.assertEqual(['woken', 'went on'], self.steps)
        self.assertRestored()

    def test_a_handler_that_changes_what_a_second_one_does(self):
        def end(number, frame):
            signal.signal(number, signal.SIG_IGN)
            self.steps.append('ended')

        before = signal.signal(signal.SIGTERM, end)
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        self.await_them(signal.SIGTERM, signal.SIGTERM)
        self.assertEqual(['woken', 'went on', 'ended', 'went on'], self.steps)
        self.assertIs(signal.SIG_IGN, signal.getsignal(signal.SIGTERM))

    def test_what_is_ignored_stays_ignored(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.await_them(signal.SIGINT)
        self.assertEqual(['went on'], self.steps)
        self.assertIs(signal.SIG_IGN, signal.getsignal(signal.SIGINT))

    def test_other_threads_have_nothing_to_await(self):
        thread = threading.Thread(target=self.await_them)
        thread.start()
        thread.join()
        self.assertRestored()
