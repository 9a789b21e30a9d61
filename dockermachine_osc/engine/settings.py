# SPDX-License-Identifier: Apache-2.0
"""What the set-up on a host is told, and the script that does it."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import re

from dockermachine_osc import errors

#: Kinds of source besides the URL of an install script.
SOURCES = ('auto', 'image', 'distribution', 'docker', 'none')
#: On a TCP port with mutual TLS, or on its socket and through SSH.
ACCESSES = ('tls', 'ssh')

_PARTS = (
    *('common', 'dropin', 'tls', 'install', 'apt', 'selfsigned', 'boot'),
    *('disk', 'serve', 'causes', 'daemonjson', 'ssh', 'options', 'adopt'),
    *('packages', 'upgrade', 'main'),
)
# What a server needs before anybody has logged in.
_BOOT_PARTS = (
    *('common', 'dropin', 'tls', 'install', 'apt', 'selfsigned', 'boot'),
    'main',
)
_MACHINE_ID = re.compile(r'[A-Za-z0-9-]{1,64}')
_VERSION = re.compile(r'[0-9][A-Za-z0-9.+~:-]{0,63}')
_URL = re.compile(r'https?://[A-Za-z0-9._:/@+=~%?&,#-]{1,1000}')
_PUBLIC_KEY = re.compile(
    r'(?P<key>[a-z0-9@.-]{4,64} [A-Za-z0-9+/]{16,4096}={0,3})( .*)?', re.S
)


@dataclasses.dataclass(frozen=True)
class EngineSettings:
    """Everything about the engine that is no secret.

    :param machine_id: marks our lines on the console.
    :param source: one of :data:`SOURCES`, or the URL of an install script.
    :param version: the engine's version or its beginning; empty for any.
    :param port: where the engine answers with mutual TLS.
    :param access: how clients reach the engine, one of :data:`ACCESSES`.
    :param data_disk: size in GiB of an empty disk for what the engine
        stores; 0 for none.
    :param imported: the machine was one of Docker Machine, whose drop-in
        has put the engine on TLS.
    :raises InvalidRequest: a value cannot be carried to the host.
    """

    machine_id: str
    source: str = 'auto'
    version: str = ''
    port: int = 2376
    access: str = 'tls'
    data_disk: int = 0
    imported: bool = False

    def __post_init__(self) -> None:
        if not _MACHINE_ID.fullmatch(self.machine_id):
            raise errors.InvalidRequest(f'Bad machine id {self.machine_id!r}.')
        if self.source not in SOURCES and not _URL.fullmatch(self.source):
            raise errors.InvalidRequest(
                f'{self.source!r} is no source of the engine.',
                f'Use {", ".join(SOURCES)} or the http(s) URL of a script.',
            )
        if self.version and not _VERSION.fullmatch(self.version):
            raise errors.InvalidRequest(
                f'{self.version!r} is no version of the engine.',
                'Use a version such as 28 or 28.2.2.',
            )
        if not 0 < self.port < 65536:
            raise errors.InvalidRequest(f'{self.port} is no TCP port.')
        if self.access not in ACCESSES:
            raise errors.InvalidRequest(f'{self.access!r} is no access.')

    def render(
        self,
        public_key: str = '',
        hold: int = 0,
        *,
        defer: bool = False,
        self_signed: str = '',
    ) -> str:
        """Return the settings as the script reads them.

        :param public_key: an OpenSSH public key; its comment is left out.
        :param hold: for how many seconds later commands of the boot wait for
            the engine to run.
        :param defer: install the engine only when somebody logs in.
        :param self_signed: what a certificate of the host's own is to say,
            see :meth:`selfsigned.Asked.render`.
        """
        lines = [
            f'{name}={value}'
            for name, value in vars(self).items()
            if name != 'imported'
        ]
        if self.imported:
            lines.append('imported=yes')
        if public_key:
            lines.append(f'public_key={plain_key(public_key)}')
        if hold:
            lines.append(f'hold={hold}')
        if defer:
            lines.append('defer=yes')
        if self_signed:
            lines.append(f'self_signed={self_signed}')
        return '\n'.join(lines) + '\n'


def plain_key(public_key: str) -> str:
    """Return type and data of an OpenSSH public key.

    :raises InvalidRequest: it is no public key.
    """
    match = _PUBLIC_KEY.fullmatch(public_key.strip())
    if match is None or '\n' in public_key.strip():
        raise errors.InvalidRequest('That is no OpenSSH public key.')
    return match['key']


@functools.cache
def setup_script() -> bytes:
    """Return the whole set-up script, which is kept in parts."""
    return _joined(_PARTS)


@functools.cache
def boot_script() -> bytes:
    """Return the parts that cloud-init runs; user data are to be short."""
    return _without_comments(_joined(_BOOT_PARTS))


def _joined(parts: tuple[str, ...]) -> bytes:
    folder = importlib.resources.files(__package__) / 'setup'
    return b''.join((folder / f'{part}.sh').read_bytes() for part in parts)


def _without_comments(script: bytes) -> bytes:
    """Leave out lines that are comments, but for the first.

    What stands in a here-document, of which all end with END, is text.
    """
    kept: list[bytes] = []
    text = False
    for line in script.splitlines(keepends=True):
        if text:
            text = line != b'END\n'
        elif kept and line.lstrip().startswith(b'#'):
            continue
        else:
            text = line.endswith(b'<<END\n')
        kept.append(line)
    return b''.join(kept)
