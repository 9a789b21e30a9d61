# SPDX-License-Identifier: Apache-2.0
"""A program that does things side by side while Ctrl-C rains down on it.

``python -m tests.unit.ctrl_c ROUNDS`` prints how many rounds were interrupted.
It is a process of its own, as what it is about is losing signals, and hanging.
"""

import contextlib
import functools
import os
import random
import signal
import sys
import threading
import time
import types

from dockermachine_osc import sidebyside
from tests import children

#: Seconds, of a question and between two signals, at most.
_QUESTION, _PAUSE = 0.0005, 0.004
_now = types.SimpleNamespace(heeds=False)


def _hear(number, frame):
    if _now.heeds:
        raise KeyboardInterrupt


def _question():
    time.sleep(random.random() * _QUESTION)


def _service(questions):
    _question()
    return sidebyside.run(dict.fromkeys(range(questions), _question), 12)


def _round(stop):
    """Ask as a create does: services side by side, and so each of them."""
    jobs = {n: functools.partial(_service, n) for n in (3, 4, 1)}
    return sidebyside.run(jobs, 12, stop)


def _is_interrupted(number):
    stop = threading.Event() if number % 2 else None
    try:
        _now.heeds = True
        _round(stop)
        _now.heeds = False
    except KeyboardInterrupt:
        _now.heeds = False
        return True
    return False


def _rain():
    parent = os.getppid()
    with contextlib.suppress(ProcessLookupError):
        while os.getppid() == parent:
            time.sleep(random.random() * _PAUSE)
            os.kill(parent, signal.SIGINT)
    os._exit(0)


def main():
    """Go through all rounds."""
    signal.signal(signal.SIGINT, _hear)
    rain = os.fork()
    if not rain:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _rain()
    with children.ended(rain):
        print(sum(_is_interrupted(n) for n in range(int(sys.argv[1]))))


if __name__ == '__main__':
    main()
