# SPDX-License-Identifier: Apache-2.0
"""The variables that point a docker client at a machine, by Docker's names.

Imports little: the entry for shell prompts is made of this, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Variables: TypeAlias = list[tuple[str, str | None]]

_NAMES = (
    'DOCKER_TLS_VERIFY',
    'DOCKER_HOST',
    'DOCKER_CERT_PATH',
    'DOCKER_MACHINE_NAME',
)


def setting(name: str, url: str, certificates: str | None) -> Variables:
    """Give what makes docker talk to a machine; None unsets.

    :param certificates: the folder of its certificates, None if it has none.
    """
    values = ('1' if certificates else None, url, certificates, name)
    return list(zip(_NAMES, values, strict=True))


def unsetting() -> Variables:
    """Give what makes docker talk to where it would without us."""
    return [(name, None) for name in _NAMES]


def proxy_exception(
    environ: Mapping[str, str], variables: Variables
) -> tuple[str, str | None]:
    """Give NO_PROXY as it fits what is set, or unset, beside it."""
    url = dict(variables)['DOCKER_HOST']
    if url is None:
        return with_proxy(environ)
    return without_proxy(environ, url)


def without_proxy(environ: Mapping[str, str], url: str) -> tuple[str, str]:
    """Add a machine to those that are reached without a proxy.

    :returns: the variable's name, NO_PROXY unless the lower-case one is
        set, and its new value.
    """
    name, old = _exceptions(environ)
    listed, address = _entries(old), _host(url)
    # '*' is everything, and some programs know it only when it is alone.
    if address in listed or '*' in listed:
        return name, old
    return name, f'{old},{address}' if old else address


def with_proxy(environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Take the machine that the shell points at out of NO_PROXY.

    What else stands there is the user's and stays.
    """
    name, old = _exceptions(environ)
    host = _host(environ.get('DOCKER_HOST', ''))
    kept = [e for e in _entries(old) if e and e != host]
    return name, ','.join(kept) or None


def _exceptions(environ: Mapping[str, str]) -> tuple[str, str]:
    name = 'no_proxy' if environ.get('no_proxy') else 'NO_PROXY'
    return name, environ.get(name, '').strip().rstrip(',')


def _entries(value: str) -> Sequence[str]:
    return [entry.strip() for entry in value.split(',')]


def _host(url: str) -> str:
    import urllib.parse

    try:
        return urllib.parse.urlsplit(url).hostname or ''
    except ValueError:  # brackets around what is no IPv6 address
        return ''
