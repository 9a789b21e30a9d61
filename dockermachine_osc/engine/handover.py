# SPDX-License-Identifier: Apache-2.0
"""The one command that makes an engine serve TLS, and what it answers."""

from __future__ import annotations

import dataclasses
import io
import re
import tarfile
import time
from collections.abc import Iterable, Mapping

from dockermachine_osc import errors
from dockermachine_osc.engine import console
from dockermachine_osc.engine import settings as engine_settings
from dockermachine_osc.engine.options import EngineOptions

EXIT_USAGE = 64
EXIT_UNSUPPORTED = 69
EXIT_INSTALL = 70
EXIT_CONFLICT = 71
EXIT_START = 72
EXIT_SCRIPT = 73
EXIT_STAGING = 74
EXIT_TIMEOUT = 75
EXIT_TAKEN = 76
EXIT_SUDO = 77
EXIT_NO_COMMAND = 127

_WORDS = (
    *('step', 'note', 'tail', 'hint', 'failed', 'fact', 'ready', 'option'),
    '',
)
_MAX_LINE = 400
_MAX_TAIL = 40
_USER = re.compile(r'[A-Za-z_][A-Za-z0-9._-]{0,31}')
_CONTROL = re.compile(r'[\x00-\x1f\x7f-\x9f]')

# What runs as root; it never exits with 1, which is sudo's own. Secrets come
# on stdin and touch no disk on their way.
_ROOT = (
    'umask 077; {{ d=$(mktemp -d /run/docker-machine.XXXXXX) && '
    'tar -xf - -C "$d"; }} 2>&1 || {{ rm -rf "$d"; exit {exit_staging}; }}; '
    '{then}'
)
# These take the directory away themselves, even if they are killed.
_WORK = 'exec sh "$d/setup.sh" {verb} "$d" {wait}'
_VISIT = 'sh "$d/setup.sh" {verb} "$d"; r=$?; rm -rf "$d"; exit $r'
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
    :param facts: what the host tells of it, by name.
    """

    version: str
    steps: tuple[str, ...]
    facts: dict[str, str] = dataclasses.field(default_factory=dict)


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
    goods: Mapping[str, bytes],
    wait: int,
) -> Handover:
    """Return the command that sets an engine up.

    :param goods: what it is handed, by file name; secrets among it are in
        nothing but stdin.
    :param wait: seconds that an installation may take.
    """
    files = _script_and(settings) | dict(goods)
    # By which the host sees whether its clock is right.
    files['now'] = f'{time.time():.0f}\n'.encode()
    return _parcel(_WORK.format(verb='serve', wait=int(wait)), files)


def upgrade(settings: engine_settings.EngineSettings, wait: int) -> Handover:
    """Return the command that gives an engine the version in the settings.

    :param wait: seconds that it may take.
    """
    then = _WORK.format(verb='upgrade', wait=int(wait))
    return _parcel(then, _script_and(settings))


def tls_files(ca: bytes, certificate: bytes, key: bytes) -> dict[str, bytes]:
    """Return what an engine that serves TLS is handed.

    :param ca: PEM; clients with a certificate of it are let in.
    :param certificate: PEM of the engine.
    :param key: PEM of the engine.
    """
    return {'ca.pem': ca, 'server.pem': certificate, 'server-key.pem': key}


def further_files(
    options: EngineOptions,
    post_script: bytes = b'',
    found: str | None = None,
) -> dict[str, bytes]:
    """Return what any engine can be handed beside that.

    :param options: take the place of those on the host; none leave them.
    :param post_script: run as root when the engine has started.
    :param found: the id of the machine that the host was, '' for none: if it
        is another by now, it is left alone, with EXIT_TAKEN.
    """
    files = {'options': options.render().encode(), 'post-script': post_script}
    files = {name: content for name, content in files.items() if content}
    return files if found is None else files | {'found': found.encode()}


def configure(options: EngineOptions, wait: int) -> Handover:
    """Return the command that changes the options of an engine.

    :param options: all that are to be set from now on.
    :param wait: seconds that another set-up of the host may take.
    """
    files = {
        'setup.sh': engine_settings.setup_script(),
        'options': options.render().encode(),
    }
    return _parcel(_WORK.format(verb='configure', wait=int(wait)), files)


def visit(
    verb: str,
    settings: engine_settings.EngineSettings,
    options: EngineOptions | None = None,
) -> Handover:
    """Return the command that looks at a host, or leaves it as it was.

    :param verb: 'look' and 'options', which change nothing, or 'leave'.
    :param options: that the engine would get, for 'look'.
    """
    files = _script_and(settings)
    if options is not None:
        files['options'] = options.render().encode()
    return _parcel(_VISIT.format(verb=verb), files)


def _script_and(settings: engine_settings.EngineSettings) -> dict[str, bytes]:
    return {
        'setup.sh': engine_settings.setup_script(),
        'settings': settings.render().encode(),
    }


def _parcel(then: str, files: dict[str, bytes]) -> Handover:
    root = _ROOT.format(then=then, exit_staging=EXIT_STAGING)
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
    return _text_of(line, 'step')


def remark(line: str) -> str | None:
    """Return what a line of output tells the user, if it does."""
    return _text_of(line, 'note')


def _text_of(line: str, kind: str) -> str | None:
    word, _, text = _cleaned(line).partition(' ')
    return text if word == kind else None


@dataclasses.dataclass(frozen=True)
class Findings:
    """What stands on a host, by `look`.

    :param engine: its version, '' if there is none.
    :param method: how one would be installed, '' if there is one.
    :param machine: the id of the machine that it is already, or ''.
    :param containers: how many run; None if nobody can tell.
    :param live_restore: whether they survive a restart of the engine.
    :param differs: whether it has other options than it would get.
    :param hosts_in: the daemon.json to whose "hosts" the engine's port would
        be added, or ''.
    :param running: whether there is an engine that runs.
    :param member: the user who would be let to the engine's socket, or ''.
    :param conflict: why the engine cannot be taken over, or ''.
    :param hint: the way out of the conflict.
    """

    distribution: str
    engine: str
    method: str
    machine: str
    containers: int | None
    live_restore: bool
    host_keys: tuple[str, ...]
    differs: bool
    conflict: str
    hint: str
    hosts_in: str = ''
    running: bool = False
    member: str = ''


def findings(exit_code: int, lines: Iterable[str]) -> Findings:
    """Read what `look` has printed on stdout.

    :raises SetupFailed: if it could not look.
    """
    said = _said(lines)
    facts = [fact.partition(' ')[::2] for fact in said.get('fact', ())]
    known = dict(facts)
    refused = (EXIT_CONFLICT, EXIT_INSTALL, EXIT_UNSUPPORTED)
    if exit_code not in (0, *refused) or not known:
        raise _failure(exit_code, said)
    engine = known.get('engine', 'none')
    containers = known.get('containers', '')
    member = known.get('member', '')
    return Findings(
        distribution=known.get('distribution', ''),
        engine='' if engine == 'none' else engine,
        method=known.get('method', ''),
        machine=known.get('machine', ''),
        containers=int(containers) if containers.isdecimal() else None,
        live_restore=known.get('live-restore') == 'true',
        host_keys=tuple(
            value
            for name, value in facts
            if name == 'hostkey' and console.is_key(value)
        ),
        differs=known.get('options') == 'differ',
        conflict=said.get('failed', [''])[-1],
        hint=said.get('hint', [''])[-1],
        hosts_in=known.get('hosts', ''),
        running=known.get('state') == 'active',
        member=member if _USER.fullmatch(member) else '',
    )


@dataclasses.dataclass(frozen=True)
class Told:
    """What a machine's host says of its engine's options.

    :param containers: how many run; None if nobody can tell.
    :param live_restore: whether they survive a restart of the engine.
    """

    options: EngineOptions
    containers: int | None
    live_restore: bool


def told(exit_code: int, lines: Iterable[str]) -> Told:
    """Read what `options` has printed on stdout.

    :raises SetupFailed: if it could not look.
    :raises EngineFailure: if what stands there is not understood.
    """
    lines = list(lines)
    said = _said(lines)
    if exit_code or not said.get('ready'):
        raise _failure(exit_code, said)
    known = dict(fact.partition(' ')[::2] for fact in said.get('fact', ()))
    containers = known.get('containers', '')
    # As they stand there: their values may be longer than what is shown.
    options = [x.removeprefix('option ') for x in lines if _is_option(x)]
    return Told(
        EngineOptions.parse(options),
        int(containers) if containers.isdecimal() else None,
        known.get('live-restore') == 'true',
    )


def _is_option(line: str) -> bool:
    return line.startswith('option ')


def outcome(exit_code: int, lines: Iterable[str]) -> Outcome:
    """Read what the command has printed on stdout.

    :param lines: with or without their line ends.
    :raises SetupFailed: it did not end well, with cause, log and hint.
    """
    said = _said(lines)
    if exit_code == 0 and said.get('ready'):
        return Outcome(
            said['ready'][-1],
            tuple(said.get('step', ())),
            dict(fact.partition(' ')[::2] for fact in said.get('fact', ())),
        )
    raise _failure(exit_code, said)


def _said(lines: Iterable[str]) -> dict[str, list[str]]:
    """Sort the lines by their first words."""
    said: dict[str, list[str]] = {}
    for line in lines:
        word, _, text = _cleaned(line).partition(' ')
        said.setdefault(word, []).append(text)
    return said


def _failure(exit_code: int, said: dict[str, list[str]]) -> SetupFailed:
    cause = said.get('failed', [''])[-1]
    hint = said.get('hint', [''])[-1]
    if exit_code == EXIT_SUDO:
        cause = 'sudo asks the login user for a password.'
        hint = 'Log in as root, or let that user sudo without a password.'
    elif exit_code == EXIT_NO_COMMAND and not cause:
        cause = 'A program that the set-up needs is missing (sudo?).'
    elif exit_code == EXIT_STAGING and not cause:
        why = _not_ours(said) or 'is tar there?'
        cause = f'The host cannot unpack what it is handed: {why}'
    elif not cause and (words := _not_ours(said)):
        # As of cloud-init's root: Please login as the user "debian".
        cause = f'The host did not let the set-up run: {words}'
        if 'login as' in words:
            hint = 'Name that user: --ssh-user'
    return SetupFailed(
        cause or f'The set-up on the host ended with exit code {exit_code}.',
        hint,
        exit_code,
        tuple(said.get('tail', ())[-_MAX_TAIL:]),
    )


def _not_ours(said: dict[str, list[str]]) -> str:
    """Give the first line that the set-up does not print."""
    return next(
        (f'{word} {said[word][0]}' for word in said if word not in _WORDS), ''
    )


def _cleaned(line: str) -> str:
    """Drop what a host could steer a terminal with."""
    return _CONTROL.sub('', line.expandtabs(4))[:_MAX_LINE].rstrip()
