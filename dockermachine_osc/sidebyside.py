# SPDX-License-Identifier: Apache-2.0
"""Several things done at once, by threads, and ended in order."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from dockermachine_osc import interrupts
from dockermachine_osc.errors import DeadlineExceeded, MachineError

_K = TypeVar('_K')
_T = TypeVar('_T')
#: Seconds between looks at whether all is done: signals are heard meanwhile.
_LOOK = 0.5


def run(
    jobs: Mapping[_K, Callable[[], _T]],
    most: int,
    stop: threading.Event | None = None,
    timeout: float = math.inf,
) -> dict[_K, _T | MachineError]:
    """Do jobs side by side; give what each returned, or why it failed.

    One job alone is done by the caller's own thread, unless it has a timeout.
    What ends the caller, such as Ctrl-C, ends the waiting: jobs that have not
    begun never do.

    :param most: how many at once.
    :param stop: is set on Ctrl-C and SIGTERM; jobs that heed it are waited
        for, so that they can clean up. Without it they end with the program.
    :param timeout: seconds after which jobs that are not done have failed.
    :raises BaseException: what ended the waiting, or a job unforeseen.
    """
    if len(jobs) <= 1 and math.isinf(timeout):
        return {key: _outcome(job) for key, job in jobs.items()}
    crew = _Crew(jobs, most)
    with interrupts.awaited(crew.wake) as act:
        try:
            crew.begin()
            crew.wait(act, timeout)
        except BaseException:
            crew.dismiss()
            if stop:
                stop.set()
                crew.wait(act)
            raise
        finally:
            crew.disband()
    late = DeadlineExceeded(f'no answer within {timeout:g} s')
    return {key: crew.done.get(key, late) for key in jobs}


def all_of(
    jobs: Mapping[_K, Callable[[], _T]],
    most: int,
    stop: threading.Event | None = None,
) -> dict[_K, _T]:
    """Do jobs side by side of which none may fail; see run.

    :raises MachineError: of the first in their order that has failed.
    """
    done: dict[_K, _T] = {}
    for key, outcome in run(jobs, most, stop).items():
        if isinstance(outcome, MachineError):
            raise outcome
        done[key] = outcome
    return done


def _outcome(job: Callable[[], _T]) -> _T | MachineError:
    try:
        return job()
    except MachineError as error:
        return error


class _Crew(Generic[_K, _T]):
    """The threads that do the jobs, in their order."""

    def __init__(self, jobs: Mapping[_K, Callable[[], _T]], most: int) -> None:
        self._waiting: queue.SimpleQueue[_K] = queue.SimpleQueue()
        for key in jobs:
            self._waiting.put(key)
        self._jobs = jobs
        self.done: dict[_K, _T | MachineError] = {}
        self._unforeseen: list[BaseException] = []
        self._ended: set[threading.Thread] = set()
        # That there is something to see. It may be told at any moment, that
        # of being told included.
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Daemons: whoever asks a second time to leave, leaves.
        self._threads = [
            threading.Thread(target=self._work, daemon=True)
            for _ in range(max(1, min(most, len(jobs))))
        ]

    def begin(self) -> None:
        """Let the threads begin."""
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (key := self._next()) is not None:
            try:
                self.done[key] = _outcome(self._jobs[key])
            except BaseException as error:  # noqa: BLE001
                # It is raised again where somebody hears it: in wait().
                self._unforeseen.append(error)
        self._ended.add(threading.current_thread())
        self.wake()

    def _next(self) -> _K | None:
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None

    def wake(self) -> None:
        """Have whoever waits look; for handlers of signals, too."""
        self._news.put(None)

    def wait(self, act: Callable[[], None], timeout: float = math.inf) -> None:
        """Wait until all that has begun is done.

        :param act: lets signals act that have come; they may end the waiting.
        :param timeout: seconds to wait at most.
        """
        end = time.monotonic() + timeout
        while self._at_work() and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._news.get(timeout=min(_LOOK, left))
            act()
        if self._unforeseen:
            raise self._unforeseen[0]

    def _at_work(self) -> bool:
        begun = {t for t in self._threads if t.ident is not None}
        return not begun <= self._ended

    def dismiss(self) -> None:
        """Begin nothing more."""
        while self._next() is not None:
            pass

    def disband(self) -> None:
        """Begin nothing more, and let go of the threads.

        To be done while no signal acts: what threading does as a thread is no
        more takes exceptions for nothing, that of Ctrl-C, too.
        """
        self.dismiss()
        self._threads.clear()
        self._ended.clear()
