# SPDX-License-Identifier: Apache-2.0
"""The folder of Docker Machine, ~/.docker/machine, read and never written.

Docker Machine 0.16.2 keeps ``machines/<name>/config.json`` (ConfigVersion 3:
libmachine/host/host.go and drivers/*/*.go in its repository) beside the
client certificate and the SSH key of each machine, and one CA for all of
them in ``certs``. What is read is not trusted: no path in it is followed out
of the folder, and the password of the cloud that stands in it is not read.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from dockermachine_osc import store
from dockermachine_osc.errors import InvalidRequest, NotFound, StoreFailure

#: The environment variable of Docker Machine that moves its folder.
ROOT_VARIABLE = 'MACHINE_STORAGE_PATH'
OPENSTACK, GENERIC = 'openstack', 'generic'
CONFIG_VERSION = 3

# Bytes. A config.json has some 3 KiB, and the user data that were given.
_MAX_CONFIG = 1 << 20
_MAX_PEM = 1 << 16
_MAX_TEXT = 1024
# libmachine/host/host.go, validHostNamePattern.
_NAME = re.compile(r'[a-zA-Z0-9][a-zA-Z0-9.-]{0,127}')
_FILE = re.compile(r'[A-Za-z0-9_][A-Za-z0-9._-]{0,127}')
_USER = re.compile(r'[A-Za-z_][A-Za-z0-9._-]{0,31}')
# Of a group, a user is often the only member.
_WRITABLE_BY_OTHERS = 0o002
_OPEN_TO_OTHERS = 0o077
_DEFAULT_SSH_KEY = 'id_rsa'


@dataclasses.dataclass(frozen=True)
class Entry:
    """A machine of Docker Machine, as its files tell.

    ``problem`` says why it cannot be taken over, '' if nothing speaks
    against it so far; of an entry with a problem no other field counts but
    name, driver and hint. ``ssh_key`` is a file in its folder, '' for the
    agent and the user's own keys; ``key_pair`` one that Docker Machine made
    in Nova; ``floating_ip`` tells whether its address is a floating one.
    """

    name: str
    folder: Path
    driver: str = ''
    problem: str = ''
    hint: str = ''
    server_id: str = ''
    address: str = ''
    auth_url: str = ''
    ssh_user: str = 'root'
    ssh_port: int = 22
    ssh_key: str = ''
    engine_port: int = 2376
    tls_sans: tuple[str, ...] = ()
    key_pair: str = ''
    floating_ip: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is not that of a driver that is left alone."""
        return self.driver in ('', OPENSTACK, GENERIC)

    @property
    def key_file(self) -> Path | None:
        """The private SSH key, None for the agent and the user's own."""
        return self.folder / self.ssh_key if self.ssh_key else None

    def read_ssh_key(self) -> bytes | None:
        """Read the private SSH key, if the machine has one of its own.

        :raises StoreFailure: it is not there, or open to others.
        """
        file = self.key_file
        return _read(file, _MAX_PEM, secret=True) if file else None

    def read_certificates(self) -> dict[str, bytes]:
        """Read CA, client certificate and key, by the names of our files.

        The key of the CA that all machines share is among them if it is
        where Docker Machine puts it.

        :raises StoreFailure: one is not there, or open to others.
        """
        found = {
            store.CA: _read(self.folder / 'ca.pem', _MAX_PEM),
            store.CERT: _read(self.folder / 'cert.pem', _MAX_PEM),
            store.KEY: _read(self.folder / 'key.pem', _MAX_PEM, secret=True),
        }
        ca_key = self.folder.parents[1] / 'certs' / 'ca-key.pem'
        if os.path.lexists(ca_key):
            found[store.CA_KEY] = _read(ca_key, _MAX_PEM, secret=True)
        return found


def default_root() -> Path:
    """Give the folder that Docker Machine uses here.

    :raises StoreFailure: the user has no home folder.
    """
    chosen = os.environ.get(ROOT_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    try:
        return Path.home() / '.docker' / 'machine'
    except RuntimeError as error:
        raise StoreFailure(
            'There is no home folder to find the files of Docker Machine in',
            'Name theirs with --path',
        ) from error


def read(root: Path, names: Sequence[str] = ()) -> list[Entry]:
    """Read the entries, sorted by name; one that is bad says so itself.

    :param root: the folder that has ``machines`` in it.
    :param names: which; none for all there are.
    :raises InvalidRequest: there is no such folder.
    :raises NotFound: there is none of a name that was given.
    :raises StoreFailure: the folder cannot be read, or is somebody else's.
    """
    machines = root / 'machines'
    _check_folder(root)
    if not machines.is_dir():
        raise InvalidRequest(
            f'{root} has no machines of Docker Machine in it',
            f'Name the folder with --path, or set {ROOT_VARIABLE} as for '
            'docker-machine',
        )
    _check_folder(machines)
    try:
        there = sorted(p for p in machines.iterdir() if _is_entry(p))
    except OSError as error:
        raise _unreadable(machines, error) from error
    missing = set(names) - {path.name for path in there}
    if missing:
        raise NotFound(
            f'{machines} has no machine {", ".join(sorted(missing))}',
            f'There are: {", ".join(_shown(p.name) for p in there) or "none"}',
        )
    return [_entry(p) for p in there if not names or p.name in names]


def _is_entry(path: Path) -> bool:
    """As filestore.go: folders that are not hidden; links are refused."""
    return not path.name.startswith('.') and (
        path.is_symlink() or path.is_dir()
    )


def _entry(folder: Path) -> Entry:
    name = _shown(folder.name)
    try:
        if not _NAME.fullmatch(folder.name):
            raise _Bad('its name is none that Docker Machine would give')
        if folder.is_symlink():
            raise _Bad('its folder is a symbolic link')
        _check_folder(folder)
        text = _read(folder / 'config.json', _MAX_CONFIG)
    except (_Bad, StoreFailure) as error:
        hint = getattr(error, 'hint', '')
        why = getattr(error, 'message', str(error))
        return Entry(name, folder, problem=why, hint=hint)
    return _parsed(folder, text)


def _parsed(folder: Path, text: bytes) -> Entry:
    driver = ''
    try:
        config = _Fields(_document(text))
        driver = _shown(config.text('DriverName'))
        _check_version(config)
        if driver not in (OPENSTACK, GENERIC):
            raise _Bad(f"machines of driver '{driver}' are not taken over")
        known = _known(folder, config, config.part('Driver'), driver)
    except _Bad as error:
        return Entry(
            folder.name,
            folder,
            driver=driver,
            problem=str(error),
            hint=error.hint,
        )
    return known


def _known(folder: Path, config: _Fields, driver: _Fields, kind: str) -> Entry:
    for name in (config.text('Name'), driver.text('MachineName')):
        if name not in ('', folder.name):
            raise _Bad('its config.json is that of another machine')
    auth = config.part('HostOptions').part('AuthOptions')
    made = kind == OPENSTACK and not driver.flag('ExistingKey')
    return Entry(
        name=folder.name,
        folder=folder,
        driver=kind,
        server_id=driver.text('MachineId'),
        address=driver.text('IPAddress'),
        auth_url=driver.text('AuthUrl'),
        ssh_user=driver.text('SSHUser', _USER) or 'root',
        ssh_port=driver.port('SSHPort', 22),
        ssh_key=_ssh_key(folder, driver.text('SSHKeyPath'), kind),
        engine_port=driver.port('EnginePort', 2376),
        tls_sans=auth.texts('ServerCertSANs'),
        key_pair=driver.text('KeyPairName') if made else '',
        floating_ip=bool(driver.text('FloatingIpPool')),
    )


def _ssh_key(folder: Path, path: str, kind: str) -> str:
    """Give the file's name; the path was absolute where it was written."""
    if not path:
        return _DEFAULT_SSH_KEY if kind == OPENSTACK else ''
    *_, parent, name = ['', *re.split(r'[/\\]', path)]
    if parent != folder.name or not _FILE.fullmatch(name):
        raise _Bad('SSHKeyPath in its config.json leads out of its folder')
    return name


def _check_version(config: _Fields) -> None:
    version = config.number('ConfigVersion', 0)
    if version < CONFIG_VERSION:
        raise _Bad(
            f'its config.json is of version {version}, not {CONFIG_VERSION}',
            'docker-machine ls of 0.16.2 rewrites it',
        )
    if version > CONFIG_VERSION:
        raise _Bad(f'its config.json is of version {version}, which is new')


def _document(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Bad('its config.json is not JSON') from None


class _Bad(Exception):
    """Something in a config.json cannot be used; its value is never shown."""

    def __init__(self, message: str, hint: str = '') -> None:
        super().__init__(message)
        self.hint = hint


class _Fields:
    """An object of JSON whose fields are of any type; null is missing."""

    def __init__(self, document: object, where: str = '') -> None:
        if not isinstance(document, dict):
            raise _Bad(f'{where or "its config.json"} is not an object')
        self._fields, self._where = document, where

    def part(self, key: str) -> _Fields:
        value = self._fields.get(key)
        return _Fields({} if value is None else value, self._where + key)

    def text(self, key: str, form: re.Pattern[str] | None = None) -> str:
        return self._text(self._fields.get(key), key, form)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._fields.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._bad(key)
        return tuple(self._text(item, key) for item in value)

    def flag(self, key: str) -> bool:
        value = self._fields.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._bad(key)
        return bool(value)

    def number(self, key: str, default: int) -> int:
        value = self._fields.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._bad(key)
        if not 0 <= value < 1 << 16:
            raise self._bad(key)
        return value

    def port(self, key: str, default: int) -> int:
        return self.number(key, default) or default

    def _text(
        self, value: object, key: str, form: re.Pattern[str] | None = None
    ) -> str:
        if value is None or value == '':
            return ''
        if (
            not isinstance(value, str)
            or len(value) > _MAX_TEXT
            or not value.isprintable()
            or (form and not form.fullmatch(value))
        ):
            raise self._bad(key)
        return value

    def _bad(self, key: str) -> _Bad:
        return _Bad(f'{key} in its config.json is not understood')


# -------------------------------------------------------------------- files


def _check_folder(path: Path) -> None:
    """Refuse a folder in which somebody else could change what is read.

    :raises StoreFailure: it is one, or cannot be looked at.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(path, error) from error
    _check_owner(path, found)


def _read(path: Path, limit: int, *, secret: bool = False) -> bytes:
    """Read a file of the user's own, and no link, device or pipe.

    :param limit: bytes, more are refused.
    :param secret: whether nobody else may be able to read it.
    :raises StoreFailure: it is none of those, or cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, 'O_NOFOLLOW', 0)
    flags |= getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0)
    try:
        if path.is_symlink():
            raise StoreFailure(f'{path} is a symbolic link')
        number = os.open(path, flags)
        with os.fdopen(number, 'rb') as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise StoreFailure(f'{path} is no file')
            _check_owner(path, found)
            if secret and found.st_mode & _OPEN_TO_OTHERS and _is_posix():
                raise StoreFailure(
                    f'{path} is open to other users of this workstation',
                    f'If nobody has used it: chmod 600 {path}',
                )
            content = stream.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(content) > limit:
        raise StoreFailure(f'{path} has more than {limit} bytes')
    return content


def _check_owner(path: Path, found: os.stat_result) -> None:
    if not _is_posix():
        return
    if found.st_uid != os.geteuid():
        raise StoreFailure(
            f'{path} belongs to another user (id {found.st_uid})',
            'Run this as that user, or copy the folder for your own use',
        )
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise StoreFailure(
            f'{path} can be written by other users',
            f'If nobody has: chmod o-w {path}',
        )


def _is_posix() -> bool:
    return os.name == 'posix'


def _unreadable(path: Path, error: OSError) -> StoreFailure:
    return StoreFailure(f'{path} cannot be read: {error.strerror or error}')


def _shown(name: str) -> str:
    """Give a name that a terminal can be shown."""
    cut = name[:64]
    return cut if cut.isprintable() else ascii(cut)
