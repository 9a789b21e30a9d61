# SPDX-License-Identifier: Apache-2.0
"""Things done side by side, and ended in order."""

import os
import signal
import subprocess
import sys
import threading
import time

import fixtures
from oslotest import base

from dockermachine_osc import errors, sidebyside

#: Seconds after which a test that hangs fails instead.
LIMIT = 30


class TestRun(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)

    def test_outcomes_in_the_order_of_the_jobs(self):
        second_done = threading.Event()

        def first():
            self.assertTrue(second_done.wait(LIMIT))
            return 1

        def second():
            second_done.set()
            raise errors.NotFound('no')

        done = sidebyside.run({'a': first, 'b': second}, 2)
        self.assertEqual(['a', 'b'], list(done))
        self.assertEqual(1, done['a'])
        self.assertIsInstance(done['b'], errors.NotFound)

    def test_no_more_at_once_than_said(self):
        lock, now, most = threading.Lock(), [0], [0]
        pair = threading.Barrier(2)

        def job():
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            # Nobody goes on alone: so two are at work at the same time.
            pair.wait(LIMIT)
            with lock:
                now[0] -= 1

        sidebyside.run(dict.fromkeys(range(6), job), 2)
        self.assertEqual(2, most[0])

    def test_one_alone_is_done_by_the_caller(self):
        done = sidebyside.run({'a': threading.current_thread}, 8)
        self.assertEqual({'a': threading.current_thread()}, done)

    def test_what_was_not_foreseen_is_raised(self):
        def job():
            raise ZeroDivisionError

        jobs = {'a': job, 'b': lambda: 1}
        self.assertRaises(ZeroDivisionError, sidebyside.run, jobs, 2)

    def test_ctrl_c_waits_for_those_that_clean_up(self):
        stop, cleaned, began = threading.Event(), [], []

        def interrupting():
            os.kill(os.getpid(), signal.SIGINT)
            self.assertTrue(stop.wait(LIMIT))
            cleaned.append('a')
            raise errors.Interrupted('Interrupted')

        jobs = {'a': interrupting, 'b': lambda: stop.wait(LIMIT)}
        jobs |= {'c': lambda: began.append('c')}
        self.assertRaises(KeyboardInterrupt, sidebyside.run, jobs, 2, stop)
        self.assertEqual(['a'], cleaned)
        self.assertEqual([], began)

    def test_ctrl_c_waits_for_the_one_that_was_just_waited_for(self):
        stop, waits, cleaned = threading.Event(), [], []

        def slow(name):
            self.assertTrue(stop.wait(LIMIT))
            # Nothing that happens tells that nobody waits any more.
            time.sleep(0.3)
            cleaned.append(name)

        def interrupting():
            while not waits:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        def waiting(crew, *arguments):
            waits.append(crew)
            wait(crew, *arguments)

        wait = sidebyside._Crew.wait
        path = 'dockermachine_osc.sidebyside._Crew.wait'
        self.useFixture(fixtures.MonkeyPatch(path, waiting))
        jobs = {'a': lambda: slow('a'), 'b': interrupting}
        self.assertRaises(KeyboardInterrupt, sidebyside.run, jobs, 2, stop)
        self.assertEqual(['a'], cleaned)

    def test_ctrl_c_leaves_those_that_do_not(self):
        hanging = threading.Event()
        self.addCleanup(hanging.set)

        def interrupting():
            os.kill(os.getpid(), signal.SIGINT)
            hanging.wait(LIMIT)

        jobs = {'a': interrupting, 'b': lambda: None}
        self.assertRaises(KeyboardInterrupt, sidebyside.run, jobs, 1)

    def test_those_that_are_late_have_failed(self):
        hanging = threading.Event()
        self.addCleanup(hanging.set)
        jobs = {'a': lambda: hanging.wait(LIMIT), 'b': lambda: 1}
        done = sidebyside.run(jobs, 2, timeout=0.2)
        self.assertIsInstance(done['a'], errors.DeadlineExceeded)
        self.assertEqual(1, done['b'])

    def test_ctrl_c_is_never_lost_and_blocks_nobody(self):
        """It comes at whatever moment, again and again."""
        rounds = 500
        done = subprocess.run(
            [sys.executable, '-m', 'tests.unit.ctrl_c', str(rounds)],
            capture_output=True,
            check=False,
            text=True,
            timeout=LIMIT,
        )
        # Python tells so of what it has dropped.
        self.assertEqual('', done.stderr)
        self.assertGreater(int(done.stdout), rounds / 2)


class TestAllOf(base.BaseTestCase):
    def test_all(self):
        jobs = {'a': lambda: 1, 'b': lambda: 2}
        self.assertEqual({'a': 1, 'b': 2}, sidebyside.all_of(jobs, 2))

    def test_the_first_that_failed_is_raised(self):
        def fail(text):
            raise errors.NotFound(text)

        jobs = {'a': lambda: 1, 'b': lambda: fail('b'), 'c': lambda: fail('c')}
        error = self.assertRaises(errors.NotFound, sidebyside.all_of, jobs, 3)
        self.assertEqual('b', error.message)
