# SPDX-License-Identifier: Apache-2.0
"""What a machine must have for a cloud, checked before anything is made.

Each check raises :class:`~devcloud.errors.DevcloudError` in plain words.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import ipaddress
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import typing

from devcloud import errors, processes
from devcloud.guest import names
from devcloud.settings import Settings

_SBIN = '/usr/local/sbin:/usr/sbin:/sbin'
# Debian's package of each program, and of each file.
_PROGRAMS = {
    'systemd-nspawn': 'systemd-container',
    'mmdebstrap': 'mmdebstrap',
    'nft': 'nftables',
    'ip': 'iproute2',
    'unshare': 'util-linux',
    'setpriv': 'util-linux',
    'openssl': 'openssl',
    'dpkg-deb': 'dpkg',
}
_FILES = {
    '/etc/ssl/certs/ca-certificates.crt': 'ca-certificates',
    '/usr/share/keyrings/debian-archive-keyring.gpg': 'debian-archive-keyring',
}
# MiB of disk: a virtual environment with its bytecode is 450, three base
# trees are 1300, and a guest that installs Docker writes 400.
_FIRST_MB, _LATER_MB = 4000, 1000


def extend_path() -> None:
    """Root's programs are not on every root's PATH (su without '-')."""
    path = os.environ.get('PATH', '')
    os.environ['PATH'] = f'{path}:{_SBIN}' if path else _SBIN


def require_root(verb: str) -> None:
    """:raises DevcloudError: when not root"""
    if os.geteuid() != 0:
        raise errors.DevcloudError(
            f'"devcloud {verb}" must be run as root: it makes network '
            f'namespaces, mounts and firewall rules. Type:\n'
            f'  sudo {pathlib.Path(sys.argv[0]).absolute()} {verb}'
        )


def missing_packages() -> list[str]:
    """Debian's names of what is not there, sorted."""
    wanted = {
        package
        for program, package in _PROGRAMS.items()
        if not shutil.which(program)
    }
    wanted |= {
        package
        for path, package in _FILES.items()
        if not pathlib.Path(path).exists()
    }
    if not _has_venv():
        wanted.add('python3-venv')
    return sorted(wanted)


def _has_venv() -> bool:
    """Debian's python3 has venv but, without python3-venv, no ensurepip."""
    return all(
        importlib.util.find_spec(module) for module in ('venv', 'ensurepip')
    )


def require_packages() -> None:
    """:raises DevcloudError: with the apt line that installs the missing"""
    missing = missing_packages()
    if missing:
        raise errors.DevcloudError(
            f'missing on this machine: {", ".join(missing)}. Type:\n'
            f'  apt-get update && apt-get install -y '
            f'--no-install-recommends {" ".join(missing)}\n'
            f'or let it be done: devcloud up --install-packages'
        )


def install_packages() -> list[str]:
    """Install what is missing with apt; returns what that was.

    :raises DevcloudError: when apt fails or is not there
    """
    missing = missing_packages()
    if not missing:
        return []
    if not shutil.which('apt-get'):
        raise errors.DevcloudError(
            f'there is no apt-get on this machine to install '
            f'{", ".join(missing)} with.'
        )
    environment = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    for arguments in (
        ['update'],
        ['install', '-y', '--no-install-recommends', *missing],
    ):
        done = subprocess.run(
            ['apt-get', '-q', *arguments],
            check=False,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise errors.DevcloudError(
                f'apt-get {" ".join(arguments)} ended with '
                f'{done.returncode}:\n{done.stdout[-2000:]}'
            )
    importlib.invalidate_caches()
    return missing


def require_disk(settings: Settings, first: bool) -> None:
    """Enough of the right kind under DEVCLOUD_HOME.

    :param first: whether the shared parts have yet to be built
    :raises DevcloudError: when it is too little, or an overlay
    """
    needed = _FIRST_MB if first else _LATER_MB
    free = shutil.disk_usage(settings.home).free >> 20
    if free < needed:
        raise errors.DevcloudError(
            f'too little space: {settings.home} has {free} MB free and the '
            f'devcloud needs {needed} MB. Make room, or put it elsewhere: '
            f'DEVCLOUD_HOME=/other/disk devcloud up'
        )
    if _filesystem(settings.home) == 'overlay':
        raise errors.DevcloudError(
            f'{settings.home} is on an overlay file system, where guests '
            f'can not put theirs. Use a disk or, in a container, a volume: '
            f'DEVCLOUD_HOME=/volume devcloud up'
        )


def _filesystem(path: pathlib.Path) -> str:
    """The type of the mount that a path is on (proc(5), mountinfo)."""
    kind, longest = '', -1
    mounts = pathlib.Path('/proc/self/mountinfo').read_text().splitlines()
    for line in mounts:
        left, _, right = line.partition(' - ')
        point = left.split()[4].replace('\\040', ' ')
        if path.is_relative_to(point) and len(point) >= longest:
            kind, longest = right.split()[0], len(point)
    return kind


# ------------------------------------------------------------------- ports
def require_ports(settings: Settings) -> None:
    """:raises DevcloudError: when a port is taken, saying by whom"""
    for service, port in settings.ports.items():
        if not _is_free(port):
            raise errors.DevcloudError(_taken(settings, service, port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # as the services do: a connection in TIME_WAIT is no obstacle
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', port))
        except OSError:
            return False
    return True


def _taken(settings: Settings, service: str, port: int) -> str:
    pid = _listener(port)
    other = next((p for p in processes.every() if p.pid == pid), None)
    free = f'DEVCLOUD_PORT={_next_free(settings.port)} devcloud up'
    if other:
        home, base = other.cloud_dir.parent.parent, other.cloud_dir.name
        this = f'DEVCLOUD_HOME={home} DEVCLOUD_PORT={base} devcloud'
        return (
            f'port {port} ({service}) is taken by another devcloud, that '
            f'of DEVCLOUD_HOME={home} DEVCLOUD_PORT={base}.\n'
            f'  see it:            {this} status\n'
            f'  stop it:           {this} down\n'
            f'  one more beside it: {free}'
        )
    by = f'process {pid} ({_command(pid)})' if pid else 'an unknown process'
    return (
        f'port {port} ({service}) of 127.0.0.1 is taken by {by}. End it, '
        f'or use other ports: {free}'
    )


def _next_free(base: int) -> int:
    """The next port base whose five ports are all free."""
    while True:
        base = base + 100 if base < 60000 else 20000
        if all(_is_free(base + i) for i in range(5)):
            return base


def _listener(port: int) -> int | None:
    """The pid that listens on a TCP port, if it can be told."""
    inodes = set()
    for table in ('tcp', 'tcp6'):
        path = pathlib.Path('/proc/net') / table
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        for words in map(str.split, lines):
            if words[1].endswith(f':{port:04X}') and words[3] == '0A':
                inodes.add(f'socket:[{words[9]}]')
    for entry in pathlib.Path('/proc').iterdir():
        if entry.name.isdecimal() and inodes & _sockets(entry):
            return int(entry.name)
    return None


def _sockets(process: pathlib.Path) -> set[str]:
    try:
        return {str(fd.readlink()) for fd in (process / 'fd').iterdir()}
    except OSError:
        return set()  # it has just ended, or its files have


def _command(pid: int) -> str:
    try:
        data = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
    except OSError:
        return 'just ended'
    return data.replace(b'\0', b' ').decode(errors='replace')[:100].strip()


# ---------------------------------------------------------------- networks
@dataclasses.dataclass(frozen=True)
class Route:
    """A network that this machine reaches through one of its devices."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    device: str


def require_networks(settings: Settings) -> None:
    """:raises DevcloudError: when a network of the cloud is in use here"""
    for route in _routes():
        for network in settings.networks:
            if _overlap(network, route.network):
                raise errors.DevcloudError(
                    f'the network {network} of this cloud overlaps '
                    f'{route.network}, which this machine reaches through '
                    f'{route.device}. Another port base has other networks: '
                    f'DEVCLOUD_PORT={_next_free(settings.port)} devcloud up'
                )


def _overlap(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network,
    other: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    return one.version == other.version and one.overlaps(other)


def _shown(version: str) -> list[dict[str, str]]:
    done = subprocess.run(
        ['ip', '-j', version, 'route', 'show', 'table', 'main'],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # a kernel without IPv6 has no routes of it
        check=version == '-4',
    )
    return typing.cast('list[dict[str, str]]', json.loads(done.stdout or '[]'))


def _routes() -> list[Route]:
    found = []
    for route in _shown('-4') + _shown('-6'):
        device = route.get('dev', '')
        # this cloud's own, from an earlier start, are no obstacle
        ours = names.is_bridge(device) or names.is_tap(device)
        if route['dst'] != 'default' and not ours:
            network = ipaddress.ip_network(route['dst'], strict=False)
            found.append(Route(network, device))
    return found
