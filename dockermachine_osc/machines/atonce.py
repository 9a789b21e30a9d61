# SPDX-License-Identifier: Apache-2.0
"""An engine that starts with the boot, or as soon as it is installed there.

It shows a certificate that the host has made for itself. The console, by
which the keys of SSH are known, names it: so it is known before the first
connection, and nobody has to log in.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, selfsigned
from dockermachine_osc.machines import certificates, errand
from dockermachine_osc.record import READY

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud
    from dockermachine_osc.engine import ConsoleFacts
    from dockermachine_osc.machines.draft import Draft
    from dockermachine_osc.record import Record
    from dockermachine_osc.report import Steps
    from dockermachine_osc.waiting import Deadline

#: Seconds that the engine has from the moment at which SSH is there, which
#: starts with it, and as a part of what the boot has taken on a busy cloud.
_PATIENCE, _PART = 5.0, 0.5
#: Seconds that an installation has before somebody logs in, who is told what
#: it is at; and those between two looks at what the console says of it.
_INSTALLATION, _LOOK_EVERY = 60.0, 5.0


def ready(
    cloud: Cloud,
    draft: Draft,
    way: errand.Way,
    facts: ConsoleFacts,
    deadline: Deadline,
    steps: Steps,
) -> Record | None:
    """Give the record if the engine answers as it was asked to.

    :param facts: what the console says: anything.
    :returns: None if somebody has to look after it on the host.
    """
    if not (draft.asked and facts.certificate and way.host_keys):
        return None
    shown = selfsigned.accepted(facts.certificate, draft.asked)
    if not shown:
        return None
    doing = 'Installing' if facts.installing else 'Waiting for'
    steps.begin(f'{doing} the engine')
    certificates.trust_too(draft.folder, shown)
    version = ''
    with contextlib.suppress(errors.EngineFailure, errors.DeadlineExceeded):
        version = _answer(cloud, draft, facts, deadline)
    if not version:
        certificates.trust_ca_alone(draft.folder)
        return None
    errand.pin(draft.folder, [way], way.host_keys)
    record = certificates.described(draft.record, draft.folder, shown)
    return record.replace(
        state=READY,
        ssh_user=way.user,
        host_key=way.host_keys[0],
        engine_version=version,
    )


def _answer(
    cloud: Cloud, draft: Draft, facts: ConsoleFacts, deadline: Deadline
) -> str:
    """Give the version of the engine.

    :raises EngineFailure: if it does not answer in time.
    """
    if facts.installing and (version := _installed(cloud, draft, deadline)):
        return version
    patience = max(_PATIENCE, _PART * deadline.elapsed)
    return _wait(draft, deadline.within(patience))


def _installed(cloud: Cloud, draft: Draft, deadline: Deadline) -> str:
    """Wait for an engine that is being installed.

    :returns: its version; '' if it is said to be there, and does not answer.
    :raises EngineFailure: if it is neither.
    """
    patience = deadline.within(_INSTALLATION)
    for _ in patience.polls(first=0.05, most=0.05):
        with contextlib.suppress(
            engine.EngineUnreachable, errors.DeadlineExceeded
        ):
            return _wait(draft, patience.within(_LOOK_EVERY))
        text = cloud.console(draft.server_id) or ''
        said = engine.read_console(text, draft.machine_id)
        if said.installed:
            return ''
        if said.failure:
            break
    raise errors.EngineFailure('The engine is not installed')


def _wait(draft: Draft, deadline: Deadline) -> str:
    return draft.access.wait(draft.record, draft.folder, deadline).version
