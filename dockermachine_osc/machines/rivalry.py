# SPDX-License-Identifier: Apache-2.0
"""Two people create one name at once: which of them goes on.

Nova takes any number of servers of one name, so each create looks for others
of its name while its server is built, and once more before it says that its
machine is ready. No clock is needed, and both come to the same end:

- Who sees one that is ready has lost: that one's last look came before ours
  was there.
- Of those that are being made, the one whose server has the smaller id goes
  on. Who has the larger gives way as soon as it sees the other. Who has the
  smaller waits with its last word until the larger is gone: it may have
  looked before ours was there, and be ready at any moment.

So whoever says 'ready' has seen nobody else who may still say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.record import CREATING

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.report import Steps
    from dockermachine_osc.waiting import Deadline


def give_way(server_id: str, same: Sequence[MachineServer]) -> None:
    """Raise NameTaken if another one of these goes on instead of ours.

    :param same: all servers of our name.
    """
    for rival in _rivals(server_id, same):
        if rival.record.state != CREATING or rival.id < server_id:
            raise _taken(rival)


def settle(
    cloud: Cloud, server_id: str, name: str, deadline: Deadline, steps: Steps
) -> MachineServer:
    """Look for the last time: from then on the name is ours.

    :returns: our server, as the cloud shows it.
    :raises NameTaken: if another one goes on.
    :raises CloudFailure: if ours was deleted meanwhile.
    """
    said = False
    for _ in deadline.polls():
        same = cloud.servers_named(name)
        give_way(server_id, same)
        rivals = list(_rivals(server_id, same))
        if not rivals:
            ours = [server for server in same if server.id == server_id]
            return ours[0] if ours else _renamed(cloud, server_id)
        if not said:
            steps.begin(f'Waiting for server {rivals[0].id} to give way')
            said = True
    raise errors.NameTaken(
        f"Somebody else has been creating a machine '{name}' all the time: "
        f'server {rivals[0].id}',
        'If that create was killed, remove what it left: openstack docker '
        f'machine delete {rivals[0].id}',
    )


def _rivals(
    server_id: str, same: Sequence[MachineServer]
) -> Iterator[MachineServer]:
    """Give the other machines that are made, or are being made.

    One that has failed will not be ready, and is about to be removed. A
    server that has become a machine was there before we began.
    """
    for server in same:
        record = server.record
        if (
            server.id != server_id
            and record.id
            and not record.server_stays
            and server.status not in ('ERROR', 'DELETED', 'SOFT_DELETED')
            and server.task != 'deleting'
        ):
            yield server


def _renamed(cloud: Cloud, server_id: str) -> MachineServer:
    """Give our server, which has our name no more."""
    if server := cloud.server(server_id):
        return server
    raise errors.CloudFailure(
        'The server is gone: somebody has deleted it while it was set up'
    )


def _taken(rival: MachineServer) -> errors.NameTaken:
    doing = 'is creating' if rival.record.state == CREATING else 'has created'
    return errors.NameTaken(
        f"Somebody else {doing} a machine '{rival.name}' in this project at "
        f'the same time, server {rival.id}, and this one gives way',
        'See it: openstack docker machine list; or choose another name',
    )
