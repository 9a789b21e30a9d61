# SPDX-License-Identifier: Apache-2.0
"""Where this package's files are.

Imports little: see :mod:`dockermachine_osc.light`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

#: The environment variable that moves them elsewhere.
ROOT_VARIABLE = 'DOCKER_MACHINE_OSC_HOME'


def root(environ: Mapping[str, str]) -> str:
    """Give the folder of this package's files, as files.default_root does."""
    if chosen := environ.get(ROOT_VARIABLE):
        return os.path.abspath(os.path.expanduser(chosen))
    if sys.platform == 'linux' and environ.get('HOME'):
        # Of the XDG Base Directory Specification, as platformdirs has it.
        data = environ.get('XDG_DATA_HOME', '').strip()
        data = data or os.path.join(environ['HOME'], '.local', 'share')
        return os.path.join(data, 'dockermachine-osc')
    import platformdirs

    return platformdirs.user_data_dir('dockermachine-osc', appauthor=False)
