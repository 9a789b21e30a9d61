# SPDX-License-Identifier: Apache-2.0
"""What hangs is told, and does not keep anybody waiting."""

import faulthandler
import os
import pathlib
import signal
import subprocess
import sys
import time

from oslotest import base

from tests import children, watched

ROOT = pathlib.Path(watched.__file__).parents[1]
HANGS = """
import os, time
import tests
def test_that_hangs():
    time.sleep(300)
if not os.fork():
    test_that_hangs()
print('begun', flush=True)
test_that_hangs()
"""


class TestWatched(base.BaseTestCase):
    def watch(self, seconds, *command):
        process = subprocess.Popen(
            [sys.executable, '-m', 'tests.watched', str(seconds), *command],
            cwd=ROOT,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_exit_codes(self):
        for script, code in (('exit 0', 0), ('exit 3', 3), ('kill $$', 143)):
            process = self.watch(60, 'sh', '-c', script)
            self.assertEqual(code, process.wait(60), script)

    def test_what_is_not_done_in_time(self):
        """All of it ends, or its stdout would not."""
        process = self.watch(5, sys.executable, '-c', HANGS)
        said = process.communicate(timeout=60)[1]
        self.assertEqual(124, process.returncode)
        self.assertIn('not done within 5 s', said)
        self.assertEqual(2, said.count('in test_that_hangs'), said)

    def test_asked(self):
        process = self.watch(60, sys.executable, '-c', HANGS)
        self.assertEqual('begun\n', process.stdout.readline())
        process.send_signal(signal.SIGUSR1)
        for line in process.stderr:
            if 'in test_that_hangs' in line:
                break
        else:
            self.fail('no stack')
        os.killpg(process.pid, signal.SIGKILL)

    def test_session_of_others(self):
        done = subprocess.run(
            [sys.executable, '-m', 'tests.watched', '1', 'true'],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        self.assertEqual(1, done.returncode)
        self.assertIn(b'session of its own', done.stderr)


class TestEnded(base.BaseTestCase):
    def test_child_that_hangs(self):
        child = os.fork()
        if not child:
            faulthandler.unregister(signal.SIGUSR1)
            time.sleep(300)
            os._exit(0)

        def wait():
            with children.ended(child):
                raise TimeoutError

        self.assertRaises(TimeoutError, wait)
        self.assertRaises(ChildProcessError, os.waitpid, child, 0)
