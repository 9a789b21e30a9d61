# SPDX-License-Identifier: Apache-2.0
"""Docker Engine on a host: setting it up, and asking it over TLS.

This room knows nothing of OpenStack and of how its commands reach a host.
"""

from dockermachine_osc.engine.client import (
    AnswerUnknown,
    ClientRefused,
    EngineFacts,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    EngineUntrusted,
    ask,
    wait_ready,
)
from dockermachine_osc.engine.console import ConsoleFacts, read_console
from dockermachine_osc.engine.handover import (
    EXIT_CONFLICT,
    EXIT_INSTALL,
    EXIT_NO_COMMAND,
    EXIT_STAGING,
    EXIT_START,
    EXIT_SUDO,
    EXIT_TIMEOUT,
    EXIT_UNSUPPORTED,
    EXIT_USAGE,
    Findings,
    Handover,
    Outcome,
    SetupFailed,
    findings,
    handover,
    outcome,
    progress,
    remark,
    tls_files,
    upgrade,
    visit,
)
from dockermachine_osc.engine.peer import shown_certificate
from dockermachine_osc.engine.settings import SOURCES, EngineSettings
from dockermachine_osc.engine.userdata import user_data

__all__ = [
    'EXIT_CONFLICT',
    'EXIT_INSTALL',
    'EXIT_NO_COMMAND',
    'EXIT_STAGING',
    'EXIT_START',
    'EXIT_SUDO',
    'EXIT_TIMEOUT',
    'EXIT_UNSUPPORTED',
    'EXIT_USAGE',
    'SOURCES',
    'AnswerUnknown',
    'ClientRefused',
    'ConsoleFacts',
    'EngineFacts',
    'EngineRefused',
    'EngineSettings',
    'EngineTimeout',
    'EngineUnreachable',
    'EngineUntrusted',
    'Findings',
    'Handover',
    'Outcome',
    'SetupFailed',
    'ask',
    'findings',
    'handover',
    'outcome',
    'progress',
    'read_console',
    'remark',
    'shown_certificate',
    'tls_files',
    'upgrade',
    'user_data',
    'visit',
    'wait_ready',
]
