# SPDX-License-Identifier: Apache-2.0
"""What a call to a cloud is known by: not its number, as some go in parallel.

A call is its method, its service, the shape of its path and of its query, and
how often there was such a one before.
"""

from __future__ import annotations

import collections
import json
import re
import threading
import typing
import urllib.parse

# What stands for one thing, in place of others of its kind: ids of Nova,
# Neutron, Glance and Keystone, and items of metadata.
_ID = re.compile(
    r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}'
    r'|docker-machine(:|%3A).*'
)


class Call(typing.NamedTuple):
    """A call of a run: the n-th of its kind, from 1."""

    kind: str
    nth: int

    def __str__(self) -> str:
        return self.kind if self.nth == 1 else f'{self.kind} #{self.nth}'


def kind(method: str, service: str, path: str, body: bytes) -> str:
    """Give what calls have in common that ask for the same.

    :param path: with the query.
    """
    url = urllib.parse.urlsplit(path)
    parts = [_ID.sub('*', part) for part in url.path.split('/')]
    # Nova's actions differ in their bodies alone.
    action = (
        f' {next(iter(json.loads(body)))}' if parts[-1] == 'action' else ''
    )
    names = sorted({name for name, _ in urllib.parse.parse_qsl(url.query)})
    query = f'?{"&".join(names)}' if names else ''
    return f'{method} {service} {"/".join(parts)}{query}{action}'


class Counter:
    """Tells the calls of a run apart."""

    def __init__(self) -> None:
        self._seen: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    def next(self, kind: str) -> Call:
        """Give the next call of a kind."""
        with self._lock:
            self._seen[kind] += 1
            return Call(kind, self._seen[kind])
