# SPDX-License-Identifier: Apache-2.0
"""What a server's console log says about logging in to it.

Anybody who can write to the console can write such lines: each is believed
only in its exact form, and contradictions are not resolved.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re

_MAX_TEXT = 1 << 20
_MAX_LINE = 4096
_MAX_END = 12
_BEGIN = '-----BEGIN SSH HOST KEY KEYS-----'
_END = '-----END SSH HOST KEY KEYS-----'
_KEY_TYPES = (
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'ssh-rsa',
)
_CONTROL = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]')
_USER = re.compile(r'[A-Za-z_][A-Za-z0-9_.-]{0,31}')
_KEY = re.compile(r'([a-z0-9-]{7,20}) ([A-Za-z0-9+/]{60,2000}={0,2})')


@dataclasses.dataclass(frozen=True)
class ConsoleFacts:
    """What is known from the console; nothing is guessed.

    :param login: the user that the machine's public key lets in.
    :param host_keys: as in 'ssh-ed25519 AAAA...', one of a type; empty if
        the console names two of a type that differ.
    :param installing: whether the engine is not in the image, and starts as
        soon as it is installed.
    :param installed: the engine's version, once it is installed.
    :param failure: why the set-up of the engine has failed, in one line.
    :param certificate: of the engine, made by the host itself; DER, and as
        yet anything. None if the console names none, or two.
    """

    login: str | None = None
    host_keys: tuple[str, ...] = ()
    installing: bool = False
    installed: str | None = None
    failure: str | None = None
    certificate: bytes | None = None


def read_console(text: str, machine_id: str) -> ConsoleFacts:
    """Read the console log of the server of that machine id."""
    lines = _lines(text)
    said = _our_lines(lines, machine_id)
    logins = {user for user in said['login'] if _USER.fullmatch(user)}
    keys = _block_keys(lines) + said['hostkey']
    return ConsoleFacts(
        login=logins.pop() if len(logins) == 1 else None,
        host_keys=_agreed(keys),
        installing=bool(said['installing']),
        installed=_printable(said['installed']),
        failure=_printable(said['failed']),
        certificate=_only(said['certificate']),
    )


def console_end(text: str) -> tuple[str, ...]:
    """Give the last lines of a console, fit for a terminal."""
    lines = [_printable([line]) for line in _lines(text)]
    return tuple(line for line in lines if line)[-_MAX_END:]


def _lines(text: str) -> list[str]:
    return [
        _CONTROL.sub('', line)[:_MAX_LINE].strip()
        for line in re.split(r'[\r\n]+', text[-_MAX_TEXT:])
    ]


def _our_lines(lines: list[str], machine_id: str) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {
        'login': [],
        'hostkey': [],
        'installing': [],
        'installed': [],
        'failed': [],
        'certificate': [],
    }
    pattern = re.compile(
        rf'docker-machine {re.escape(machine_id)} ([a-z]+) (.+) end'
    )
    for line in lines:
        match = pattern.fullmatch(line)
        if match and match[1] in said:
            said[match[1]].append(match[2])
    return said


def _block_keys(lines: list[str]) -> list[str]:
    """Keys between the marks that cloud-init prints (write-ssh-key-...)."""
    keys: list[str] = []
    inside = False
    for line in lines:
        if line in (_BEGIN, _END):
            inside = line == _BEGIN
        elif inside:
            # The comment behind the key is of no use here.
            keys.append(' '.join(line.split()[:2]))
    return keys


def _agreed(keys: list[str]) -> tuple[str, ...]:
    """One key a type, in the order of preference, or none at all."""
    known: dict[str, str] = {}
    for key in filter(is_key, keys):
        kind = key.split()[0]
        if known.setdefault(kind, key) != key:
            return ()
    return tuple(known[kind] for kind in _KEY_TYPES if kind in known)


def is_key(key: str) -> bool:
    """Tell whether a line 'type base64' is a whole public key of a host.

    Such a key names its type inside, and its parts fill it exactly.

    Source: RFC 4253, section 6.6 and RFC 8709, section 4.
    """
    match = _KEY.fullmatch(key)
    if match is None or match[1] not in _KEY_TYPES:
        return False
    try:
        blob = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        return False
    parts = _parts(blob)
    return len(parts) > 1 and parts[0] == match[1].encode()


def _parts(blob: bytes) -> list[bytes]:
    """Split an SSH blob into its strings; empty if it does not fit."""
    parts = []
    while blob:
        length = int.from_bytes(blob[:4])
        if len(blob) < 4 + length:
            return []
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return parts


def _only(texts: list[str]) -> bytes | None:
    """Decode the base64 that all agree on."""
    try:
        (text,) = set(texts)
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _printable(texts: list[str]) -> str | None:
    if not texts:
        return None
    return re.sub(r'[^ -~]', '', texts[-1])[:200]
