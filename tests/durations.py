# SPDX-License-Identifier: Apache-2.0
"""What long tests took once, for stestr, as it has measured none yet.

``python -m tests.durations | stestr load`` has it share them out well among
its workers in a new clone, too. ``stestr slowest --all`` shows later ones.
"""

from __future__ import annotations

import datetime
import pathlib
import sys
from collections.abc import Iterator
from typing import BinaryIO

import subunit

#: Lines of seconds and a test's id.
FILE = pathlib.Path(__file__).parent / 'durations.txt'
_BEGIN = datetime.datetime.fromtimestamp(0, datetime.UTC)


def known() -> Iterator[tuple[str, float]]:
    """Yield the id and the seconds of each test."""
    for line in FILE.read_text().splitlines():
        seconds, test = line.split()
        yield test, float(seconds)


def tell(stream: BinaryIO) -> None:
    """Write them as a run in which all was well."""
    result = subunit.StreamResultToBytes(stream)
    for test, seconds in known():
        end = _BEGIN + datetime.timedelta(seconds=seconds)
        for status, moment in (('inprogress', _BEGIN), ('success', end)):
            result.status(test_id=test, test_status=status, timestamp=moment)


if __name__ == '__main__':
    tell(sys.stdout.buffer)
