# SPDX-License-Identifier: Apache-2.0
"""Processes that are killed at one of their changes to the file system."""

import itertools
import os
import pickle
import shutil
import signal
import sys
import traceback
from pathlib import Path

from tests import children

_CHANGES = {f'os.{c}' for c in ('rename', 'mkdir', 'remove', 'rmdir', 'chmod')}
_CHANGES |= {f'os.{c}' for c in ('link', 'symlink', 'truncate')}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Deaths:
    """Runs work again and again, and kills it a call later each time.

    :param folder: where changes count; it is as it was before each run.
    :param fake: the cloud, which lives on, as it was before each run, too.
    """

    def __init__(self, folder, fake):
        self._folder, self._fake = Path(folder), fake
        self._copy = self._folder.with_name(f'{self._folder.name}-before')
        self._cloud = pickle.dumps(self._state())
        shutil.copytree(self._folder, self._copy, symlinks=True)
        self.count = 0

    def of(self, work, step=1):
        """Yield after each death; end when the work has come to its end."""
        for number in itertools.count(1, step):
            self._restore()
            if not self._dies(work, number):
                break
            self.count = number
            yield number
        shutil.rmtree(self._copy)

    def _restore(self):
        for path in self._folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(
            self._copy, self._folder, symlinks=True, dirs_exist_ok=True
        )
        self._set(pickle.loads(self._cloud))

    def _dies(self, work, number):
        """Run the work, and tell whether it was killed before its end."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            self._run(work, number, writing)
        os.close(writing)
        with children.ended(child), os.fdopen(reading, 'rb') as stream:
            told = stream.read()
            _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            self._set(pickle.loads(told))
            return True
        if os.WEXITSTATUS(status):
            raise AssertionError(told.decode())
        return False

    def _run(self, work, number, pipe):
        """Be the child; this does not return."""
        left = [number]

        def count():
            left[0] -= 1
            if not left[0]:
                with os.fdopen(pipe, 'wb') as stream:
                    stream.write(pickle.dumps(self._state()))
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            self._watch(count)
            work()
            status = 0
        finally:
            if status:
                os.write(pipe, traceback.format_exc().encode()[-50_000:])
            os._exit(status)

    def _watch(self, count):
        def watched(event, arguments):
            if self._is_change(event, arguments):
                count()

        sys.addaudithook(watched)

    def _is_change(self, event, arguments):
        if event == 'open':
            path, _, flags = arguments
            if not flags & _WRITING:
                return False
        elif event in _CHANGES:
            path = arguments[0]
        else:
            return False
        if isinstance(path, int):
            return True
        path = Path(os.fsdecode(path))
        return not path.is_absolute() or path.is_relative_to(self._folder)

    def _state(self):
        return self._fake.things, self._fake._count

    def _set(self, state):
        self._fake.things, self._fake._count = state
