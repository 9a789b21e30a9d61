# SPDX-License-Identifier: Apache-2.0
"""An engine that is in the image, and starts with the boot.

It shows a certificate that the host has made for itself. The console, by
which the keys of SSH are known, names it: so it is known before the first
connection, and nobody has to log in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, selfsigned
from dockermachine_osc.machines import certificates, errand
from dockermachine_osc.record import READY

if TYPE_CHECKING:
    from dockermachine_osc.machines.draft import Draft
    from dockermachine_osc.record import Record
    from dockermachine_osc.report import Steps
    from dockermachine_osc.waiting import Deadline

#: Seconds that the engine has from the moment at which SSH is there, which
#: starts with it, and as a part of what the boot has taken on a busy cloud.
_PATIENCE, _PART = 5.0, 0.5


def ready(
    draft: Draft,
    way: errand.Way,
    certificate: bytes | None,
    deadline: Deadline,
    steps: Steps,
) -> Record | None:
    """Give the record if the engine answers as it was asked to.

    :param certificate: what the console names: anything.
    :returns: None if somebody has to look after it on the host.
    """
    if not (draft.asked and certificate and way.host_keys):
        return None
    shown = selfsigned.accepted(certificate, draft.asked)
    if not shown:
        return None
    steps.begin('Waiting for the engine')
    certificates.trust_too(draft.folder, shown)
    version = _answer(draft, deadline)
    if not version:
        certificates.trust_ca_alone(draft.folder)
        return None
    errand.pin(draft.folder, way, way.host_keys)
    record = certificates.described(draft.record, draft.folder, shown)
    return record.replace(
        state=READY,
        ssh_user=way.user,
        host_key=way.host_keys[0],
        engine_version=version,
    )


def _answer(draft: Draft, deadline: Deadline) -> str:
    """Give the version of the engine, '' if it does not answer."""
    patience = deadline.within(max(_PATIENCE, _PART * deadline.elapsed))
    address, port = draft.record.address, draft.record.engine_port
    try:
        return engine.wait_ready(
            address, port, draft.folder.path, patience
        ).version
    except (errors.EngineFailure, errors.DeadlineExceeded):
        return ''
