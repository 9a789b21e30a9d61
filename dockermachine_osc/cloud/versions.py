# SPDX-License-Identifier: Apache-2.0
"""Which versions the services speak, kept from one command to the next.

Before the first question to a service keystoneauth asks for its versions, in
each process anew, although they change with the cloud's upgrades only.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from keystoneauth1 import discover
from keystoneauth1.exceptions import ClientException

from dockermachine_osc.cloud import kept

if TYPE_CHECKING:
    from keystoneauth1.session import Session
    from openstack.connection import Connection

    _Told = dict[str, list[dict[str, Any]]]

#: Seconds that it is believed. A cloud that knows less than before says so at
#: the first question: see failures.
_BELIEVED = 86400.0


class Versions:
    """A file with what the services of a cloud have said.

    :param path: of the file, in a private folder; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: _Told = {}

    def recall(self, session: Session) -> None:
        """Have a session know what an earlier command was told."""
        self._told = _read(self._path)
        for url, versions in self._told.items():
            with contextlib.suppress(ClientException):
                _learn(session, url, versions)

    def keep(self, connection: Connection, *services: str) -> None:
        """Write down what this command was told, if that is new.

        :param services: by type, those that were asked something.
        """
        urls = [connection.endpoint_for(s) for s in services]
        project = connection.current_project_id or '/'
        # One with the project in it is none that versions are asked at.
        known = {u for u in urls if u and project not in u}
        if known <= {*self._told}:
            return
        for url in known:
            with contextlib.suppress(ClientException):
                found = discover.get_discovery(connection.session, url)
                self._told[url] = found.raw_version_data()
        kept.write(self._path, self._told)


def _read(path: Path) -> _Told:
    told = kept.read(path, _BELIEVED)
    if not isinstance(told, dict):
        return {}
    return {url: versions for url, versions in told.items() if _fits(versions)}


def _fits(versions: object) -> bool:
    """Tell whether it has the form of a service's answer."""
    return (
        isinstance(versions, list)
        and bool(versions)
        and all(
            isinstance(v, dict)
            and isinstance(v.get('id'), str)
            and isinstance(v.get('status'), str)
            and isinstance(v.get('links'), list)
            for v in versions
        )
    )


class _Said:
    """A session that has heard the answer already."""

    def __init__(self, versions: list[dict[str, Any]]) -> None:
        self._versions = versions

    def get(self, *_: object, **__: object) -> _Said:
        """Be the response, too."""
        return self

    def json(self) -> dict[str, Any]:
        """Give it as services do."""
        return {'versions': self._versions}


def _learn(session: Session, url: str, versions: list[dict[str, Any]]) -> None:
    known = discover.Discover(cast('Session', _Said(versions)), url)
    bare = url.rstrip('/')
    # Has the session keep what it finds there.
    discover.get_discovery(session, url, {bare: known, f'{bare}/': known})
