# SPDX-License-Identifier: Apache-2.0
"""The commands whose every call goes wrong, and what each has promised."""

from __future__ import annotations

import contextlib
import pathlib
from typing import TYPE_CHECKING, Any

from dockermachine_osc import pki, store
from dockermachine_osc.commands import base
from dockermachine_osc.record import READY, TAG, Record
from dockermachine_osc.request import AdoptRequest, CreateRequest
from tests.unit import workbench

if TYPE_CHECKING:
    from dockermachine_osc.machines import Machines
    from tests.faults.standin import StandIn

NAME = 'web1'
#: Seconds that the commands may take, by their own clock.
_TIMEOUT = 90


class Scene:
    """One command, and what it finds.

    :ivar name: of the command.
    :ivar beside: the scene whose calls need not be gone through again.
    :ivar undoes: whether the command, when it fails, takes all back.
    :ivar adopting: whether the server was there before the machine.
    """

    name = ''
    beside = ''
    adopting = False
    undoes = False

    def arrange(self, cloud: StandIn) -> None:
        """Put there what has to be there again in the end."""

    def prepare(self, machines: Machines) -> None:
        """Make what the command is for."""

    def manners(self) -> contextlib.AbstractContextManager[None]:
        """Give how the command takes SIGTERM: that it ends it, by default."""
        return contextlib.nullcontext()

    def run(self, machines: Machines, told: workbench.Notes) -> None:
        """Run the command."""
        raise NotImplementedError

    def broken(self, cloud: StandIn, home: pathlib.Path) -> str:
        """Say what is not so of what a success promises."""
        raise NotImplementedError

    def is_listed(self, cloud: StandIn) -> bool:
        """Tell whether delete has to know what is left by its name."""
        return True

    def is_orphan(self, cloud: StandIn) -> bool:
        """Tell whether prune has to find what is left."""
        return False


class Create(Scene):
    """A port, a floating IP, a group and a server, of an image by name."""

    name = 'create'
    undoes = True

    def manners(self) -> contextlib.AbstractContextManager[None]:
        """Give how the command takes SIGTERM: as Ctrl-C."""
        return base.terminable()

    def run(self, machines: Machines, told: workbench.Notes) -> None:
        """Run the command."""
        request = CreateRequest(NAME, image='debian-12', timeout=_TIMEOUT)
        workbench.create(machines, request, told)

    def broken(self, cloud: StandIn, home: pathlib.Path) -> str:
        """Say what is not so of what a success promises."""
        return _unready(cloud) or _keys_unlike_record(cloud, home)

    def is_orphan(self, cloud: StandIn) -> bool:
        """Tell whether prune has to find what is left."""
        return bool(_unready(cloud))


class CreateWithAddress(Create):
    """With a floating IP of the user's, which is to be free again."""

    name = 'create --floating-ip'
    beside = 'create'

    def arrange(self, cloud: StandIn) -> None:
        """Put the address there."""
        mine = cloud.add_floating_ip(cloud.public)
        self._address = mine['floating_ip_address']

    def run(self, machines: Machines, told: workbench.Notes) -> None:
        """Run the command."""
        request = CreateRequest(
            NAME, timeout=_TIMEOUT, floating_ip=self._address
        )
        workbench.create(machines, request, told)


class Delete(Scene):
    """Of a machine that was made on this workstation."""

    name = 'delete'

    def prepare(self, machines: Machines) -> None:
        """Make what the command is for."""
        workbench.create(machines, CreateRequest(NAME), workbench.Notes())

    def run(self, machines: Machines, told: workbench.Notes) -> None:
        """Run the command."""
        machines.delete(NAME, _TIMEOUT)

    def broken(self, cloud: StandIn, home: pathlib.Path) -> str:
        """Say what is not so of what a success promises."""
        left = [*home.glob('store/scopes/*/machines/*')]
        return f'local files are left: {left}' if left else ''


class Adopt(Scene):
    """Of a server in a group that does not open the engine's port."""

    name = 'adopt'
    undoes = True
    adopting = True

    def manners(self) -> contextlib.AbstractContextManager[None]:
        """Give how the command takes SIGTERM: as Ctrl-C."""
        return base.terminable()

    def arrange(self, cloud: StandIn) -> None:
        """Put the server there."""
        group = cloud.add_group('theirs')
        port = cloud.add_port(cloud.private, security_groups=[group['id']])
        cloud.add_floating_ip(cloud.public, port_id=port['id'])
        cloud.add_server(NAME, {'owner': 'alice'}, ['prod'], [port])

    def run(self, machines: Machines, told: workbench.Notes) -> None:
        """Run the command."""
        request = AdoptRequest(NAME, timeout=_TIMEOUT)
        proposal = machines.propose(request, told)
        machines.adopt(request, proposal, told)

    def broken(self, cloud: StandIn, home: pathlib.Path) -> str:
        """Say what is not so of what a success promises."""
        if not (home / 'served').exists():
            return 'the host was not set up'
        return _unready(cloud) or _keys_unlike_record(cloud, home)

    def is_listed(self, cloud: StandIn) -> bool:
        """Tell whether delete has to know what is left by its name."""
        return TAG in _server(cloud)['tags']

    def is_orphan(self, cloud: StandIn) -> bool:
        """Tell whether prune has to find what is left."""
        return not self.is_listed(cloud)


class LetGo(Adopt):
    """Delete of a machine that was adopted here: the server stays."""

    name = 'delete (adopted)'
    undoes = False
    beside = 'delete'

    def manners(self) -> contextlib.AbstractContextManager[None]:
        """Give how the command takes SIGTERM: that it ends it, by default."""
        return contextlib.nullcontext()

    def prepare(self, machines: Machines) -> None:
        """Make what the command is for."""
        super().run(machines, workbench.Notes())

    def run(self, machines: Machines, told: workbench.Notes) -> None:
        """Run the command."""
        machines.delete(NAME, _TIMEOUT)

    def broken(self, cloud: StandIn, home: pathlib.Path) -> str:
        """Say what is not so of what a success promises."""
        left = [*home.glob('store/scopes/*/machines/*')]
        return f'local files are left: {left}' if left else ''


class Renew(Scene):
    """Of all certificates, of a machine that was made here."""

    name = 'cert renew'

    def prepare(self, machines: Machines) -> None:
        """Make what the command is for."""
        workbench.create(machines, CreateRequest(NAME), workbench.Notes())

    def run(self, machines: Machines, told: workbench.Notes) -> None:
        """Run the command."""
        machines.renew(NAME, frozenset({'ca'}), told, _TIMEOUT)

    def broken(self, cloud: StandIn, home: pathlib.Path) -> str:
        """Say what is not so of what a success promises."""
        return _unready(cloud) or _keys_unlike_record(cloud, home)


_ALL = (
    Create(),
    CreateWithAddress(),
    Adopt(),
    Delete(),
    LetGo(),
    Renew(),
)
SCENES = {scene.name: scene for scene in _ALL}


def _server(cloud: StandIn) -> dict[str, Any]:
    servers: list[dict[str, Any]] = [
        s for s in cloud.things['servers'].values() if s['name'] == NAME
    ]
    return servers[0] if len(servers) == 1 else {}


def _unready(cloud: StandIn) -> str:
    server = _server(cloud)
    record = Record.from_metadata(server.get('metadata') or {})
    if record.state != READY or record.problems:
        return f'the record of the one server is {record}'
    if server['status'] != 'ACTIVE' or TAG not in server['tags']:
        return f'the server is {server}'
    return ''


def _keys_unlike_record(cloud: StandIn, home: pathlib.Path) -> str:
    """Compare what the cloud says of the certificates with those here."""
    record = Record.from_metadata(_server(cloud).get('metadata') or {})
    (folder,) = home.glob(f'store/scopes/*/machines/{NAME}')
    for file, said in (
        (store.CA, record.ca_fingerprint),
        (store.CERT, record.client_fingerprint),
    ):
        found = pki.facts((folder / file).read_bytes()).fingerprint
        if found != said:
            return f'{file} has fingerprint {found}, the record says {said}'
    return ''
