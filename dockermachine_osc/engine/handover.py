# SPDX-License-Identifier: Apache-2.0
"""The one command that makes an engine serve TLS, and what it answers."""

from __future__ import annotations

import dataclasses
import io
import re
import tarfile
from collections.abc import Iterable

from dockermachine_osc import errors
from dockermachine_osc.engine import settings as engine_settings

EXIT_USAGE = 64
EXIT_UNSUPPORTED = 69
EXIT_INSTALL = 70
EXIT_CONFLICT = 71
EXIT_START = 72
EXIT_STAGING = 74
EXIT_TIMEOUT = 75
EXIT_SUDO = 77
EXIT_NO_COMMAND = 127

_MAX_LINE = 400
_MAX_TAIL = 40
_CONTROL = re.compile(r'[\x00-\x1f\x7f-\x9f]')

# What runs as root; it never exits with 1, which is sudo's own. Secrets come
# on stdin and touch no disk on their way.
_ROOT = (
    'umask 077; d=$(mktemp -d /run/docker-machine.XXXXXX) && '
    'tar -xf - -C "$d" || {{ rm -rf "$d"; exit {exit_staging}; }}; '
    'exec sh "$d/setup.sh" serve "$d" {wait}'
)
# Single quotes only, no newline and no backslash: any login shell takes it.
_COMMAND = (
    'exec sh -c \'if [ $(id -u) = 0 ]; then exec sh -c "$1"; fi; '
    'sudo -n sh -c "$1"; r=$?; if [ $r = 1 ]; then r={exit_sudo}; fi; '
    "exit $r' sh '{root}'"
)


@dataclasses.dataclass(frozen=True)
class Handover:
    """A command for the host's shell and what it reads from stdin."""

    command: str
    stdin: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How the set-up ended well.

    :param version: of the engine, 'unknown' if the host does not say.
    :param steps: what was done, in words.
    """

    version: str
    steps: tuple[str, ...]


class SetupFailed(errors.EngineFailure):
    """The set-up on the host ended with an error.

    :param exit_code: one of the EXIT_ constants, or what the shell said.
    :param tail: the last lines of the log that tells about it.
    """

    def __init__(
        self, message: str, hint: str, exit_code: int, tail: tuple[str, ...]
    ) -> None:
        lines = [message, *(f'  | {line}' for line in tail)]
        super().__init__('\n'.join(lines), hint)
        self.cause = message
        self.exit_code = exit_code
        self.tail = tail


def handover(
    settings: engine_settings.EngineSettings,
    ca: bytes,
    certificate: bytes,
    key: bytes,
    wait: int,
) -> Handover:
    """Return the command that gives certificates to an engine.

    :param ca: PEM; clients with a certificate of it are let in.
    :param certificate: PEM of the engine.
    :param key: PEM of the engine; it is in nothing but stdin.
    :param wait: seconds that an installation may take.
    """
    files = {
        'setup.sh': engine_settings.setup_script(),
        'settings': settings.render().encode(),
        'ca.pem': ca,
        'server.pem': certificate,
        'server-key.pem': key,
    }
    root = _ROOT.format(wait=int(wait), exit_staging=EXIT_STAGING)
    return Handover(
        _COMMAND.format(exit_sudo=EXIT_SUDO, root=root), _archive(files)
    )


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode='w', format=tarfile.USTAR_FORMAT
    ) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o600
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def progress(line: str) -> str | None:
    """Return what a line of output says is being done, if it says that."""
    word, _, text = _cleaned(line).partition(' ')
    return text if word == 'step' else None


def outcome(exit_code: int, lines: Iterable[str]) -> Outcome:
    """Read what the command has printed on stdout.

    :param lines: with or without their line ends.
    :raises SetupFailed: it did not end well, with cause, log and hint.
    """
    said: dict[str, list[str]] = {}
    for line in lines:
        word, _, text = _cleaned(line).partition(' ')
        said.setdefault(word, []).append(text)
    if exit_code == 0 and said.get('ready'):
        return Outcome(said['ready'][-1], tuple(said.get('step', ())))
    raise _failure(exit_code, said)


def _failure(exit_code: int, said: dict[str, list[str]]) -> SetupFailed:
    cause = said.get('failed', [''])[-1]
    hint = said.get('hint', [''])[-1]
    if exit_code == EXIT_SUDO:
        cause = 'sudo asks the login user for a password.'
        hint = 'Log in as root, or let that user sudo without a password.'
    elif exit_code == EXIT_NO_COMMAND and not cause:
        cause = 'A program that the set-up needs is missing (sudo?).'
    elif exit_code == EXIT_STAGING and not cause:
        cause = 'The host cannot unpack what it is handed (is tar there?).'
    return SetupFailed(
        cause or f'The set-up on the host ended with exit code {exit_code}.',
        hint,
        exit_code,
        tuple(said.get('tail', ())[-_MAX_TAIL:]),
    )


def _cleaned(line: str) -> str:
    """Drop what a host could steer a terminal with."""
    return _CONTROL.sub('', line.expandtabs(4))[:_MAX_LINE].rstrip()
