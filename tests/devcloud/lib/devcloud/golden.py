# SPDX-License-Identifier: Apache-2.0
"""The seeded state of a cloud: kept when it is new, brought back by reset.

It exists only when seeding went to its end, so it also tells a cloud that
can be started from the rest of one whose first start was cut short.
"""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import sqlite3

from devcloud import errors, install
from devcloud.settings import Settings

_STAMP = 'made-by'
# Kept and brought back; nova has the identity of the hypervisor.
_KEPT = ('images', 'nova')
# Emptied by a reset.
_EMPTIED = ('instances', 'guests', 'staging', 'tmp', 'lock')


def exists(settings: Settings) -> bool:
    return settings.golden.is_dir()


def require_same_version(settings: Settings) -> None:
    """The databases fit the releases that made them, and no others.

    :raises DevcloudError: when the state was made by another checkout
    """
    if (settings.golden / _STAMP).read_text() != _version():
        raise errors.DevcloudError(
            f'the cloud in {settings.cloud_dir} was made by another version '
            f'of the devcloud and can not be started by this one. Remove it '
            f'and make a new one: devcloud destroy && devcloud up'
        )


def _version() -> str:
    """Of the releases and of what is seeded."""
    seed = pathlib.Path(__file__).with_name('seed.py')
    content = install.CONSTRAINTS.read_bytes() + seed.read_bytes()
    return hashlib.sha256(content).hexdigest()


def save(settings: Settings) -> None:
    """Copy the state of the running, idle cloud; the name comes last."""
    new = settings.golden.with_suffix('.new')
    shutil.rmtree(new, ignore_errors=True)
    (new / 'db').mkdir(mode=0o700, parents=True)
    for path in settings.db.glob('*.sqlite'):
        _copy_database(path, new / 'db' / path.name)
    for name in _KEPT:
        shutil.copytree(settings.cloud_dir / name, new / name)
    (new / _STAMP).write_text(_version())
    new.rename(settings.golden)


def _copy_database(source: pathlib.Path, target: pathlib.Path) -> None:
    """Consistent while services write: https://sqlite.org/backup.html."""
    reader, writer = sqlite3.connect(source), sqlite3.connect(target)
    try:
        reader.backup(writer)
    finally:
        reader.close()
        writer.close()


def restore(settings: Settings) -> None:
    """Put it in place of what is there; no service may run."""
    for name in ('db', *_KEPT, *_EMPTIED):
        shutil.rmtree(settings.cloud_dir / name, ignore_errors=True)
    for name in ('db', *_KEPT):
        shutil.copytree(settings.golden / name, settings.cloud_dir / name)
    (settings.log / 'access.log').unlink(missing_ok=True)
