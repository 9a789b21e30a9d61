# SPDX-License-Identifier: Apache-2.0
"""The command lines of all that runs while something is done.

The guests of a devcloud share the kernel of this machine, so the processes
of both sides are seen from here.
"""

from __future__ import annotations

import os
import pathlib
import threading
import types

# Seconds between two looks; what lives shorter may be missed.
_PAUSE = 0.01


class CommandLines:
    """Reads /proc again and again while it is used.

    :ivar seen: command lines, their words apart by a space.
    :ivar environments: of the descendants of this process.
    """

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.environments: set[bytes] = set()
        self._old = set(_pids())
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_PAUSE):
            for pid in _pids():
                if pid not in self._old:
                    self._look(pathlib.Path('/proc') / pid)

    def _look(self, process: pathlib.Path) -> None:
        try:
            line = (process / 'cmdline').read_bytes()
            if line and (words := line.replace(b'\0', b' ')) not in self.seen:
                self.seen.add(words)
                self.environments.add((process / 'environ').read_bytes())
        except OSError:
            # It has ended.
            return

    def saw(self, *words: str) -> bool:
        """Tell whether a command line had all of these in it."""
        return any(
            all(word.encode() in line for word in words) for line in self.seen
        )


def _pids() -> list[str]:
    with os.scandir('/proc') as found:
        return [entry.name for entry in found if entry.name.isdigit()]
