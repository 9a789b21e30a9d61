# SPDX-License-Identifier: Apache-2.0
"""Where this machine itself gets Debian from.

The base trees come from the same mirror as the machine's own packages, so
that a developer behind a company mirror needs no second setting.  Both of
apt's formats are read, see sources.list(5).
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterator

APT = pathlib.Path('/etc/apt')
KEYRING = 'debian-archive-keyring'
CODENAMES = frozenset(
    (
        'buster',
        'bullseye',
        'bookworm',
        'trixie',
        'forky',
        'sid',
        'oldstable',
        'stable',
        'testing',
        'unstable',
    )
)


@dataclasses.dataclass(frozen=True)
class Source:
    """One archive that apt fetches binary packages from."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ''


@dataclasses.dataclass(frozen=True)
class Mirror:
    """Debian's archive, and its security archive if one is configured."""

    archive: str
    security: str | None


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a deb822 file, field names in lower case."""
    lines = [x for x in text.splitlines() if not x.startswith('#')]
    for block in re.split(r'\n[ \t]*\n', '\n'.join(lines)):
        fields = re.findall(r'^([\w-]+):((?:.*)(?:\n[ \t].*)*)', block, re.M)
        if fields:
            yield {
                name.lower(): ' '.join(value.split()) for name, value in fields
            }


def parse_deb822(text: str) -> Iterator[Source]:
    """The enabled sources of binary packages of a ``.sources`` file."""
    for field in _paragraphs(text):
        if 'deb' not in field.get('types', '').split():
            continue
        if field.get('enabled', 'yes').lower() in ('no', 'false', '0'):
            continue
        for uri in field.get('uris', '').split():
            yield Source(
                uri,
                tuple(field.get('suites', '').split()),
                tuple(field.get('components', '').split()),
                field.get('signed-by', ''),
            )


def parse_one_line(text: str) -> Iterator[Source]:
    """The sources of binary packages of a ``.list`` file."""
    for line in text.splitlines():
        found = re.match(
            r'\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)([^#]*)', line
        )
        if found:
            options, uri, suite, components = found.groups()
            signed = re.search(r'signed-by=(\S+)', options or '')
            yield Source(
                uri,
                (suite,),
                tuple(components.split()),
                signed[1] if signed else '',
            )


def sources(apt: pathlib.Path = APT) -> list[Source]:
    """All that apt on this machine is told to use."""
    found: list[Source] = []
    parts = apt / 'sources.list.d'
    for path in (apt / 'sources.list', *sorted(parts.glob('*.list'))):
        if path.is_file():
            found += parse_one_line(path.read_text(errors='replace'))
    for path in sorted(parts.glob('*.sources')):
        found += parse_deb822(path.read_text(errors='replace'))
    return [s for s in found if s.uri.startswith(('http://', 'https://'))]


def debian_mirror(found: list[Source]) -> Mirror | None:
    """Debian's own archive among them; None on Ubuntu, for instance.

    Others serve suites of the same names (Docker, NodeSource, ...).  Debian's
    own archive has the suite's updates beside it, is signed by Debian's
    keyring or has a path that ends in "debian".
    """
    suites: dict[str, set[str]] = collections.defaultdict(set)
    for source in found:
        suites[source.uri].update(source.suites)
    security = next(
        (
            s.uri
            for s in found
            for suite in s.suites
            if suite.endswith(('-security', '/updates'))
            and suite.split('-')[0].split('/')[0] in CODENAMES
        ),
        None,
    )
    for source in found:
        if 'main' not in source.components:
            continue
        if _is_debian(source, suites[source.uri]):
            return Mirror(source.uri, security)
    return None


def _is_debian(source: Source, suites: set[str]) -> bool:
    plain = CODENAMES.intersection(source.suites)
    return bool(plain) and (
        source.uri.rstrip('/').rsplit('/', 1)[-1] == 'debian'
        or KEYRING in source.signed_by
        or any(f'{suite}-updates' in suites for suite in plain)
    )
