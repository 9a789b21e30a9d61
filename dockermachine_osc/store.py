# SPDX-License-Identifier: Apache-2.0
"""The local files: the secrets of each machine and a cache.

The cloud is the truth about a machine. What only this workstation has are
keys, and a small record so that ``env`` needs no network::

    <root>/scopes/<key>/scope.json           which cloud, region and project
    <root>/scopes/<key>/machines/<name>/     works as DOCKER_CERT_PATH
    <root>/scopes/<key>/locks/<name>.lock
    <root>/aliases/<fingerprint>             configuration -> scope

Folders are for their owner only, files are written whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from dockermachine_osc import files, identity, local_record, together
from dockermachine_osc.errors import InvalidRequest, StoreFailure

CA = 'ca.pem'
CERT = 'cert.pem'
KEY = 'key.pem'
CA_KEY = 'ca-key.pem'
SSH_KEY = 'id_ed25519'
KNOWN_HOSTS = 'known_hosts'
#: Options that the engine is to get; they go when it has them.
OPTIONS = 'engine-options'
RECORD = 'record.json'
_SECRET = (CA_KEY, KEY, SSH_KEY)
#: How the names of folders begin that nobody is to find.
_ASIDE, _GONE = '.aside-', '.gone-'

_ELSEWHERE = (
    'Keys stay where the machine was made: work from there, or have access '
    'granted from there.'
)
_RENEW = 'Make it anew: openstack docker machine cert renew'
#: What makes a file anew that a machine has lost.
_REMEDY = {
    **dict.fromkeys((CA, CA_KEY), f'{_RENEW} --ca {{}}'),
    **dict.fromkeys((CERT, KEY), f'{_RENEW} --client {{}}'),
    KNOWN_HOSTS: 'Learn it anew: openstack docker machine provision {}',
    RECORD: 'Write it anew: openstack docker machine show {}',
}

_NAME = re.compile('[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?')
_SCOPE_KEY = re.compile('[0-9a-f]{16}')


def check_name(name: str) -> str:
    """Return the name of a machine if it can be one.

    It is a file name, a host name and part of names in the cloud.

    :raises InvalidRequest: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f'{name!r} cannot be the name of a machine.',
            "Use 1 to 63 letters, digits, '-' and '.', and start and end "
            'with a letter or digit.',
        )
    return name


class Store:
    """All local files of a user.

    :param root: the folder; by default $DOCKER_MACHINE_OSC_HOME, else the
        folder where the system keeps the user's data.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or files.default_root()

    def scope(
        self, auth_url: str, region: str | None, project_id: str
    ) -> Scope:
        """The files of one project in one region of one cloud.

        :raises StoreFailure: the root belongs to somebody else.
        """
        meant = {
            'auth_url': identity.normalised(auth_url),
            'region': region or '',
            'project_id': project_id,
        }
        text = '\n'.join(meant.values())
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        return Scope(self.root, key, meant)

    def remember(self, config_fingerprint: str, scope: Scope) -> None:
        """Note which scope a configuration leads to, for use offline.

        :raises StoreFailure: it cannot be written.
        """
        path = self.root / 'aliases' / config_fingerprint
        with files.explained(f'write {path}'):
            scope.prepare()
            if path.is_file() and path.read_bytes() == scope.key.encode():
                return
            files.make_folder(path.parent)
            files.write_whole(path, scope.key.encode())

    def recall(self, config_fingerprint: str) -> Scope | None:
        """The scope that a configuration led to, None if not known.

        :raises StoreFailure: the files cannot be read.
        """
        path = self.root / 'aliases' / config_fingerprint
        try:
            with files.explained(f'read {path}'):
                key = path.read_bytes().decode('ascii', 'replace').strip()
        except StoreFailure as e:
            if isinstance(e.__cause__, FileNotFoundError):
                return None
            raise
        return Scope(self.root, key) if _SCOPE_KEY.fullmatch(key) else None


class Scope:
    """The files of one project in one region of one cloud.

    :ivar key: names it, 16 hexadecimal digits.
    :ivar path: its folder, which need not exist.
    """

    def __init__(
        self, root: Path, key: str, meant: Mapping[str, str] | None = None
    ) -> None:
        self.root = root
        self.key = key
        self.path = root / 'scopes' / key
        self._identity = meant
        for folder in (root, self.path):
            files.check_owner(folder)
            files.check_private(folder)

    def names(self) -> list[str]:
        """The names of the machines that have a folder here, sorted.

        :raises StoreFailure: the folder cannot be read.
        """
        folder = self.path / 'machines'
        with files.explained(f'read {folder}'):
            if not folder.is_dir():
                return []
            return sorted(
                entry.name
                for entry in folder.iterdir()
                if _NAME.fullmatch(entry.name) and entry.is_dir()
            )

    def machine(self, name: str) -> MachineFolder:
        """The folder of a machine, which need not exist.

        :raises InvalidRequest: no machine can have that name.
        """
        return MachineFolder(self, check_name(name))

    @contextlib.contextmanager
    def lock(self, name: str, wait: bool = True) -> Iterator[None]:
        """Keep other threads and processes off a machine's files.

        Not re-entrant. Held no longer than the process lives.

        :param wait: for the other to finish, however long it takes.
        :raises StoreFailure: it is held and wait is False, or no lock file
            can be made.
        """
        path = self.path / 'locks' / f'{check_name(name)}.lock'
        with files.explained(f'make {path}'):
            self.prepare()
            files.make_folder(path.parent)
        with files.locked(path, wait) as held:
            if not held:
                raise StoreFailure(
                    f'Another process is working on machine {name}.',
                    'Wait until it is done and try again.',
                )
            # What cannot be tidied up is no reason not to go on.
            with contextlib.suppress(OSError):
                self._tidy(name)
            yield

    def settle(self, name: str) -> None:
        """Finish what a killed process has begun with a machine's files.

        Where another is still at work on them, that will.

        :raises InvalidRequest: no machine can have that name.
        """
        if together.is_unfinished(self.machine(name).path):
            with (
                contextlib.suppress(StoreFailure),
                self.lock(name, wait=False),
            ):
                pass

    def _tidy(self, name: str) -> None:
        for place in (self.root, self.path):
            files.sweep(place, all_ages=False)
        for left in (self.path / 'machines').glob(f'{_GONE}*'):
            shutil.rmtree(left, ignore_errors=True)
        folder = self.machine(name)
        if folder.path.is_dir() and not folder.path.is_symlink():
            folder.tidy()

    def prepare(self) -> None:
        """Make the folder.

        :raises OSError: it cannot be made.
        """
        for folder in (self.root, self.path.parent, self.path):
            files.make_folder(folder)
        told = self.path / 'scope.json'
        if self._identity is not None and not told.exists():
            files.write_whole(told, local_record.render(self._identity))


class MachineFolder:
    """The files of one machine.

    :ivar name: the machine's.
    :ivar path: the folder; give it to Docker as DOCKER_CERT_PATH.
    """

    def __init__(self, scope: Scope, name: str) -> None:
        self.name = name
        self.path = scope.path / 'machines' / name
        self.scope = scope

    def exists(self) -> bool:
        """Whether there is such a folder.

        :raises StoreFailure: that cannot be told.
        """
        with files.explained(f'read {self.path}'):
            return self.path.is_dir()

    def create(self) -> None:
        """Make the folder.

        :raises StoreFailure: it exists or cannot be made.
        """
        with files.explained(f'make {self.path}'):
            self.scope.prepare()
            files.make_folder(self.path.parent)
            try:
                self.path.mkdir(mode=0o700)
            except FileExistsError as e:
                raise StoreFailure(
                    f'{self.path} exists: machine {self.name} has files on '
                    'this workstation already.'
                ) from e
            self.path.chmod(0o700)

    def has(self, filename: str) -> bool:
        """Whether there is such a file.

        :raises StoreFailure: that cannot be told.
        """
        path = self._file(filename)
        with files.explained(f'read {path}'):
            return path.is_file()

    def write(self, filename: str, data: bytes) -> None:
        """Write a file that only the owner can read, whole or not at all.

        :raises StoreFailure: it cannot be written.
        """
        path = self._file(filename)
        with files.explained(f'write {path}'):
            files.write_whole(path, data)

    def read(self, filename: str) -> bytes:
        """Read a file.

        :raises StoreFailure: it is not there or cannot be read.
        """
        path = self._file(filename)
        try:
            return path.read_bytes()
        except FileNotFoundError as e:
            known = _REMEDY if self.path.is_dir() else {}
            raise StoreFailure(
                f'Machine {self.name} has no {filename} on this workstation '
                f'({path}).',
                known.get(filename, _ELSEWHERE).format(self.name),
            ) from e
        except OSError as e:
            raise StoreFailure(f'Cannot read {path}: {e.strerror}.') from e

    def save(self, record: Mapping[str, object]) -> None:
        """Keep what is known of the machine, as JSON.

        :raises StoreFailure: it cannot be written.
        """
        self.write(RECORD, local_record.write(record))

    def load(self) -> dict[str, object]:
        """Return what :meth:`save` kept.

        :raises NewerFiles: it is of a newer release.
        :raises StoreFailure: there is none, or it cannot be understood.
        """
        data = self.read(RECORD)
        return local_record.read(data, self.path / RECORD, self.name)

    def replace(self, contents: Mapping[str, bytes]) -> None:
        """Write files that belong together: see :mod:`together`.

        :raises StoreFailure: they cannot be written.
        """
        named = {self._file(n).name: data for n, data in contents.items()}
        with files.explained(f'write to {self.path}'):
            together.replace(self.path, named)

    def tidy(self) -> None:
        """Finish or remove what killed processes have left unfinished.

        The caller holds the lock, so nobody is at work there.

        :raises OSError: that cannot be done.
        """
        together.finish(self.path)
        files.sweep(self.path)
        for left in self.path.glob(f'{_ASIDE}*'):
            shutil.rmtree(left, ignore_errors=True)

    def tighten(self) -> list[str]:
        """Close the secrets to other users; tell which were open."""
        return [name for name in _SECRET if files.close(self._file(name))]

    @contextlib.contextmanager
    def aside(self, contents: Mapping[str, bytes]) -> Iterator[Path]:
        """Keep files in a folder of their own until they have proven good.

        :param contents: what to write, by file name.
        :returns: that folder, which works as DOCKER_CERT_PATH.
        :raises StoreFailure: they cannot be written.
        """
        with files.explained(f'write to {self.path}'):
            path = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=self.path))
        try:
            with files.explained(f'write to {path}'):
                for filename, data in contents.items():
                    files.write_whole(path / filename, data)
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder and what is in it; it may be gone already.

        :raises StoreFailure: it cannot be removed.
        """
        with files.explained(f'remove {self.path}'):
            if self.path.is_symlink():
                self.path.unlink()
            elif self.path.exists():
                # At once, so that a crash leaves no keys without a record.
                gone = self.path.with_name(_GONE + uuid.uuid4().hex)
                self.path.rename(gone)
                try:
                    shutil.rmtree(gone)
                except FileNotFoundError:
                    # Who tidies up after others is at it, too.
                    shutil.rmtree(gone, ignore_errors=True)

    def rename(self, name: str) -> MachineFolder:
        """Give the folder another name, which none has yet.

        :raises InvalidRequest: no machine can have that name.
        :raises StoreFailure: it cannot be renamed.
        """
        renamed = MachineFolder(self.scope, check_name(name))
        with files.explained(f'rename {self.path}'):
            # Fails where something is already: rename(2), ENOTEMPTY.
            self.path.rename(renamed.path)
        return renamed

    def _file(self, filename: str) -> Path:
        if filename in ('', '.', '..') or Path(filename).name != filename:
            raise InvalidRequest(f'{filename!r} is not the name of a file.')
        return self.path / filename
