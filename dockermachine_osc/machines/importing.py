# SPDX-License-Identifier: Apache-2.0
"""Machines of Docker Machine become machines of ours.

Its files are read and left as they are. By default nothing changes on the
host either: the certificates that the engine has are carried over, and it is
not restarted. A CA of its own, which no other machine shares, is made on
request, for one restart.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import docker_machine_files, errors, interrupts
from dockermachine_osc.machines import (
    adoption,
    certificates,
    contexting,
    errand,
    inspection,
    leftovers,
    matching,
    proposal,
    provision,
    removal,
)
from dockermachine_osc.machines.machine import local_facts, local_record
from dockermachine_osc.record import (
    CREATING,
    IMPORTED,
    READY,
    TAG,
    Record,
    new_machine_id,
)
from dockermachine_osc.request import check_san
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.docker_machine_files import Entry
    from dockermachine_osc.machines.inspection import Candidate
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder, Scope

#: What became, or would become, of an entry.
IMPORTABLE, DONE, ALREADY = 'importable', 'imported', 'already'
SKIPPED, REFUSED, LEFTOVER = 'skipped', 'refused', 'leftover'


@dataclasses.dataclass(frozen=True)
class ImportRequest:
    """The options of ``import``.

    ``root`` is Docker Machine's folder, None for its own choice; ``renew``
    asks for certificates of a CA of the machine's own; ``timeout`` is in
    seconds and for each machine.
    """

    names: tuple[str, ...] = ()
    root: pathlib.Path | None = None
    dry_run: bool = False
    renew: bool = False
    context: bool = True
    timeout: float = 300


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A row of the result: a machine, or what looks like a leftover.

    ``kind`` is 'machine', or the kind of resource; ``next`` what to type.
    """

    kind: str
    name: str
    driver: str
    server: str
    verdict: str
    why: str
    next: str = ''


def run(
    cloud: Cloud,
    files: Scope,
    contexts: Contexts,
    request: ImportRequest,
    steps: Steps,
) -> list[Outcome]:
    """Take machines over, each on its own, and list what looks left over.

    :raises MachineError: if the folder or the cloud cannot be read; what
        happens to one machine is in its outcome.
    """
    root = request.root or docker_machine_files.default_root()
    entries = docker_machine_files.read(root, request.names)
    steps.begin('Looking for the servers')
    servers = cloud.servers()
    work = _Import(cloud, files, contexts, request, steps)
    found = [work.outcome(entry, servers) for entry in entries]
    if not request.names:
        found += [
            Outcome(
                i.kind, i.name, '', i.server, LEFTOVER, i.why, i.removed_by
            )
            for i in leftovers.find(cloud, entries, servers)
        ]
    return found


class _Import:
    """One run, entry by entry."""

    def __init__(
        self,
        cloud: Cloud,
        files: Scope,
        contexts: Contexts,
        request: ImportRequest,
        steps: Steps,
    ) -> None:
        self._cloud = cloud
        self._files = files
        self._contexts = contexts
        self._request = request
        self._steps = steps
        self._seen: dict[str, str] = {}

    def outcome(
        self, entry: Entry, servers: Sequence[MachineServer]
    ) -> Outcome:
        """Take one machine over, or say why not."""
        if entry.problem:
            verdict = REFUSED if entry.is_ours else SKIPPED
            return _outcome(entry, None, verdict, entry.problem, entry.hint)
        try:
            server = matching.match(entry, servers, self._cloud.auth_url)
        except matching.NotHere as error:
            return _outcome(entry, None, SKIPPED, error.message, error.hint)
        if other := self._seen.get(server.id):
            why = f"it is the same server as '{other}'"
            return _outcome(entry, server, SKIPPED, why)
        self._seen[server.id] = entry.name
        try:
            return self._matched(entry, server)
        except errors.MachineError as error:
            why = error.message
            return _outcome(entry, server, REFUSED, why, error.hint)

    def _matched(self, entry: Entry, server: MachineServer) -> Outcome:
        self._steps.begin(f'Looking at {entry.name}')
        folder = proposal.usable(self._files, server)
        if _is_complete(server, folder):
            following = f'openstack docker machine show {server.name}'
            if self._request.renew:
                following = (
                    f'openstack docker machine cert renew --ca {server.name}'
                )
            why = 'it is a machine already'
            return _outcome(entry, server, ALREADY, why, following)
        _check_free(self._cloud, server, folder)
        renew, timeout = self._request.renew, self._request.timeout
        candidate = inspection.inspect(
            self._cloud, entry, server, timeout, renew=renew
        )
        if self._request.dry_run:
            return _outcome(entry, server, IMPORTABLE, candidate.changes())
        with self._files.lock(server.name, wait=False):
            self._take_over(candidate, folder)
        self._steps.note(f'{server.name}: imported')
        return _outcome(
            entry,
            server,
            DONE,
            candidate.changes(),
            f'docker --context {contexting.name_of(folder)} ps'
            if contexting.name_of(folder)
            else f'openstack docker machine env {server.name}',
        )

    def _take_over(self, candidate: Candidate, folder: MachineFolder) -> None:
        server, steps = candidate.server, self._steps
        if candidate.trusted_first:
            steps.warn(
                f'{server.name}: neither its console nor your known_hosts '
                'had its SSH host key: the first that it showed is trusted, '
                'and pinned. Docker Machine never checked it'
            )
        if not server.record.id and folder.exists():
            ours = str(local_record(folder).get('id') or '')
            removal.remove_locally(folder, self._contexts, ours, steps)
        steps.begin(f'Taking over {server.name}')
        with self._taken_back(candidate, folder):
            _fill(folder, candidate)
            server = self._mark(candidate, folder)
            if self._request.renew:
                server = provision.make_ready(
                    self._cloud,
                    server,
                    folder,
                    Deadline(self._request.timeout),
                    steps,
                )
        folder.save(local_record(folder) | local_facts(server))
        if self._request.context and not contexting.name_of(folder):
            contexting.offer(
                self._contexts, folder, server.record, self._cloud.name, steps
            )

    def _mark(
        self, candidate: Candidate, folder: MachineFolder
    ) -> MachineServer:
        """Write into the cloud that the server is a machine."""
        way, entry = candidate.way, candidate.entry
        record = Record(
            id=str(local_record(folder)['id']),
            origin=IMPORTED,
            state=CREATING if self._request.renew else READY,
            address=way.address,
            engine_port=entry.engine_port,
            engine_version=candidate.engine_version,
            ssh_user=way.user,
            ssh_port=way.port,
            host_key=next(iter(candidate.host_keys), ''),
            tls_sans=','.join(filter(_can_stand, entry.tls_sans)),
        )
        shown = candidate.server_certificate
        record = certificates.described(record, folder, shown)
        with interrupts.held():
            self._cloud.mark_server(candidate.server.id, record)
        return dataclasses.replace(candidate.server, record=record)

    @contextlib.contextmanager
    def _taken_back(
        self, candidate: Candidate, folder: MachineFolder
    ) -> Iterator[None]:
        """Take all back if anything goes wrong, Ctrl-C included.

        One of which a part was there before stays, for the next import.
        """
        again = bool(candidate.server.record.id)
        try:
            yield
        except BaseException as error:
            if again:
                raise
            self._steps.begin('Taking it back')
            said = self._undo(candidate, folder)
            if isinstance(error, errors.MachineError):
                error.message = f'{error.message}\n{said}'
            raise

    def _undo(self, candidate: Candidate, folder: MachineFolder) -> str:
        server_id = candidate.server.id
        try:
            server = self._cloud.server(server_id)
            if server and server.record.id and self._request.renew:
                adoption.leave(
                    self._cloud, server, folder, Deadline(120), self._steps
                )
            elif server and (server.record.id or TAG in server.tags):
                self._cloud.unmark_server(server_id)
        except errors.MachineError as error:
            return (
                f'Not all could be taken back: {error.message}\n'
                'To take the rest back: openstack docker machine delete '
                f'{candidate.server.name}'
            )
        removal.remove_locally(folder, self._contexts, '', self._steps)
        return 'All was taken back.'


def _outcome(
    entry: Entry,
    server: MachineServer | None,
    verdict: str,
    why: str,
    following: str = '',
) -> Outcome:
    name = server.name if server else ''
    why = ' '.join(why.splitlines())
    return Outcome(
        'machine', entry.name, entry.driver, name, verdict, why, following
    )


def _is_complete(server: MachineServer, folder: MachineFolder) -> bool:
    """Tell whether an import, or an adopt, has come to its end here."""
    if not folder.exists() or not server.record.id:
        return False
    local = local_record(folder)
    return (
        local.get('id') == server.record.id
        and server.record.state == READY
        and TAG in server.tags
        and 'server_id' in local
    )


def _check_free(
    cloud: Cloud, server: MachineServer, folder: MachineFolder
) -> None:
    """Refuse what is a machine of somebody else's, or has the name of one."""
    if not server.record.id:
        proposal.check_name(cloud, server, folder)
    elif (
        local_record(folder).get('id') != server.record.id
        or server.record.origin != IMPORTED
    ):
        raise errors.NameTaken(
            f"Server '{server.name}' is a machine already: it was "
            f'{server.record.origin}, and not from here or not to the end',
            f'See it: openstack docker machine show {server.name}',
        )


def _fill(folder: MachineFolder, candidate: Candidate) -> None:
    """Write what the machine needs here; its id first."""
    if not folder.exists():
        folder.create()
        folder.save({'id': new_machine_id(), leftovers.MADE: _made(candidate)})
    for filename, secret in candidate.secrets.items():
        folder.write(filename, secret)
    errand.pin(folder, [candidate.way], candidate.host_keys)


def _made(candidate: Candidate) -> dict[str, str]:
    """Note what Docker Machine had made for the server, by its own word."""
    entry = candidate.entry
    return {
        'key_pair': entry.key_pair,
        'floating_ip': entry.address if entry.floating_ip else '',
    }


def _can_stand(name: str) -> bool:
    """Tell whether a name can stand in a certificate of ours."""
    try:
        check_san(name)
    except errors.InvalidRequest:
        return False
    return True
