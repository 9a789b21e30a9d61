# SPDX-License-Identifier: Apache-2.0
"""Runs tests that must come to an end, and says what they were doing if not.

``setsid python -m tests.watched SECONDS COMMAND...`` runs the command. When
its time is over, or on SIGUSR1, the stacks of all threads of all processes
that run tests go to stderr: in them is the name of each test in progress.
When its time is over, these are then killed, so that stestr can tell which
tests had no end; then all that is left of the session.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
from types import FrameType

_ASK = signal.SIGUSR1
#: Seconds that the command has to end after its tests were killed, and that
#: a process has to write its stacks, which takes it milliseconds.
_GRACE = 20
_WRITES = 0.3
_OVERDUE = 124


def main(seconds: float, command: list[str]) -> int:
    """Give the exit code of the command, 124 if it took too long."""
    if os.getsid(0) != os.getpid():
        # All of the session is what ends.
        sys.exit('tests/watched.py needs a session of its own: setsid')
    signal.signal(_ASK, _tell)
    process = subprocess.Popen(command)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _say(f'not done within {seconds:g} s')
        _tell()
        for runner in _runners():
            _kill(runner)
        _end(process)
        return _OVERDUE
    return code if code >= 0 else 128 - code


def _tell(number: int = 0, frame: FrameType | None = None) -> None:
    """Have all that run tests write where they are."""
    for runner in _runners():
        _say(f'process {runner} is at:')
        _kill(runner, _ASK)
        time.sleep(_WRITES)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        _say('stestr does not end, either')
    for other in _others():
        _kill(other)


def _others() -> list[int]:
    """Give the other processes of our session."""
    numbers = [int(p.name) for p in pathlib.Path('/proc').glob('[0-9]*')]
    return [n for n in numbers if n != os.getpid() and _is_ours(n)]


def _is_ours(process: int) -> bool:
    try:
        return os.getsid(process) == os.getsid(0)
    except ProcessLookupError:
        return False


def _runners() -> list[int]:
    """Give those that write their stacks if asked: see tests/__init__.py."""
    return [n for n in _others() if _catches(n)]


def _catches(process: int) -> bool:
    try:
        status = pathlib.Path(f'/proc/{process}/status').read_text()
    except OSError:
        return False
    (caught,) = (
        line.split()[1]
        for line in status.splitlines()
        if line.startswith('SigCgt:')
    )
    return bool(int(caught, 16) >> (_ASK - 1) & 1)


def _kill(process: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


def _say(text: str) -> None:
    print(f'tests/watched.py: {text}', file=sys.stderr, flush=True)


if __name__ == '__main__':
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
