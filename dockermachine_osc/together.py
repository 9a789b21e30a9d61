# SPDX-License-Identifier: Apache-2.0
"""Files that are of use only together, as a key and its certificate.

No file system renames several files at once. So all of the new ones stand in
one file before the first takes its place, and what a crash has cut short is
finished by whoever comes next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dockermachine_osc.files import write_whole

_FILE = '.together'


def replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files, by their names: after a crash, none or in the end all.

    :raises OSError: they cannot be written. If some could, `finish` will.
    """
    told = {name: data.decode('latin-1') for name, data in contents.items()}
    write_whole(folder / _FILE, json.dumps(told).encode())
    finish(folder)


def is_unfinished(folder: Path) -> bool:
    """Tell whether :func:`replace` is at work, or was cut short."""
    return (folder / _FILE).is_file()


def finish(folder: Path) -> None:
    """Finish what was cut short, if anything was.

    :raises OSError: it cannot be.
    """
    path = folder / _FILE
    try:
        contents = _read(path)
    except FileNotFoundError:
        return
    for name, data in contents.items():
        write_whole(folder / name, data)
    path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, bytes]:
    """Read what is to be written; nothing from a file of a broken disk."""
    try:
        told = json.loads(path.read_bytes())
        return {Path(n).name: t.encode('latin-1') for n, t in told.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}
