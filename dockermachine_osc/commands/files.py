# SPDX-License-Identifier: Apache-2.0
"""Files that options name."""

from __future__ import annotations

import argparse
from pathlib import Path

from dockermachine_osc.errors import InvalidRequest


def path(text: str) -> Path:
    """Read a path, in which ~ is the home folder.

    :raises ArgumentTypeError: if it is none, as argparse wants it.
    """
    try:
        return Path(text).expanduser()
    except (TypeError, RuntimeError) as error:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no path: {error}'
        ) from error


def read(option: str, file: str) -> bytes:
    """Read a file that an option names.

    :raises InvalidRequest: if it cannot be read.
    """
    try:
        return path(file).read_bytes()
    except OSError as error:
        raise InvalidRequest(f'{option} {file}: {error.strerror}') from error
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise InvalidRequest(f'{option} {file}: {error}') from error
