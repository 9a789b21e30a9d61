# SPDX-License-Identifier: Apache-2.0
"""Command lines of the system's ssh, scp and sshfs for a machine.

The user's own ~/.ssh/config applies as always, ProxyJump included; the key
and the pinned host key are the machine's. Pure: nothing is run here.
Options: ssh_config(5), scp(1), sshfs(1).
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

from dockermachine_osc import errors

#: machine:path or user@machine:path; one letter is a drive of Windows.
_REMOTE = re.compile(
    r'(?:(?P<user>[a-z_][a-z0-9_-]*)@)?'
    r'(?P<machine>[A-Za-z0-9][A-Za-z0-9.-]+):(?P<path>.*)',
    re.DOTALL,
)


@dataclasses.dataclass(frozen=True)
class Target:
    """Where and how to log in; ``key`` None leaves that to the agent."""

    address: str
    port: int
    user: str
    known_hosts: Path
    key: Path | None = None


@dataclasses.dataclass(frozen=True)
class Place:
    """A path, on this workstation if ``machine`` is empty."""

    path: str
    machine: str = ''
    user: str = ''


def place(text: str) -> Place:
    """Read an operand of scp or mount.

    Like scp, take it for a local path if a slash comes before the colon.
    """
    found = _REMOTE.fullmatch(text)
    if not found:
        return Place(text)
    return Place(found['path'], found['machine'], found['user'] or '')


def ssh(target: Target, command: Sequence[str], user: str = '') -> list[str]:
    """Give the command line that logs in or runs a command."""
    return [
        'ssh',
        *_options([target]),
        '-p',
        str(target.port),
        '-l',
        user or target.user,
        target.address,
        *(['--', *command] if command else []),
    ]


def visit(
    destination: str,
    user: str = '',
    port: int | None = None,
    key: Path | None = None,
    known_hosts: Path | None = None,
    *,
    first_use: bool = False,
) -> list[str]:
    """Give the command line to a host that is the user's.

    What is not said is left to ~/.ssh/config and the agent.

    :param known_hosts: further host keys than those the user knows.
    :param first_use: whether a host that nobody knows is trusted, and its
        key written into that file; one with another key than known never is.
    """
    checking = 'accept-new' if first_use else 'yes'
    argv = ['ssh', '-o', f'StrictHostKeyChecking={checking}']
    if known_hosts:
        files = f'"{known_hosts}" ~/.ssh/known_hosts ~/.ssh/known_hosts2'
        argv += ['-o', f'UserKnownHostsFile={files}']
    if user:
        argv += ['-l', user]
    if port:
        argv += ['-p', str(port)]
    if key:
        argv += ['-i', str(key)]
    return [*argv, destination]


def resolved(config: str) -> dict[str, str]:
    """Read what `ssh -G` has printed: the last value of each option."""
    pairs = (line.partition(' ')[::2] for line in config.splitlines())
    return {key: value for key, value in pairs if value}


def jump(config: Mapping[str, str]) -> str:
    """Tell what ssh goes through to a host, '' if it goes there itself.

    :param config: from :func:`resolved`.
    """
    for option in ('proxyjump', 'proxycommand'):
        if config.get(option, 'none') != 'none':
            return config[option]
    return ''


def scp(
    places: Sequence[Place],
    targets: Sequence[Target | None],
    *,
    recursive: bool = False,
    quiet: bool = False,
) -> list[str]:
    """Give the command line that copies.

    :param targets: one a place, None for a local one.
    :raises InvalidRequest: if all places are local, or of two machines on
        IPv6 with different ports.
    """
    remote = [t for t in targets if t is not None]
    if not remote:
        raise errors.InvalidRequest(
            'Neither of the two is on a machine',
            'Name one as <machine>:<path>',
        )
    flags = ['-r'] * recursive + ['-q'] * quiet + ['-3'] * (len(remote) > 1)
    flags += _port(remote)
    operands = [_operand(p, t) for p, t in zip(places, targets, strict=True)]
    return ['scp', *flags, *_options(remote), '--', *operands]


def _port(targets: Sequence[Target]) -> list[str]:
    """Give the option for the port of hosts whose operand has none."""
    ports = sorted({t.port for t in targets if ':' in t.address})
    if len(ports) > 1:
        raise errors.InvalidRequest(
            'scp knows one port for all hosts on IPv6, and here are '
            + ' and '.join(map(str, ports)),
            'Copy to this workstation first, and from here on',
        )
    return ['-P', str(ports[0])] if ports else []


def rsync(
    places: Sequence[Place],
    targets: Sequence[Target | None],
    *,
    recursive: bool = False,
    quiet: bool = False,
) -> list[str]:
    """Give the command line that sends only what differs.

    :param targets: one a place, None for a local one.
    :raises InvalidRequest: unless exactly one place is on a machine.
    """
    remote = [t for t in targets if t is not None]
    if len(remote) != 1:
        raise errors.InvalidRequest(
            'With --delta, one of the two is on a machine and the other here'
        )
    target = remote[0]
    shell = ['ssh', *_options(remote), '-p', str(target.port)]
    # rsync(1), --rsh: in quotes nothing but the quote, doubled, is special.
    quoted = ' '.join("'" + word.replace("'", "''") + "'" for word in shell)
    flags = ['-r'] * recursive + ['-q'] * quiet
    operands = [
        _rsync_operand(p, t) for p, t in zip(places, targets, strict=True)
    ]
    # Without the old guessing of words on the other side.
    return ['rsync', '-tp', '-s', *flags, '-e', quoted, '--', *operands]


def _rsync_operand(at: Place, target: Target | None) -> str:
    return _operand(at, None) if target is None else _remote(at, target)


def sshfs(target: Target, there: Place, mountpoint: str) -> list[str]:
    """Give the command line that mounts a machine's folder here."""
    return [
        'sshfs',
        *_options([target]),
        '-p',
        str(target.port),
        _remote(there, target),
        mountpoint,
    ]


def _remote(at: Place, target: Target) -> str:
    """Give a place on a machine as rsync and sshfs read it."""
    host = f'[{target.address}]' if ':' in target.address else target.address
    return f'{at.user or target.user}@{host}:{at.path}'


def _options(targets: Sequence[Target]) -> list[str]:
    """Give the options that pin hosts and name keys.

    Both hosts of a copy between machines find theirs among all.
    """
    files = ' '.join(f'"{t.known_hosts}"' for t in targets)
    options = [
        '-o',
        f'UserKnownHostsFile={files}',
        '-o',
        'StrictHostKeyChecking=yes',
    ]
    keys = [t.key for t in targets if t.key]
    if len(keys) == len(targets):
        options += ['-o', 'IdentitiesOnly=yes']
    for key in keys:
        options += ['-o', f'IdentityFile="{key}"']
    return options


def _operand(at: Place, target: Target | None) -> str:
    if target is None:
        # Neither an option nor, with a colon in its name, a host.
        safe = at.path.startswith(('/', './', '../', '~'))
        return at.path if safe else f'./{at.path}'
    user = at.user or target.user
    if ':' in target.address:
        # In an URL, scp takes no IPv6 address for a host (OpenSSH 9.2).
        return f'{user}@[{target.address}]:{at.path}'
    # scp takes the path of such a URL as relative to the home folder, an
    # absolute one has two slashes.
    path = urllib.parse.quote(at.path)
    return f'scp://{user}@{target.address}:{target.port}/{path}'
