# SPDX-License-Identifier: Apache-2.0
"""The names for which a certificate speaks (RFC 5280, section 4.2.1.6)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from cryptography import x509

from dockermachine_osc.errors import InvalidRequest

#: By which whoever is on the host itself reaches the engine.
LOCAL = ('localhost', '127.0.0.1')
_DNS_NAME = re.compile(
    r'(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*'
    r'[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?'
)


def alternatives(names: Iterable[str]) -> list[x509.GeneralName]:
    """Give DNS names and addresses as they stand there, each once.

    :raises InvalidRequest: one is neither.
    """
    found = (_alternative_name(name) for name in names)
    return list(dict.fromkeys(found))


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        address = ipaddress.ip_address(name.strip('[]'))
    except ValueError:
        return x509.DNSName(_dns_name(name))
    # Packed and unpacked: without the zone of a link-local address.
    return x509.IPAddress(ipaddress.ip_address(address.packed))


def _dns_name(name: str) -> str:
    try:
        ascii_name = name.rstrip('.').lower().encode('idna').decode('ascii')
    except UnicodeError:
        ascii_name = ''
    if not _DNS_NAME.fullmatch(ascii_name):
        raise InvalidRequest(
            f'{name!r} is neither a host name nor an IP address.'
        )
    return ascii_name


def of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Read the names of a certificate, none if it has none."""
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in extension.value)
