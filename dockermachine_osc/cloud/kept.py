# SPDX-License-Identifier: Apache-2.0
"""What a cloud has told, kept in a file for a while: its loss is no harm."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from dockermachine_osc import files


def read(path: Path, seconds: float) -> object:
    """Give what is kept, as JSON has it; None without, or if it is older.

    Anybody may have written it: whether it fits is for the caller to see.
    """
    try:
        age = time.time() - path.stat().st_mtime
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return told if 0 <= age < seconds else None


def write(path: Path, told: object) -> None:
    """Keep it if that can be done."""
    with contextlib.suppress(OSError):
        files.write_whole(path, json.dumps(told).encode())
