# SPDX-License-Identifier: Apache-2.0
"""Looking whether a machine of Docker Machine is what its files say."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dockermachine_osc import chains, engine, errors, files, store
from dockermachine_osc.machines import (
    certificates,
    errand,
    proposal,
    restarting,
)
from dockermachine_osc.record import new_machine_id
from dockermachine_osc.request import AdoptRequest

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.docker_machine_files import Entry

#: Seconds for each of connecting to the engine and its answer.
_ASK_TIMEOUT = 10.0
_RENEW = (
    'With --renew-certificates SSH alone is the proof, and the machine gets '
    'certificates of its own'
)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A machine that has proven to be what its files say.

    ``secrets`` are the files that it gets here; ``host_keys`` lines 'type
    base64', which ssh had to take on trust if ``trusted_first``; engine
    version and certificate are '' where its own certificates do not count.
    """

    entry: Entry
    server: MachineServer
    way: errand.Way
    host_keys: tuple[str, ...]
    trusted_first: bool
    findings: engine.Findings
    secrets: Mapping[str, bytes] = dataclasses.field(repr=False)
    engine_version: str = ''
    server_certificate: bytes = b''

    def changes(self) -> str:
        """Say what becomes of it, and what to know of it later."""
        return '; '.join(self._changes())

    def _changes(self) -> list[str]:
        said = []
        if self.entry.name != self.server.name:
            said.append(f"it is named '{self.server.name}', as its server")
        if not self.server_certificate:
            fate = restarting.fate(self.findings)
            return [
                *said,
                'SSH key carried over',
                f'new certificates restart the engine once{fate}',
            ]
        said.append('keys and certificates carried over')
        said.append('nothing changes on the host')
        if not chains.is_strict(self.secrets[store.CA]):
            said.append(
                'clients with strict checks (Python 3.13) refuse its CA: '
                'cert renew --ca makes one of its own'
            )
        if store.CA_KEY not in self.secrets:
            said.append(
                "its CA's key is not there: only cert renew --ca makes "
                'certificates anew'
            )
        return said


def inspect(
    cloud: Cloud,
    entry: Entry,
    server: MachineServer,
    timeout: float,
    *,
    renew: bool,
) -> Candidate:
    """Verify certificates, engine, SSH key and host; change nothing.

    :param timeout: seconds for the look at the host.
    :param renew: whether its own certificates do not matter.
    :raises MachineError: saying what does not verify.
    """
    address = proposal.address_of(server, AdoptRequest(entry.address))
    version, shown = '', b''
    if renew:
        secrets = certificates.new_secrets(server.name)
    else:
        secrets = _theirs(entry)
        version, shown = _asked(address, entry, secrets)
    if key := entry.read_ssh_key():
        secrets[store.SSH_KEY] = key
    console = engine.read_console(
        cloud.console(server.id) or '', server.record.id or new_machine_id()
    )
    way = errand.Way(
        address,
        entry.ssh_port,
        entry.ssh_user,
        entry.key_file,
        console.host_keys,
        users=True,
    )
    findings, learnt = _looked(way, entry, timeout)
    return Candidate(
        entry,
        server,
        way,
        findings.host_keys or console.host_keys or learnt,
        bool(learnt),
        findings,
        secrets,
        version,
        shown,
    )


def _theirs(entry: Entry) -> dict[str, bytes]:
    """Read its certificates, and see that they belong together."""
    try:
        found = entry.read_certificates()
        chains.check(found[store.CA], found[store.CERT], found[store.KEY])
        if not chains.is_key_of(found[store.CA], found.get(store.CA_KEY, b'')):
            # Of another time, as after creates that have raced.
            found.pop(store.CA_KEY, None)
    except errors.StoreFailure as error:
        error.hint = error.hint or _RENEW
        raise
    return found


def _asked(
    address: str, entry: Entry, secrets: Mapping[str, bytes]
) -> tuple[str, bytes]:
    """Ask its engine, as a Docker client would that trusts its CA alone.

    :returns: its version, and its certificate.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for filename in (store.CA, store.CERT, store.KEY):
            files.write_whole(folder / filename, secrets[filename])
        try:
            answer = engine.ask(
                address, entry.engine_port, folder, _ASK_TIMEOUT
            )
            shown = engine.shown_certificate(
                address, entry.engine_port, folder, _ASK_TIMEOUT
            )
        except errors.EngineFailure as error:
            proof = (engine.EngineUntrusted, engine.ClientRefused)
            if isinstance(error, proof):
                error.hint = _RENEW
            raise
    return answer.version, shown


def _looked(
    way: errand.Way, entry: Entry, timeout: float
) -> tuple[engine.Findings, tuple[str, ...]]:
    """Log in and look; give the host keys that were taken on trust, too."""
    settings = engine.EngineSettings(
        machine_id=new_machine_id(), port=entry.engine_port, imported=True
    )
    findings, learnt = proposal.look(
        way, settings, timeout, first_use=not way.host_keys
    )
    if findings.conflict:
        raise errors.EngineFailure(findings.conflict, findings.hint)
    if not findings.engine:
        raise errors.EngineFailure(
            'there is no Docker Engine on its host',
            'Make a machine of its server: openstack docker machine adopt',
        )
    return findings, learnt
