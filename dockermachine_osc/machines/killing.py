# SPDX-License-Identifier: Apache-2.0
"""Switching a machine off at once.

Nova shuts a server down in order and has no other way:
https://docs.openstack.org/api-ref/compute/#stop-server-os-stop-action
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.cloud import power
from dockermachine_osc.machines import errand
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.record import Record
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder

#: Seconds for the host to hear us, and then to be gone.
_ORDER_TIMEOUT = 10.0
_GONE_BY = 5.0
# Twice forced: no service is stopped, no file system unmounted. It comes a
# moment later, so that the connection ends before the host does.
_ORDER = (
    'exec sh -c \'s=; [ $(id -u) = 0 ] || s="sudo -n"; $s true || exit; '
    'setsid sh -c "sleep 0.3; $s systemctl poweroff --force --force" '
    "</dev/null >/dev/null 2>&1 &'"
)


def kill(
    cloud: Cloud,
    server: MachineServer,
    folder: MachineFolder | None,
    deadline: Deadline,
    steps: Steps,
) -> bool:
    """Switch a machine off; tell whether it was running.

    :param folder: its files, None if its keys are not on this workstation.
    """
    if server.status in power.ON:
        try:
            _order(server, folder)
        except errors.MachineError as error:
            steps.warn(
                f"Machine '{server.name}' is shut down in order instead: "
                f'{error.message}'
            )
    # Nova has to know, or it would start the server again.
    return cloud.stop(server, deadline)


def _order(server: MachineServer, folder: MachineFolder | None) -> None:
    if folder is None:
        raise errors.StoreFailure('its keys are not on this workstation')
    way = errand.known_way(server.record, folder)
    errand.order(way, folder, _ORDER, _ORDER_TIMEOUT)
    _wait_gone(server.record)


def _wait_gone(record: Record) -> None:
    """Let it happen: Nova would begin to stop services right away."""
    from dockermachine_osc import host

    polls = Deadline(_GONE_BY).polls(first=0.7, most=0.7)
    next(polls)
    for _ in polls:
        if host.probe(record.address, record.ssh_port, 1.0):
            return
