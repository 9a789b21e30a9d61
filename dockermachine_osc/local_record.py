# SPDX-License-Identifier: Apache-2.0
"""What a workstation remembers of a machine, as JSON: a cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dockermachine_osc.errors import StoreFailure

#: A newer program may write what this one cannot read.
SCHEMA = 1
#: Bytes; ours have a few hundred.
_LIMIT = 1 << 20


class NewerFiles(StoreFailure):
    """The files are of a newer release, which alone may change them."""


def render(document: Mapping[str, object]) -> bytes:
    """Give JSON that people can read."""
    return (json.dumps(document, indent=2, sort_keys=True) + '\n').encode()


def write(record: Mapping[str, object]) -> bytes:
    """Give what is to stand in the file."""
    return render({'schema': SCHEMA, 'machine': record})


def read(data: bytes, path: Path, machine: str) -> dict[str, object]:
    """Give what :func:`write` was given.

    :param path: of the file, for the error's message.
    :raises NewerFiles: it is of a newer release.
    :raises StoreFailure: it cannot be understood.
    """
    try:
        if len(data) > _LIMIT:
            raise ValueError('too long')
        document = json.loads(data)
        schema, record = document['schema'], document['machine']
        if not isinstance(schema, int) or not isinstance(record, dict):
            raise TypeError('not a record')
    except (ValueError, TypeError, LookupError, RecursionError) as e:
        raise StoreFailure(
            f'{path} is damaged.',
            'The cloud knows all that is in it; have it written anew: '
            f'openstack docker machine show {machine}',
        ) from e
    if schema > SCHEMA:
        raise NewerFiles(
            f'{path} was written by a newer release.',
            'Upgrade dockermachine-osc on this workstation.',
        )
    return record
