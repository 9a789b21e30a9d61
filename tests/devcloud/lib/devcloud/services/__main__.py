# SPDX-License-Identifier: Apache-2.0
"""Start one service; see the package."""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import sys
import traceback

from devcloud import settings
from devcloud.services import wsgi


def _choose_threads(name: str) -> None:
    """Native threads in place of eventlet, before anything is imported."""
    if name == 'nova':
        os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = 'true'
        monkey_patch = importlib.import_module('nova.monkey_patch')
        monkey_patch.patch(backend='threading')
    else:
        backend = importlib.import_module('oslo_service.backend')
        backend.init_backend(backend.BackendType.THREADING)


def main() -> None:
    name = sys.argv[1]
    # the services would read our arguments as theirs
    sys.argv = [f'devcloud-{name}']
    # kill -USR1 writes the stacks of all threads to log/<name>.out
    faulthandler.register(signal.SIGUSR1)
    wsgi.say('starting')
    try:
        _choose_threads(name)
        for patch in ('sqlite_fix', 'fake_rpc'):
            importlib.import_module(f'devcloud.{patch}').install()
        service = importlib.import_module(f'devcloud.services.{name}')
        service.serve(settings.current())
    finally:
        # only after an error: a service that is told to end leaves by itself
        traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        # threads of the service would keep the process alive
        os._exit(1)


if __name__ == '__main__':
    main()
