# SPDX-License-Identifier: Apache-2.0
"""Which flavors there are, kept from one command to the next.

They are a cloud's longest list and change seldom. A create that finds what it
needs in an earlier answer need not ask; if the cloud then refuses, it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openstack.compute.v2.flavor import Flavor

from dockermachine_osc.cloud import kept

if TYPE_CHECKING:
    from dockermachine_osc.request import CreateRequest

#: Seconds that a list is believed.
_BELIEVED = 3600.0
#: What a choice goes by, and its type.
_FIELDS = {
    'id': str,
    'name': str,
    'ram': int,
    'vcpus': int,
    'disk': int,
    'is_disabled': bool,
}


class Flavors:
    """A file with the flavors of a project.

    :param path: of the file, in a private folder; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self, request: CreateRequest) -> tuple[Flavor, ...]:
        """Give those that are known; none if they lack the one wanted."""
        known = tuple(Flavor(**row) for row in _read(self._path))
        wanted = request.flavor
        if wanted and not any(wanted in (f.id, f.name) for f in known):
            return ()
        return known

    def keep(self, flavors: Iterable[Flavor]) -> None:
        """Write down what there is, if it is what it should be."""
        rows = [
            {name: getattr(f, name) for name in _FIELDS}
            | {'is_disabled': bool(f.is_disabled)}
            for f in flavors
        ]
        if all(map(_fits, rows)):
            kept.write(self._path, rows)


def _read(path: Path) -> list[dict[str, Any]]:
    rows = kept.read(path, _BELIEVED)
    if not (isinstance(rows, list) and all(map(_fits, rows))):
        return []
    return rows


def _fits(row: object) -> bool:
    return (
        isinstance(row, dict)
        and row.keys() == _FIELDS.keys()
        and all(type(row[name]) is kind for name, kind in _FIELDS.items())
    )
