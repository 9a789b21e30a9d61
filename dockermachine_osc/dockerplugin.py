# SPDX-License-Identifier: Apache-2.0
"""Being a plugin of the Docker client: ``docker machine ...``.

Docker runs what it finds as docker-NAME in a folder of plugins, and asks it
what it is (cli-plugins/manager and metadata, of docker/cli).
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dockermachine_osc import files
from dockermachine_osc.errors import MachineError, StoreFailure

_FILE = 'docker-machine'


def metadata() -> str:
    """Tell Docker what we are, in JSON."""
    told = {
        'SchemaVersion': '0.1.0',
        'Vendor': 'dockermachine-osc contributors',
        'Version': importlib.metadata.version('dockermachine-osc'),
        'ShortDescription': 'Docker hosts on OpenStack clouds',
    }
    return json.dumps(told) + '\n'


def install() -> str:
    """Put this program among the user's plugins; say what was done."""
    program = Path(sys.argv[0]).resolve()
    try:
        link = _linked(program, os.environ)
    except MachineError as error:
        sys.exit(str(error))
    return f'{link} -> {program}\nTry it: docker machine --help\n'


def _linked(program: Path, environ: Mapping[str, str]) -> Path:
    """Make the link.

    :raises StoreFailure: if something else is there, or it cannot be made.
    """
    config = Path(environ.get('DOCKER_CONFIG') or Path.home() / '.docker')
    link = config / 'cli-plugins' / _FILE
    with files.explained(f'make {link}', variable='DOCKER_CONFIG'):
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() and not link.exists():
            # It led to an environment that is gone.
            link.unlink()
        if not link.exists():
            link.symlink_to(program)
    if link.resolve() != program:
        raise StoreFailure(
            f'{link} is another program: {link.resolve()}',
            'Remove it if docker machine is to be this one',
        )
    return link
