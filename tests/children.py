# SPDX-License-Identifier: Apache-2.0
"""Processes that tests fork."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

#: Seconds in which a process has written where it is: see tests/__init__.py.
_WRITES = 0.3


@contextlib.contextmanager
def ended(child: int) -> Iterator[None]:
    """Have a child that hangs end with the test that waits for it.

    It has the standard output of the test, which stestr reads to its end.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGUSR1)
            time.sleep(_WRITES)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
