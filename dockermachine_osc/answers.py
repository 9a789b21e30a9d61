# SPDX-License-Identifier: Apache-2.0
"""What ``env`` has said of a machine, kept for who has no time to ask again.

A shell prompt cannot wait for OpenStackClient to start. So ``env`` writes
down what it found, and everything that it rests on; as long as nothing of that
has changed, the same will be found again. Nothing secret is written.

Imports little: see :mod:`dockermachine_osc.light`.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from dockermachine_osc.environment import Variables
    from dockermachine_osc.store import Scope

#: The folder of the answers among this package's files.
FOLDER = 'answers'
_SCHEMA = 1
#: The variables that tell which project of which cloud is meant: those that
#: identity.fingerprint heeds, and those that lead to clouds.yaml.
_TELLING = (
    *('HOME', 'XDG_CONFIG_HOME', 'XDG_CONFIG_DIRS', 'SNAP_REAL_HOME'),
    *('OS_CLIENT_CONFIG_FILE', 'OS_CLIENT_SECURE_FILE'),
    *('OS_CLIENT_VENDOR_FILE', 'OS_AUTH_URL', 'OS_REGION_NAME'),
    *('OS_USERNAME', 'OS_USER_ID', 'OS_USER_DOMAIN_ID'),
    *('OS_USER_DOMAIN_NAME', 'OS_PROJECT_ID', 'OS_PROJECT_NAME'),
    *('OS_PROJECT_DOMAIN_ID', 'OS_PROJECT_DOMAIN_NAME', 'OS_TENANT_ID'),
    *('OS_TENANT_NAME', 'OS_TRUST_ID', 'OS_SYSTEM_SCOPE', 'OS_DOMAIN_ID'),
    *('OS_DOMAIN_NAME', 'OS_APPLICATION_CREDENTIAL_ID'),
    *('OS_APPLICATION_CREDENTIAL_NAME', 'OS_SERVICE_PROVIDER'),
    *('OS_REMOTE_PROJECT_ID', 'OS_REMOTE_PROJECT_NAME'),
    *('OS_REMOTE_PROJECT_DOMAIN_ID', 'OS_REMOTE_PROJECT_DOMAIN_NAME'),
)


def question(environ: Mapping[str, str], cloud: str | None) -> str:
    """Put into words which project is meant.

    :param cloud: of --os-cloud, None without.
    """
    said = {key: environ[key] for key in _TELLING if key in environ}
    chosen = cloud or environ.get('OS_CLOUD', '')
    return json.dumps([chosen, said], sort_keys=True)


def path(folder: str, name: str, asked: str) -> str:
    """Give the file of an answer."""
    # Two questions of one sum overwrite each other's answers, no more: the
    # question stands in the file.
    number = zlib.crc32(asked.encode(errors='surrogateescape'))
    return os.path.join(folder, FOLDER, f'{name}.{number:08x}')


def recall(folder: str, name: str, asked: str) -> Variables | None:
    """Give the variables that ``env`` would set; None if it may have changed.

    :param name: the machine's.
    """
    answer = _read(path(folder, name, asked), asked)
    return [(k, v) for k, v in answer['variables']] if answer else None


def recall_scope(folder: Path, asked: str) -> str:
    """Give the scope that was meant before by such a question, '' if unknown.

    See store.Scope.key.
    """
    pattern = os.path.basename(path('', '*', asked))
    for file in (folder / FOLDER).glob(pattern):
        if answer := _read(str(file), asked):
            return str(answer['scope'])
    return ''


def _read(file: str, asked: str) -> Mapping[str, Any] | None:
    """Read an answer; None if it is none, or not to that, or may be wrong."""
    try:
        with open(file, 'rb') as stream:
            answer: Mapping[str, Any] = json.load(stream)
            ours = os.fstat(stream.fileno()).st_uid == os.geteuid()
        return answer if ours and _still_true(answer, asked) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _still_true(answer: Mapping[str, Any], asked: str) -> bool:
    stamps = answer['stamps']
    return bool(
        answer['schema'] == _SCHEMA
        and answer['asked'] == asked
        and (answer['until'] is None or time.time() < answer['until'])
        and stamps == _stamps(path for path, _ in stamps)
    )


def keep(
    scope: Scope,
    name: str,
    asked: str,
    variables: Variables,
    *,
    rests_on: Iterable[str],
    until: float | None,
) -> None:
    """Write an answer down.

    :param scope: in which the machine is.
    :param rests_on: files and folders that must be as they are, or be
        missing as they are; relative ones to wherever it is asked again.
    :param until: when it ends, as time.time(); None for never.
    :raises StoreFailure: it cannot be written.
    """
    from pathlib import Path

    from dockermachine_osc import files

    answer = {
        'schema': _SCHEMA,
        'asked': asked,
        'stamps': _stamps(rests_on),
        'scope': scope.key,
        'variables': variables,
        'until': until,
    }
    file = Path(path(str(scope.root), name, asked))
    with files.explained(f'write {file}'):
        files.make_folder(file.parent)
        files.write_whole(file, json.dumps(answer).encode())


def _stamps(paths: Iterable[str]) -> list[list[Any]]:
    return [[path, _stamp(path)] for path in paths]


def _stamp(file: str) -> list[int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode]


def forget(root: Path, name: str) -> None:
    """Remove what was said of a machine of that name, of whatever cloud."""
    for file in (root / FOLDER).glob(f'{name}.????????'):
        file.unlink(missing_ok=True)
