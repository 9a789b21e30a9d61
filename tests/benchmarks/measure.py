# SPDX-License-Identifier: Apache-2.0
"""What one run of a program costs, and what many runs come to.

What is compared is run by turns, so that whatever else the machine does
falls on both; ratios are those of such pairs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar('T')

#: Whose figures they are: this package's, the least possible, others'.
OURS, FLOOR, OTHER = 'ours', 'floor', 'other'


class RunFailed(Exception):
    """A program that is measured has failed, or has said the wrong thing."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A program that has ended well, and its cost.

    :ivar wall: seconds from its start to its end.
    :ivar cpu: seconds, user and system, of it and of what it waited for.
    :ivar rss: MiB, the peak of the largest of those processes. Linux counts
        this process at the time of the start among them (getrusage(2)), so
        nothing large may be imported here.
    """

    wall: float
    cpu: float
    rss: float
    out: str
    err: str


def run(
    command: Sequence[str],
    env: Mapping[str, str],
    folder: pathlib.Path | None = None,
) -> Run:
    """Run a program to its end.

    :raises RunFailed: if it fails.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        with _ended(process):
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        said, words = _text(out), _text(err)
    if process.returncode:
        text = f'exit code {process.returncode}\n{said[-2000:]}{words}'
        raise RunFailed(f'{" ".join(command)}: {text}')
    cpu = usage.ru_utime + usage.ru_stime
    return Run(wall, cpu, usage.ru_maxrss / 1024, said, words)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.returncode is None:
            _interrupt(process)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End what was cut short, and give it time to remove what it made."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors='replace'))


def by_turns(
    runs: int, sides: Mapping[str, Callable[[], T]]
) -> dict[str, list[T]]:
    """Do each side so often, by turns; every other time from behind."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for turn in range(runs):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            found[name].append(sides[name]())
    return found


def settle(most: float = 30.0) -> None:
    """Wait until this machine has little to do, but not for ever.

    What was deleted a moment ago is still being taken apart, and would slow
    down whatever is measured next.

    :param most: seconds.
    """
    end = time.monotonic() + most
    while _busy(_LOOK) > _REST and time.monotonic() < end:
        pass


#: Seconds of a look at what the processors do, and the part that is little.
_LOOK, _REST = 0.5, 0.1


def _busy(seconds: float) -> float:
    """Give the part of the processors' time that is not idle (proc(5))."""
    before = _processors()
    time.sleep(seconds)
    idle, total = (b - a for a, b in zip(before, _processors(), strict=True))
    return 1 - idle / max(total, 1)


def _processors() -> tuple[int, int]:
    """Give the ticks that they were idle, and all."""
    with pathlib.Path('/proc/stat').open() as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


# ----------------------------------------------------------------- figures


@dataclasses.dataclass(frozen=True)
class Figure:
    """One thing that was measured several times."""

    name: str
    unit: str
    samples: Sequence[float]
    whose: str = OURS

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON has it; the summary is for who only reads it."""
        return {
            **dataclasses.asdict(self),
            'samples': [round(sample, 5) for sample in self.samples],
            'median': round(self.median, 5),
            'min': round(min(self.samples), 5),
            'max': round(max(self.samples), 5),
        }

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Figure:
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: read[name] for name in names})


def ratio(above: Figure, below: Figure, aim: str = '') -> Figure:
    """Compare two figures pair by pair.

    :param aim: what it is to be, as '<= 1.5'.
    """
    pairs = zip(above.samples, below.samples, strict=True)
    name = f'{above.name} / {below.name}' + (f' (aim {aim})' if aim else '')
    return Figure(name, 'x', [a / b for a, b in pairs])


@dataclasses.dataclass
class Group:
    """Figures that belong together.

    :ivar drawn: those that go into the picture; all in the same unit.
    :ivar others: those that do not.
    :ivar notes: what could not be measured, and why.
    """

    title: str
    drawn: list[Figure] = dataclasses.field(default_factory=list)
    others: list[Figure] = dataclasses.field(default_factory=list)
    ratios: list[Figure] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def figures(self) -> list[Figure]:
        return [*self.drawn, *self.ratios, *self.others]

    def to_json(self) -> dict[str, Any]:
        kinds = ('drawn', 'others', 'ratios')
        figures = {k: [f.to_json() for f in getattr(self, k)] for k in kinds}
        return {'title': self.title, **figures, 'notes': self.notes}

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Group:
        kinds = ('drawn', 'others', 'ratios')
        figures = {k: list(map(Figure.from_json, read[k])) for k in kinds}
        return cls(title=read['title'], notes=list(read['notes']), **figures)
