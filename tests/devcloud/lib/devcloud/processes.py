# SPDX-License-Identifier: Apache-2.0
"""The processes of a cloud: start them, find them, end them.

There are no pid files to go stale.  Every process of a cloud is started as
``python -X devcloud=<folder of the cloud> -m <module> ...``; Python ignores
an unknown -X, and the process table can be asked for it after any crash.
A process is signalled through a pidfd that was opened before it was looked
at, so a reused pid is never hit (pidfd_open(2)).
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence

from devcloud import errors
from devcloud.settings import Settings

_PROC = pathlib.Path('/proc')
_MARK = 'devcloud='
MODULES = {
    'keystone': ('devcloud.services', 'keystone'),
    'glance': ('devcloud.services', 'glance'),
    'neutron': ('devcloud.services', 'neutron'),
    'nova': ('devcloud.services', 'nova'),
    'dataplane': ('devcloud.dataplane',),
}
NAMES = tuple(MODULES)
# Lines of a dead service's output that are shown.
_TAIL = 12


@dataclasses.dataclass(frozen=True)
class Process:
    """A running process of some cloud, as the process table shows it."""

    pid: int
    cloud_dir: pathlib.Path
    name: str

    @property
    def rss_kb(self) -> int:
        """Resident memory in KiB; 0 when it has just ended."""
        try:
            status = (_PROC / str(self.pid) / 'status').read_text()
        except OSError:
            return 0
        words = next(
            (
                line.split()
                for line in status.splitlines()
                if line.startswith('VmRSS')
            ),
            ['', '0'],
        )
        return int(words[1])


def _argv(pid: int) -> list[str]:
    """Empty for a zombie, a kernel thread and one that is gone."""
    try:
        data = (_PROC / str(pid) / 'cmdline').read_bytes()
    except OSError:
        return []
    return data.decode(errors='replace').split('\0')[:-1]


def _parent(pid: int) -> int:
    """0 when it has just ended."""
    try:
        # The name before it, in brackets, can hold anything (proc(5)).
        stat = (_PROC / str(pid) / 'stat').read_text().rpartition(')')[2]
    except OSError:
        return 0
    return int(stat.split()[1])


def _parse(pid: int) -> Process | None:
    argv = _argv(pid)
    if argv[1:2] != ['-X'] or argv[3:4] != ['-m']:
        return None
    if _argv(_parent(pid)) == argv:
        # A child of it that is about to run another program (fork(2)).
        return None
    mark, module = argv[2], tuple(argv[4:])
    name = next((n for n, m in MODULES.items() if m == module), None)
    if name is None or not mark.startswith(_MARK):
        return None
    return Process(pid, pathlib.Path(mark.removeprefix(_MARK)), name)


def every() -> Iterator[Process]:
    """The processes of all clouds of this machine."""
    for entry in _PROC.iterdir():
        found = _parse(int(entry.name)) if entry.name.isdecimal() else None
        if found:
            yield found


def of_cloud(settings: Settings) -> dict[str, Process]:
    """This cloud's processes by name."""
    return {
        process.name: process
        for process in every()
        if process.cloud_dir == settings.cloud_dir
    }


def command(
    settings: Settings, python: pathlib.Path, *module: str
) -> list[str]:
    """The command line that marks a process as this cloud's."""
    return [str(python), '-X', f'{_MARK}{settings.cloud_dir}', '-m', *module]


def environment(settings: Settings) -> dict[str, str]:
    """What processes of the cloud are started with.

    No variable of an OpenStack client, no proxy between the services, and
    bytecode is kept, since without it every start takes 10 s longer; but not
    in the checkout, which is not root's.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith('OS_')
        and key not in ('PYTHONDONTWRITEBYTECODE', 'PYTHONHOME')
    }
    local = '127.0.0.1,localhost'
    proxied = ','.join(filter(None, (kept.get('no_proxy'), local)))
    library = pathlib.Path(__file__).parent.parent
    return {
        **kept,
        **settings.environment(),
        'PYTHONPATH': str(library),
        'PYTHONSAFEPATH': '1',
        'PYTHONPYCACHEPREFIX': str(settings.home / 'cache' / 'bytecode'),
        'PYTHONWARNINGS': 'ignore',
        'no_proxy': proxied,
        'NO_PROXY': proxied,
    }


def start(
    settings: Settings, python: pathlib.Path, name: str
) -> subprocess.Popen[bytes]:
    """Start one process in a session of its own.

    :raises OSError: when it can not be started
    """
    (settings.run / f'{name}.ready').unlink(missing_ok=True)
    output = settings.log / f'{name}.out'
    with output.open('ab') as out:
        return subprocess.Popen(
            command(settings, python, *MODULES[name]),
            env=environment(settings),
            cwd=settings.cloud_dir,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def ready(settings: Settings, name: str) -> bool:
    """Whether the process, which runs, has said so.

    :func:`start` has removed the file that an earlier one left.
    """
    return (settings.run / f'{name}.ready').exists()


def failed(settings: Settings, name: str, code: int) -> errors.DevcloudError:
    """What to say about a service that ended in its start."""
    path = settings.log / f'{name}.out'
    lines = path.read_text(errors='replace').splitlines()[-_TAIL:]
    text = '\n'.join(f'  {line}' for line in lines)
    return errors.DevcloudError(
        f'{name} ended with {code}. The end of {path}:\n{text}'
    )


def stop(processes: Iterable[Process], timeout: float) -> list[str]:
    """Ask to end, wait, then kill; returns the names that were killed.

    Returns when all are gone.  `timeout` in seconds.
    """
    handles = {
        process: handle
        for process in processes
        if (handle := _open(process)) is not None
    }
    try:
        _signal(handles.values(), signal.SIGTERM)
        left = _wait(list(handles.values()), timeout)
        _signal(left, signal.SIGKILL)
        _wait(left, timeout)
        return [
            process.name
            for process, handle in handles.items()
            if handle in left
        ]
    finally:
        for handle in handles.values():
            os.close(handle)


def _open(process: Process) -> int | None:
    """A pidfd; None when the pid is no longer that process."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if _parse(process.pid) == process:
        return handle
    os.close(handle)
    return None


def _signal(handles: Iterable[int], number: signal.Signals) -> None:
    for handle in handles:
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            continue  # it was faster


def _wait(handles: Sequence[int], timeout: float) -> list[int]:
    """The pidfds whose process has not ended within `timeout` seconds."""
    end = time.monotonic() + timeout
    left = list(handles)
    while left and (pause := end - time.monotonic()) > 0:
        ended, _, _ = select.select(left, [], [], pause)
        left = [handle for handle in left if handle not in ended]
    return left
