# SPDX-License-Identifier: Apache-2.0
"""Signals that are held back act at the end of the block."""

import os
import signal
import threading

from oslotest import base

from dockermachine_osc import interrupts


class TestHeld(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        self.steps = []

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
