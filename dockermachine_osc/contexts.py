# SPDX-License-Identifier: Apache-2.0
"""Docker contexts, as the docker command line keeps them.

The format is that of ``cli/context/store`` in github.com/docker/cli: a
folder named after the SHA-256 of the context's name holds meta.json, one of
the same name under tls/ the keys of the ``docker`` endpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from dockermachine_osc.errors import InvalidRequest, StoreFailure
from dockermachine_osc.files import (
    check_owner,
    explained,
    is_stale,
    make_folder,
    sweep,
    write_whole,
)

#: The key in a context's metadata that says it is ours, and whose.
MARK = 'dockermachine-osc.machine-id'
CONFIG_VARIABLE = 'DOCKER_CONFIG'
# restrictedNamePattern in the docker command line.
_NAME = re.compile(r'[a-zA-Z0-9][a-zA-Z0-9_.+-]+')


def valid_name(name: str) -> bool:
    """Whether docker takes this for the name of a context."""
    return name != 'default' and _NAME.fullmatch(name) is not None


class Contexts:
    """The contexts of a user of the docker command line.

    :param config_dir: docker's folder; by default $DOCKER_CONFIG, else
        ~/.docker.
    :raises StoreFailure: the user has no home folder.
    """

    def __init__(self, config_dir: Path | None = None) -> None:
        self.config_dir = config_dir or _default_config_dir()

    def exists(self, name: str) -> bool:
        """Whether there is a context of that name, whoever made it.

        :raises StoreFailure: that cannot be told.
        """
        return self.owner(name) is not None

    def owner(self, name: str) -> str | None:
        """Tell the id of the machine that a context was made for.

        :returns: '' for somebody else's context, None if there is none.
        :raises StoreFailure: it cannot be read.
        """
        path = self._meta(name)
        with explained(f'read {path}', CONFIG_VARIABLE):
            if not path.exists():
                return None
            mark = _mark(path.read_bytes())
        return mark if isinstance(mark, str) else ''

    def made_for(self, machine_id: str) -> list[str]:
        """Give the names of a machine's contexts.

        What cannot be read is somebody else's.
        """
        names = []
        for path in self.config_dir.glob('contexts/meta/*/meta.json'):
            with contextlib.suppress(OSError):
                meta = path.read_bytes()
                name = _value(meta, 'Name')
                if (
                    machine_id
                    and _mark(meta) == machine_id
                    and isinstance(name, str)
                    and self._meta(name) == path
                ):
                    names.append(name)
        return sorted(names)

    def write(
        self,
        name: str,
        host: str,
        description: str,
        machine_id: str,
        *,
        ca: bytes | None = None,
        cert: bytes | None = None,
        key: bytes | None = None,
    ) -> None:
        """Make a context, or renew the one of the same machine.

        :param host: as in DOCKER_HOST: tcp://192.0.2.1:2376, ssh://...
        :param ca: PEM, as are cert and key; none of the three for ssh://.
        :raises InvalidRequest: docker would not take the name.
        :raises StoreFailure: the name is somebody else's context, or the
            files cannot be written.
        """
        if not valid_name(name):
            raise InvalidRequest(f'Docker takes no context named {name!r}.')
        owner = self.owner(name)
        if owner == '' or owner not in (None, machine_id):
            raise StoreFailure(
                f'A Docker context named {name} exists and is not of this '
                'machine.',
                f'Remove it ("docker context rm {name}") or rename it.',
            )
        files = {'ca.pem': ca, 'cert.pem': cert, 'key.pem': key}
        document = {
            'Name': name,
            'Metadata': {'Description': description, MARK: machine_id},
            'Endpoints': {'docker': {'Host': host, 'SkipTLSVerify': False}},
        }
        check_owner(self.config_dir, CONFIG_VARIABLE)
        action = f'write the Docker context {name} in {self.config_dir}'
        with explained(action, CONFIG_VARIABLE):
            try:
                self.sweep()
                # The mark first: remove() then finds what a crash leaves.
                self._write_meta(name, document)
                self._write_tls(name, {n: d for n, d in files.items() if d})
            except OSError:
                if owner is None:
                    shutil.rmtree(self._tls(name), ignore_errors=True)
                    shutil.rmtree(self._meta(name).parent, ignore_errors=True)
                raise

    def remove(self, name: str, machine_id: str) -> bool:
        """Remove a machine's context, and leave it if it is docker's current.

        :returns: whether it was there and ours.
        :raises StoreFailure: the files cannot be changed.
        """
        if not machine_id or self.owner(name) != machine_id:
            return False
        action = f'remove the Docker context {name} in {self.config_dir}'
        with explained(action, CONFIG_VARIABLE):
            self.sweep()
            self._leave(name)
            self._write_tls(name, {})
            shutil.rmtree(self._meta(name).parent)
        return True

    def _meta(self, name: str) -> Path:
        return self._folder('meta', name) / 'meta.json'

    def _tls(self, name: str) -> Path:
        return self._folder('tls', name)

    def _folder(self, kind: str, name: str) -> Path:
        digest = hashlib.sha256(name.encode()).hexdigest()
        return self.config_dir / 'contexts' / kind / digest

    def _write_tls(self, name: str, files: dict[str, bytes]) -> None:
        folder = self._tls(name)
        if not files:
            if folder.exists():
                shutil.rmtree(folder)
            return
        self._make(folder / 'docker')
        for filename, data in files.items():
            write_whole(folder / 'docker' / filename, data)

    def _write_meta(self, name: str, document: Mapping[str, object]) -> None:
        path = self._meta(name)
        self._make(path.parent)
        write_whole(path, json.dumps(document).encode())

    def _make(self, folder: Path) -> None:
        inner = folder.relative_to(self.config_dir).parts
        for depth in range(len(inner) + 1):
            make_folder(self.config_dir.joinpath(*inner[:depth]))

    def sweep(self) -> None:
        """Remove what killed processes have left: folders with no context."""
        for folder in self.config_dir.glob('contexts/meta/*'):
            with contextlib.suppress(OSError):  # such as: not empty
                sweep(folder, all_ages=False)
                if is_stale(folder):
                    folder.rmdir()

    def _leave(self, name: str) -> None:
        # Written through a link: people keep this file elsewhere.
        path = (self.config_dir / 'config.json').resolve()
        try:
            settings = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return  # docker complains itself of a file it cannot read
        if not isinstance(settings, dict):
            return
        if settings.get('currentContext') != name:
            return
        del settings['currentContext']
        text = json.dumps(settings, indent='\t', ensure_ascii=False)
        write_whole(path, text.encode(), path.stat().st_mode & 0o777)


def _mark(meta: bytes) -> object:
    return _value(meta, 'Metadata', MARK)


def _value(document: bytes, *keys: str) -> object:
    """Give what stands at a place of a JSON document, '' if nothing does."""
    try:
        value = json.loads(document)
        for key in keys:
            value = value[key]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ''
    return value


def _default_config_dir() -> Path:
    chosen = os.environ.get(CONFIG_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    try:
        return Path.home() / '.docker'
    except RuntimeError as e:
        raise StoreFailure(
            'There is no home folder to keep Docker contexts in.',
            f'Set {CONFIG_VARIABLE}.',
        ) from e
