# SPDX-License-Identifier: Apache-2.0
"""An errand to a host: one connection, one parcel, its key pinned."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, store
from dockermachine_osc.machines import resuming
from dockermachine_osc.machines.machine import private_key
from dockermachine_osc.record import IMPORTED

if TYPE_CHECKING:
    from pathlib import Path

    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.engine import Handover
    from dockermachine_osc.host import Host, Result
    from dockermachine_osc.record import Record
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder
    from dockermachine_osc.system_ssh import SystemHost
    from dockermachine_osc.waiting import Deadline

#: Seconds for the way there, and for a host to say why it was not done.
_MARGIN = 5


@dataclasses.dataclass(frozen=True)
class Way:
    """How to get to a host.

    ``key`` is a private key file, None for the agent and the user's own;
    ``host_keys`` are lines 'type base64', none if nothing is known;
    ``users`` is set for a host where the user's ssh configuration applies.
    """

    address: str
    port: int
    user: str
    key: Path | None
    host_keys: tuple[str, ...]
    users: bool = False


def known_way(record: Record, folder: MachineFolder) -> Way:
    """Give the way to a machine that has been there before.

    The host's key is the one pinned here, not the one in the metadata,
    which others can write.

    :raises StoreFailure: if this workstation has never been there, or its
        file is damaged: no other key is taken on trust then.
    """
    pinned = folder.read(store.KNOWN_HOSTS).decode(errors='replace')
    lines = [line.split(maxsplit=1) for line in pinned.splitlines()]
    # It may be known by several addresses.
    keys = tuple(dict.fromkeys(x[1] for x in lines if len(x) == 2))
    if not keys and not record.server_stays:
        # On a way that is the user's, ssh knows only whom he knows.
        raise errors.StoreFailure(
            f'{folder.path / store.KNOWN_HOSTS} is damaged: there is no key '
            'of the host in it',
            'Bring it back from a backup; or delete the file, and have '
            'openstack docker machine provision learn the key from the '
            "server's console",
        )
    return Way(
        record.address,
        record.ssh_port,
        record.ssh_user,
        private_key(folder),
        keys,
        users=record.server_stays,
    )


@dataclasses.dataclass(frozen=True)
class Done:
    """How an errand ended well.

    :param key_line: the key that the host has proven to have.
    """

    key_line: str
    outcome: engine.Outcome


def serve(
    record: Record,
    folder: MachineFolder,
    goods: Mapping[str, bytes],
    deadline: Deadline,
    steps: Steps,
) -> Done:
    """Set up the engine of a machine that has been visited before.

    :param goods: what it is handed, see `Access.goods`.
    """
    parcel = engine.handover(settings_of(record), goods, hosts_time(deadline))
    steps.begin('Setting up the engine')
    way = known_way(record, folder)
    done = run(way, folder, parcel, deadline, steps)
    options_arrived(folder)
    return done


def hosts_time(deadline: Deadline) -> int:
    """Give the seconds that a host has, so that its word comes in time."""
    return max(1, int(deadline.remaining) - _MARGIN)


def settings_of(record: Record, version: str = '') -> engine.EngineSettings:
    """Give what the set-up on a machine's host is told.

    :raises InvalidRequest: if the version is none.
    """
    return engine.EngineSettings(
        machine_id=record.id,
        source=record.engine_source or 'auto',
        version=version,
        port=record.engine_port,
        access=record.access,
        imported=record.origin == IMPORTED,
    )


def run(
    way: Way,
    folder: MachineFolder,
    parcel: Handover,
    deadline: Deadline,
    steps: Steps,
) -> Done:
    """Do all the work on a host over one connection.

    :raises HostFailure: if it does not let us in.
    :raises EngineFailure: if the work fails there.
    """
    key_line, result = send(way, folder, parcel, deadline, steps)
    outcome = engine.outcome(result.status, result.stdout.splitlines())
    return Done(key_line, outcome)


def send(
    way: Way,
    folder: MachineFolder,
    parcel: Handover,
    deadline: Deadline,
    steps: Steps,
) -> tuple[str, Result]:
    """Run what is in a parcel on a host, whatever comes of it.

    All that is sent so can be done twice; if the connection breaks, or the
    host reboots, it is sent again, once.

    :returns: the key that the host has proven to have, and what it said.
    :raises HostFailure: if it does not let us in.
    """
    if not way.users and not way.host_keys:
        steps.warn(
            "The host's keys could not be learned from its console: the "
            'first key that it shows is trusted, and pinned'
        )
    return resuming.resumed(
        lambda: _visit_once(way, folder, parcel, deadline, steps),
        deadline,
        steps,
    )


def _visit_once(
    way: Way,
    folder: MachineFolder,
    parcel: Handover,
    deadline: Deadline,
    steps: Steps,
) -> tuple[str, Result]:
    with _logged_in(way, folder) as (there, key_line):
        if not way.users and not folder.has(store.KNOWN_HOSTS):
            pin(folder, [way], [key_line])
        result = there.run(
            parcel.command,
            parcel.stdin,
            on_line=lambda line: _progress(steps, line),
            timeout=max(1.0, deadline.remaining),
        )
    return key_line, result


@contextlib.contextmanager
def _logged_in(
    way: Way, folder: MachineFolder
) -> Iterator[tuple[Host | SystemHost, str]]:
    """Log in on a way: yield the host, and the key that it has proven.

    A way that is the user's is known to the system's ssh alone.
    """
    # Here, so that paramiko is imported while the server boots.
    from dockermachine_osc import host, system_ssh

    if way.users:
        there = system_ssh.SystemHost(_visit(way, folder))
        yield there, next(iter(way.host_keys), '')
        return
    login = host.Login(way.user, way.key, agent=_is_users(way, folder))
    with host.connect(way.address, way.port, login, way.host_keys) as ours:
        yield ours, ours.key_line


def order(
    way: Way, folder: MachineFolder, command: str, timeout: float
) -> str:
    """Run a plain command on a host, and give what it prints.

    :param timeout: seconds for the command.
    :raises HostFailure: if the host does not let us in, or the command fails.
    """
    with _logged_in(way, folder) as (there, _):
        result = there.run(command, timeout=timeout)
    if result.status:
        words = result.stderr.strip()[-200:] or f'exit code {result.status}'
        raise errors.HostFailure(f'The host refuses: {words}')
    return result.stdout


def options_on_the_way(folder: MachineFolder) -> dict[str, bytes]:
    """Give the options that the engine was to get, and did not yet."""
    if not folder.has(store.OPTIONS):
        return {}
    return {'options': folder.read(store.OPTIONS)}


def options_arrived(folder: MachineFolder) -> None:
    """Forget them: from now on the host is where they stand."""
    (folder.path / store.OPTIONS).unlink(missing_ok=True)


def configured(way: Way) -> dict[str, str]:
    """Give what the user's configuration of ssh says of a way."""
    from dockermachine_osc import openssh, system_ssh

    argv = openssh.visit(way.address, way.user, way.port, way.key)
    return openssh.resolved(system_ssh.configuration(argv))


def _visit(way: Way, folder: MachineFolder) -> list[str]:
    from dockermachine_osc import openssh

    known = folder.path / store.KNOWN_HOSTS
    return openssh.visit(way.address, way.user, way.port, way.key, known)


def prove(
    record: Record, folder: Path, deadline: Deadline, why: str = ''
) -> engine.EngineFacts:
    """Get a verified answer from the engine, as a Docker client would.

    :param why: what to add if there is none, as in which group is closed.
    """
    address, port = record.address, record.engine_port
    try:
        return engine.wait_ready(address, port, folder, deadline)
    except errors.EngineFailure as error:
        error.message = (
            f'The engine runs, but does not answer at {address} port {port}: '
            f'{error.message} {why}'
        ).rstrip()
        raise


def names_for(
    addresses: Sequence[str], machine: str, further: Sequence[str]
) -> list[str]:
    """Give the names of the engine's certificate, each once."""
    return list(dict.fromkeys([*filter(None, addresses), machine, *further]))


def names_of(server: MachineServer) -> list[str]:
    """Give the names of the certificate of an engine that is there."""
    record = server.record
    further = filter(None, record.tls_sans.split(','))
    addresses = (record.address, *server.addresses)
    return names_for(addresses, server.name, tuple(further))


def _is_users(way: Way, folder: MachineFolder) -> bool:
    return way.key != folder.path / store.SSH_KEY


def _progress(steps: Steps, line: str) -> None:
    if text := engine.progress(line):
        steps.begin(text[:1].upper() + text[1:])
    if text := engine.remark(line):
        steps.note(text)


def pin(
    folder: MachineFolder, ways: Iterable[Way], key_lines: Sequence[str]
) -> None:
    """Remember the host's keys, by which it is known on each of these ways."""
    lines = ''.join(known_hosts(way, key_lines) for way in ways)
    folder.write(store.KNOWN_HOSTS, lines.encode())


def known_hosts(way: Way, key_lines: Sequence[str]) -> str:
    """Give the host's keys in the form of OpenSSH's known_hosts."""
    name = way.address if way.port == 22 else f'[{way.address}]:{way.port}'
    return ''.join(f'{name} {line}\n' for line in key_lines)
