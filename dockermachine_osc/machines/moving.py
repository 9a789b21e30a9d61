# SPDX-License-Identifier: Apache-2.0
"""Following a machine whose server has another address now."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dockermachine_osc import store
from dockermachine_osc.machines import errand

if TYPE_CHECKING:
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder


def followed(
    server: MachineServer, folder: MachineFolder, steps: Steps
) -> MachineServer:
    """Give a machine its new address in the record, and pin its keys to it.

    The host's keys are the old ones, so whoever has the new address has to
    prove to be the same host. Nothing changes where the address still holds.

    :returns: the same object if nothing has changed.
    """
    record = server.record
    if record.address in server.addresses or not server.addresses:
        return server
    address = _likely(server)
    steps.note(
        f'address: {address}; '
        f"{record.address or 'none'} is no longer the server's"
    )
    if folder.has(store.KNOWN_HOSTS):
        way = errand.known_way(record, folder)
        errand.pin(
            folder, dataclasses.replace(way, address=address), way.host_keys
        )
    return dataclasses.replace(server, record=record.replace(address=address))


def _likely(server: MachineServer) -> str:
    """Choose as before: a floating IP, the same version of IP, or IPv4."""
    old = ':' in server.record.address

    def distance(address: str) -> tuple[bool, bool, bool]:
        new = ':' in address
        return address not in server.floating, new != old, new

    return min(server.addresses, key=distance)
