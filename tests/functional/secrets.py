# SPDX-License-Identifier: Apache-2.0
"""Looking for secrets where none may be, in whatever form."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

# Every token of Keystone's, and every private key.
_ALWAYS = {
    'a token': re.compile(rb'gAAAAA[A-Za-z0-9_-]{40,}'),
    'a private key': re.compile(rb'BEGIN [A-Z ]*PRIVATE KEY'),
}

# Characters of base64 that are nobody else's by chance.
_UNMISTAKABLE = 12


class Secrets:
    """Secret values, and where they are looked for.

    A value is found as it is, in hexadecimal digits, in base64 wherever in a
    longer text it began, and in base64 of base64; with line ends in between,
    or written as backslash and n, or without.
    """

    def __init__(self) -> None:
        self._forms: dict[str, set[bytes]] = {}

    def add_key(self, name: str, pem: bytes) -> None:
        """Look for a private key: for that of it which is no other's."""
        number = _inmost(pem)
        self.add(name, number)
        for piece in _pieces(pem, number):
            self.add(name, piece)

    def add(self, name: str, value: bytes) -> None:
        """Look for a value."""
        self._forms.setdefault(name, set()).update(_forms(value))

    def found(self, text: bytes) -> list[str]:
        """Name what of it all is in a text."""
        joined = re.sub(rb'\\n|\\r|\s', b'', text)
        return [
            name
            for name, forms in self._forms.items()
            if any(form in text or form in joined for form in forms)
        ] + [name for name, form in _ALWAYS.items() if form.search(text)]

    def where(self, texts: Mapping[str, bytes]) -> dict[str, list[str]]:
        """Name what is in each of the texts that have something in them."""
        found = {place: self.found(text) for place, text in texts.items()}
        return {place: names for place, names in found.items() if names}


def _inmost(pem: bytes) -> bytes:
    """Give the number that a private key is."""
    load = serialization.load_pem_private_key
    if b'OPENSSH' in pem:
        load = serialization.load_ssh_private_key
    key = load(pem, None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.private_bytes_raw()
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AssertionError(f'a key of another kind: {key}')
    return key.private_numbers().private_value.to_bytes(32)


def _pieces(pem: bytes, number: bytes) -> Iterator[bytes]:
    """Give what each line of a key file has of the number.

    So it is found in base64 of the whole file, too, line ends and all.
    """
    lines = [x for x in pem.split(b'\n') if x and not x.startswith(b'-----')]
    start = base64.b64decode(b''.join(lines)).index(number)
    first, last = (start * 8 + 5) // 6, (start + len(number)) * 8 // 6
    before = 0
    for line in lines:
        piece = line[max(0, first - before) : max(0, last - before)]
        if len(piece) >= _UNMISTAKABLE:
            yield piece
        before += len(line)


def _forms(value: bytes) -> Iterator[bytes]:
    yield value
    yield value.hex().encode()
    yield value.hex().upper().encode()
    for once in _base64(value):
        yield once
        yield from _base64(once)


def _base64(value: bytes) -> Iterator[bytes]:
    """Give what of its base64 is the same whatever stands around it."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + value)
        first = (before * 8 + 5) // 6
        last = (before + len(value)) * 8 // 6
        yield text[first:last]
