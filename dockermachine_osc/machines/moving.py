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
    """Give a machine its new address if it has lost the one in its record.

    :returns: the same object if nothing has changed.
    """
    record = server.record
    if record.address in server.addresses or not server.addresses:
        return server
    why = f"{record.address or 'none'} is no longer the server's"
    return _moved(server, folder, steps, why)


def reached(
    server: MachineServer, folder: MachineFolder, steps: Steps
) -> MachineServer:
    """Give a machine that is not reached another address at which it is.

    That of its record may be one that it was given while it had no floating
    IP, and from here there is no way to it.

    :returns: the same object if nothing has changed.
    """
    from dockermachine_osc import host

    record = server.record
    if not (other := another(server)):
        return server
    silent = host.probe(record.address, record.ssh_port)
    if not silent or host.probe(other, record.ssh_port):
        return server
    return _moved(server, folder, steps, f'{record.address}: {silent}')


def another(server: MachineServer) -> str:
    """Give the address that is tried if a machine's own is silent, or ''."""
    likely = _likely(server)
    # On a way that is the user's, only ssh knows what leads there.
    stays = likely == server.record.address or server.record.server_stays
    return '' if stays else likely


def _moved(
    server: MachineServer, folder: MachineFolder, steps: Steps, why: str
) -> MachineServer:
    """Give a machine its likely address in the record, and pin its keys to it.

    The host's keys are the old ones, so whoever has the new address has to
    prove to be the same host. They stay pinned to the old address, too: what
    follows may fail, and that may come back.
    """
    address = _likely(server)
    steps.note(f'address: {address}; {why}')
    if folder.has(store.KNOWN_HOSTS):
        old = errand.known_way(server.record, folder)
        new = dataclasses.replace(old, address=address)
        # Somebody may have taken it out of the record.
        ways = (new, old) if old.address else (new,)
        errand.pin(folder, ways, old.host_keys)
    moved = server.record.replace(address=address)
    return dataclasses.replace(server, record=moved)


def _likely(server: MachineServer) -> str:
    """Choose as before: a floating IP, the same version of IP, or IPv4."""
    old = ':' in server.record.address

    def distance(address: str) -> tuple[bool, bool, bool]:
        new = ':' in address
        return address not in server.floating, new != old, new

    return min(server.addresses, key=distance, default='')
