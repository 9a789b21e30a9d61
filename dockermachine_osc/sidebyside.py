# SPDX-License-Identifier: Apache-2.0
"""Several things done at once, by threads, and ended in order."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from dockermachine_osc.errors import MachineError

_K = TypeVar('_K')
_T = TypeVar('_T')
#: Seconds between looks at whether all is done: signals are heard meanwhile.
_LOOK = 0.5


def run(
    jobs: Mapping[_K, Callable[[], _T]],
    most: int,
    stop: threading.Event | None = None,
) -> dict[_K, _T | MachineError]:
    """Do jobs side by side; give what each returned, or why it failed.

    One job alone is done by the caller's own thread. What ends the caller,
    such as Ctrl-C, ends the waiting: jobs that have not begun never do.

    :param most: how many at once.
    :param stop: is set on Ctrl-C and SIGTERM; jobs that heed it are waited
        for, so that they can clean up. Without it they end with the program.
    :raises BaseException: what ended the waiting, or a job unforeseen.
    """
    if len(jobs) == 1:
        return {key: _outcome(job) for key, job in jobs.items()}
    crew = _Crew(jobs, most)
    try:
        crew.begin()
        crew.wait()
    except BaseException:
        crew.dismiss()
        if stop:
            stop.set()
            crew.wait()
        raise
    return crew.outcomes()


def _outcome(job: Callable[[], _T]) -> _T | MachineError:
    try:
        return job()
    except MachineError as error:
        return error


class _Crew(Generic[_K, _T]):
    """The threads that do the jobs, in their order."""

    def __init__(self, jobs: Mapping[_K, Callable[[], _T]], most: int) -> None:
        self._order = list(jobs)
        self._waiting: queue.SimpleQueue[_K] = queue.SimpleQueue()
        for key in jobs:
            self._waiting.put(key)
        self._jobs = jobs
        self._done: dict[_K, _T | MachineError] = {}
        self._unforeseen: list[BaseException] = []
        # Not Thread.join: interrupted, it takes the thread for ended (until
        # Python 3.13).
        self._ended: set[threading.Thread] = set()
        self._an_end: queue.SimpleQueue[None] = queue.SimpleQueue()
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
                self._done[key] = _outcome(self._jobs[key])
            except BaseException as error:  # noqa: BLE001
                # It is raised again where somebody hears it: in wait().
                self._unforeseen.append(error)
        self._ended.add(threading.current_thread())
        self._an_end.put(None)

    def _next(self) -> _K | None:
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None

    def wait(self) -> None:
        """Wait until all that has begun is done."""
        while self._at_work():
            with contextlib.suppress(queue.Empty):
                self._an_end.get(timeout=_LOOK)
        if self._unforeseen:
            raise self._unforeseen[0]

    def _at_work(self) -> bool:
        begun = {t for t in self._threads if t.ident is not None}
        return not begun <= self._ended

    def dismiss(self) -> None:
        """Begin nothing more."""
        while self._next() is not None:
            pass

    def outcomes(self) -> dict[_K, _T | MachineError]:
        """Give how each went, in the order of the jobs."""
        return {key: self._done[key] for key in self._order}
