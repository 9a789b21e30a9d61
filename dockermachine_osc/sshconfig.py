# SPDX-License-Identifier: Apache-2.0
"""How the system's ssh knows our machines by a name, for docker's ssh://.

docker runs ``ssh <name> docker system dial-stdio`` and can name neither a key
nor a file of host keys, so both have to stand in ssh's own configuration.
They stand in a file of ours, and one line at the top of the user's
~/.ssh/config includes that; only there does it hold for all hosts.

Format: ssh_config(5). A value here comes from the cloud: it is checked, or
quoted, before it stands in a file that ssh obeys.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dockermachine_osc import files, home, openssh
from dockermachine_osc.errors import StoreFailure

FILE = 'ssh_config'
_HEADER = (
    '# Made by openstack docker machine, and made anew whenever a machine\n'
    '# comes or goes.\n'
)
_ALIAS = re.compile(r'[a-z0-9][a-z0-9.-]{0,127}')
_USER = re.compile(r'[A-Za-z_][A-Za-z0-9._-]{0,31}')
#: A host as known_hosts has it, not hashed.
_KNOWN_AS = re.compile(
    r'[A-Za-z0-9.:-]{1,64}|\[[A-Za-z0-9.:-]{1,64}\]:\d{1,5}'
)
_SSH_TIMEOUT = 10


@dataclasses.dataclass(frozen=True)
class Entry:
    """A machine as ssh is to know it.

    :param alias: the name for ssh.
    :param known_as: the name by which its keys stand in known_hosts.
    :param user: '' leaves that to the user's configuration.
    :param key: None leaves that to the agent and the user's configuration.
    """

    alias: str
    address: str
    port: int
    user: str
    known_hosts: Path
    known_as: str
    key: Path | None


def render(entries: Sequence[Entry]) -> str:
    """Give the text of our file.

    :raises StoreFailure: a value cannot stand in such a file.
    """
    return _HEADER + ''.join(f'\n{block(entry)}' for entry in entries)


def block(entry: Entry) -> str:
    """Give the lines of one machine.

    :raises StoreFailure: a value cannot stand there.
    """
    _check(entry)
    lines = [
        f'HostName {entry.address}',
        f'Port {entry.port}',
        # Keys are pinned by the address that the machine had then.
        f'HostKeyAlias {entry.known_as}',
        f'UserKnownHostsFile {_path(entry.known_hosts)}',
        'GlobalKnownHostsFile /dev/null',
        'StrictHostKeyChecking yes',
        # The engine's host has no need of them, whatever is set for all.
        'ForwardAgent no',
        'ForwardX11 no',
        # What the user has set for the address holds too, as it does for ssh
        # to that: a jump host above all.
        'CanonicalizeHostname always',
    ]
    if entry.user:
        lines.append(f'User {entry.user}')
    if entry.key:
        lines += [f'IdentityFile {_path(entry.key)}', 'IdentitiesOnly yes']
    return ''.join([f'Host {entry.alias}\n', *(f'  {x}\n' for x in lines)])


def _check(entry: Entry) -> None:
    try:
        ipaddress.ip_address(entry.address)
        fits = '%' not in entry.address and 0 < entry.port < 65536
    except ValueError:
        fits = False
    fits = fits and bool(_ALIAS.fullmatch(entry.alias))
    fits = fits and bool(_KNOWN_AS.fullmatch(entry.known_as))
    if not fits or not _USER.fullmatch(entry.user or '_'):
        raise StoreFailure(
            f'{entry.alias!r} cannot stand in a configuration of ssh: '
            f'{entry.user!r} at {entry.address!r} port {entry.port}.'
        )


def _path(path: Path) -> str:
    """Quote a path; % begins a token there, and ${ a variable."""
    text = str(path)
    if '${' in text or not text.isprintable():
        raise StoreFailure(
            f'{text!r} cannot stand in a configuration of ssh.',
            f'Set {home.ROOT_VARIABLE} to a folder with a plain name.',
        )
    escaped = re.sub(r'[\\"]', r'\\\g<0>', text).replace('%', '%%')
    return f'"{escaped}"'


def users_file() -> Path:
    """The user's configuration of ssh.

    ssh takes the home folder from the system's list of users, not from $HOME.

    :raises StoreFailure: there is no such user, so ssh does not work at all.
    """
    if sys.platform == 'win32':
        return Path.home() / '.ssh' / 'config'
    import pwd

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError as e:
        raise StoreFailure(
            f'The system knows no user {os.getuid()}: ssh does not work.'
        ) from e
    return Path(home) / '.ssh' / 'config'


class SshConfig:
    """Our file, and the line that includes it.

    :param root: the folder of our files.
    :param users: the user's own configuration; by default what ssh reads.
    """

    def __init__(self, root: Path, users: Path | None = None) -> None:
        self.path = root / FILE
        self._users = users or users_file()

    @property
    def line(self) -> str:
        """The line that includes our file.

        It is a pattern of file names to ssh, and what a version takes for
        special differs: a '?' stands for any such character.
        """
        pattern = re.sub(r'[^A-Za-z0-9/._ -]', '?', str(self.path))
        return f'Include "{pattern}"'

    def update(self, entries: Sequence[Entry]) -> str:
        """Have ssh know these machines and no others of ours.

        :returns: what to tell the user, '' if there is nothing.
        :raises StoreFailure: our own file cannot be written.
        """
        lock = self.path.with_suffix('.lock')
        with files.locked(lock, wait=True):
            files.sweep(self._users.resolve().parent, all_ages=False)
            return self._fill(entries) if entries else self._clear()

    def _fill(self, entries: Sequence[Entry]) -> str:
        text = render(entries).encode()
        with files.explained(f'write {self.path}'):
            if not self.path.is_file() or self.path.read_bytes() != text:
                files.write_whole(self.path, text)
        try:
            before = self._read()
            if self.line in _lines(before) or self._knows(entries[0]):
                return ''
            self._write(f'{self.line}\n'.encode() + before)
        except OSError as error:
            return (
                f'{self._users} cannot be written ({error.strerror}). docker '
                f'finds this machine once its first line is: {self.line}'
            )
        return (
            f'{self._users} begins with a line of ours now, so that docker '
            f'finds its machines: {self.line}'
        )

    def _clear(self) -> str:
        said = self._take_out()
        # Last, so that after a crash the next one does it again.
        with files.explained(f'remove {self.path}'):
            self.path.unlink(missing_ok=True)
        return said

    def _take_out(self) -> str:
        try:
            before = self._read()
            if self.line not in _lines(before):
                return ''
            self._write(_without(before, self.line))
        except OSError as error:
            return (
                f'{self._users} cannot be written ({error.strerror}). This '
                f'line is of no use there any more: {self.line}'
            )
        return f'{self._users} is without our line again: {self.line}'

    def _knows(self, entry: Entry) -> bool:
        """Tell whether ssh finds our file already, by another line."""
        program = shutil.which('ssh')
        if program is None or not self._users.exists():
            return False
        argv = [program, '-F', str(self._users), '-G', entry.alias]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SSH_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        found = openssh.resolved(done.stdout.decode(errors='replace'))
        return found.get('hostname') == entry.address

    def _read(self) -> bytes:
        try:
            return self._users.read_bytes()
        except FileNotFoundError:
            return b''

    def _write(self, text: bytes) -> None:
        """Write it whole, through a link: people keep this file elsewhere.

        :raises OSError: it cannot be, or is somebody else's.
        """
        files.make_folder(self._users.parent)
        path = self._users.resolve()
        try:
            found = path.stat()
        except FileNotFoundError:
            files.write_whole(path, text)
            return
        if os.name == 'posix' and found.st_uid != os.geteuid():
            raise PermissionError(0, 'it belongs to another user')
        if text or self._users.is_symlink():
            files.write_whole(path, text, stat.S_IMODE(found.st_mode))
        else:
            # We may have made it; it says as much as none.
            path.unlink()


def _lines(text: bytes) -> list[str]:
    return [x.decode(errors='surrogateescape') for x in text.splitlines()]


def _without(text: bytes, line: str) -> bytes:
    """Take the first such line out, and leave every other byte."""
    lines = text.splitlines(keepends=True)
    for index, found in enumerate(lines):
        if found.strip(b'\r\n') == line.encode():
            del lines[index]
            break
    return b''.join(lines)
