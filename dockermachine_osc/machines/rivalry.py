# SPDX-License-Identifier: Apache-2.0
"""Two people create one name at once: which of them goes on.

Nova takes any number of servers of one name, so each create looks for others
of its name once its own server is there. No clock is needed, and both come to
the same end:

- Who sees one that is ready has lost: that one's look came before ours was
  there.
- Of those that are being made, the one whose server has the smaller id goes
  on. Who has the larger gives way as soon as it sees the other. Who has the
  smaller waits with its last word until the larger is gone: it may have
  looked before ours was there, and be ready at any moment.

So whoever says 'ready' has looked after its own server was there, and seen
nobody who may still say so: of two, the one that came later has seen the
other.
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


class Rivalry:
    """One server of ours, and the others of its name at the last look.

    :param server_id: of ours.
    """

    def __init__(self, server_id: str) -> None:
        self._server_id = server_id
        self._rivals: list[MachineServer] = []

    def meet(self, same: Sequence[MachineServer]) -> None:
        """Raise NameTaken if another one of these goes on instead of ours.

        :param same: all servers of our name.
        """
        self._rivals = list(_rivals(self._server_id, same))
        for rival in self._rivals:
            if rival.record.state != CREATING or rival.id < self._server_id:
                raise _taken(rival)

    def settle(
        self, cloud: Cloud, name: str, deadline: Deadline, steps: Steps
    ) -> None:
        """Wait until nobody is left: from then on the name is ours.

        The look that has seen our server built is enough if it saw nobody.

        :raises NameTaken: if another one goes on.
        """
        if not self._rivals:
            return
        first = self._rivals[0].id
        steps.begin(f'Waiting for server {first} to give way')
        for _ in deadline.polls():
            self.meet(cloud.servers_named(name))
            if not self._rivals:
                return
        raise errors.NameTaken(
            f"Somebody else has been creating a machine '{name}' all the "
            f'time: server {first}',
            'If that create was killed, remove what it left: openstack '
            f'docker machine delete {first}',
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


def _taken(rival: MachineServer) -> errors.NameTaken:
    doing = 'is creating' if rival.record.state == CREATING else 'has created'
    return errors.NameTaken(
        f"Somebody else {doing} a machine '{rival.name}' in this project at "
        f'the same time, server {rival.id}, and this one gives way',
        'See it: openstack docker machine list; or choose another name',
    )
