# SPDX-License-Identifier: Apache-2.0
"""Looking at a server before it is adopted, and saying what would change."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, openssh, store
from dockermachine_osc.cloud import power
from dockermachine_osc.cloud.adopted import canonical
from dockermachine_osc.machines import accesses, errand
from dockermachine_osc.machines.machine import (
    check_replaceable,
    local_record,
)
from dockermachine_osc.record import ADOPTED, READY, new_machine_id

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.cloud.groups import Rules
    from dockermachine_osc.report import Steps
    from dockermachine_osc.request import AdoptRequest
    from dockermachine_osc.store import MachineFolder, Scope

_ASK_TIMEOUT = 5.0


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What stands on a server, and what adopting it would change.

    ``changes`` are sentences; none if it is a machine already and well.
    """

    server: MachineServer
    way: errand.Way
    findings: engine.Findings
    rules: Rules | None
    changes: tuple[str, ...]


def propose(
    cloud: Cloud, files: Scope, request: AdoptRequest, steps: Steps
) -> Proposal:
    """Look at a server and say what would be changed.

    :raises InvalidRequest: if it cannot be adopted.
    :raises EngineFailure: if its engine cannot be taken over.
    """
    steps.begin('Looking for the server')
    server = _eligible(cloud, files, request)
    steps.begin('Looking at the host')
    way = _way(cloud, server, request)
    findings = _look(way, server, request)
    if findings.conflict:
        raise errors.EngineFailure(
            f"Server '{server.name}' cannot be adopted: {findings.conflict}",
            findings.hint,
        )
    if server.record.id and _is_well(server, files.machine(server.name)):
        _check_options(server, findings)
        return Proposal(server, way, findings, None, ())
    way_in = accesses.of(request.access)
    rules, changes = way_in.proposed(way, findings, request)
    return Proposal(
        server,
        way,
        findings,
        rules,
        tuple(_changes(findings, rules, changes, request)),
    )


def _eligible(
    cloud: Cloud, files: Scope, request: AdoptRequest
) -> MachineServer:
    server = cloud.find_server(request.server)
    folder = usable(files, server)
    if server.record.id:
        _check_machine(server, folder, request)
    else:
        check_name(cloud, server, folder)
    return server


def usable(files: Scope, server: MachineServer) -> MachineFolder:
    """Give the folder for a server that can become a machine.

    :raises InvalidRequest: if it is off, or its name cannot be a machine's.
    """
    try:
        folder = files.machine(server.name)
    except errors.InvalidRequest as error:
        raise errors.InvalidRequest(
            f"'{server.name}' cannot be the name of a machine",
            f'Give the server another: openstack server set --name <name> '
            f'{server.id}',
        ) from error
    if server.status not in power.ON:
        raise errors.InvalidRequest(
            f"Server '{server.name}' is {server.status}",
            f'Start it first: openstack server start {server.id}',
        )
    return folder


def _check_machine(
    server: MachineServer, folder: MachineFolder, request: AdoptRequest
) -> None:
    """Let only a machine through that was adopted from here."""
    if server.record.origin != ADOPTED:
        raise errors.InvalidRequest(
            f"Server '{server.name}' is a machine already: it was "
            f'{server.record.origin} as one',
            'Set up what it lacks: openstack docker machine provision '
            f'{server.name}',
        )
    if local_record(folder).get('id') != server.record.id:
        raise errors.NameTaken(
            f"Server '{server.name}' is a machine already, and its keys are "
            'not on this workstation',
            f'See it: openstack docker machine show {server.name}',
        )
    if server.record.access != request.access:
        raise errors.InvalidRequest(
            f"Server '{server.name}' is a machine with --access "
            f'{server.record.access} already',
            'To have another, let it go first: openstack docker machine '
            f'delete {server.name}',
        )


def check_name(
    cloud: Cloud, server: MachineServer, folder: MachineFolder
) -> None:
    """Refuse a name that a machine has, in the cloud or in the files."""
    if folder.exists():
        check_replaceable(folder)
    ours = str(local_record(folder).get('id') or '')
    others = cloud.find(server.name) + (cloud.find(ours) if ours else [])
    for other in others:
        if other.id == server.id:
            # It has our tag alone: an adopt was cut off.
            continue
        raise errors.NameTaken(
            f"The name '{server.name}' is that of another machine: server "
            f"{other.id}, '{other.name}'",
            f'Give this server another: openstack server set --name <name> '
            f'{server.id}',
        )


def _way(
    cloud: Cloud, server: MachineServer, request: AdoptRequest
) -> errand.Way:
    """Find out how ssh gets there, as it would for the user."""
    # Late, as it brings paramiko, which most commands need not wait for.
    from dockermachine_osc import system_ssh

    address = address_of(server, request)
    argv = openssh.visit(
        address, request.ssh_user, request.ssh_port, request.ssh_key
    )
    config = openssh.resolved(system_ssh.configuration(argv))
    console = cloud.console(server.id) or ''
    facts = engine.read_console(console, server.record.id or new_machine_id())
    return errand.Way(
        address,
        int(config.get('port', '22')),
        config.get('user', request.ssh_user),
        request.ssh_key,
        facts.host_keys,
        users=True,
    )


def address_of(server: MachineServer, request: AdoptRequest) -> str:
    """Choose the address: the one named, else floating, IPv4, any."""
    named = canonical(request.server)
    if named in server.addresses:
        return named
    addresses = (*server.floating, *server.addresses)
    for address in sorted(addresses, key=lambda a: ':' in a):
        return address
    raise errors.InvalidRequest(
        f"Server '{server.name}' has no address",
        f'See them: openstack server show -c addresses {server.id}',
    )


def _look(
    way: errand.Way, server: MachineServer, request: AdoptRequest
) -> engine.Findings:
    settings = engine.EngineSettings(
        machine_id=server.record.id or new_machine_id(),
        source=request.engine_source,
        version=request.engine_version,
        port=request.engine_port,
        access=request.access,
    )
    findings, _ = look(
        way,
        settings,
        request.timeout,
        options=request.engine_options or None,
    )
    return findings


def look(
    way: errand.Way,
    settings: engine.EngineSettings,
    timeout: float,
    *,
    first_use: bool = False,
    options: engine.EngineOptions | None = None,
) -> tuple[engine.Findings, tuple[str, ...]]:
    """Log in to a host and look, without changing anything.

    :param timeout: seconds.
    :param first_use: whether a host that neither we nor the user know is
        trusted.
    :param options: that the engine would get.
    :returns: what is there, and the host keys that were trusted so.
    :raises MachineError: if ssh does not get there, or it cannot look.
    """
    from dockermachine_osc import system_ssh

    parcel = engine.visit('look', settings, options)
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / store.KNOWN_HOSTS
        known.write_text(errand.known_hosts(way, way.host_keys))
        argv = openssh.visit(
            way.address,
            way.user,
            way.port,
            way.key,
            known,
            first_use=first_use,
        )
        result = system_ssh.SystemHost(argv).run(
            parcel.command, parcel.stdin, timeout=timeout
        )
        lines = [line.split() for line in known.read_text().splitlines()]
    found = engine.findings(result.status, result.stdout.splitlines())
    learnt = {' '.join(words[1:3]) for words in lines} - set(way.host_keys)
    return found, tuple(sorted(learnt))


def _is_well(server: MachineServer, folder: MachineFolder) -> bool:
    record = server.record
    return record.state == READY and accesses.of(record.access).answers(
        record, folder, _ASK_TIMEOUT
    )


def _check_options(server: MachineServer, findings: engine.Findings) -> None:
    """Refuse to change an engine that is a machine's and well."""
    if findings.differs:
        raise errors.InvalidRequest(
            f"Server '{server.name}' is a machine already, and its engine "
            'has other options',
            f'Change them: openstack docker machine set {server.name} '
            '--engine-...',
        )


def _changes(
    findings: engine.Findings,
    rules: Rules | None,
    of_access: Iterable[str],
    request: AdoptRequest,
) -> Iterator[str]:
    if not findings.engine:
        yield f'install Docker Engine ({findings.method})'
    yield from of_access
    yield from _additions(request)
    if rules:
        yield f'add a security group that opens {rules}'
    yield "write this machine's record into the server's metadata"


def _additions(request: AdoptRequest) -> Iterator[str]:
    options = request.engine_options
    if kinds := options.kinds():
        yield f"set the engine's options: {', '.join(kinds)}"
    for registry in options.registry_cas:
        yield f'trust the CA of registry {registry} (/etc/docker/certs.d)'
    if request.post_script:
        yield 'run the post-script as root, once the engine has started'
