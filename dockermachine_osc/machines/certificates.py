# SPDX-License-Identifier: Apache-2.0
"""A machine's certificates: shown, and made anew without a gap."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, pki, store
from dockermachine_osc.machines import endpoint, errand, moving

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.record import Record
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder
    from dockermachine_osc.waiting import Deadline

#: What can be renewed. A new CA makes new certificates of all kinds.
CA, CLIENT, SERVER = 'ca', 'client', 'server'


@dataclasses.dataclass(frozen=True)
class Shown:
    """A certificate and whose it is: ca, client or server."""

    role: str
    facts: pki.CertificateFacts


def show(
    server: MachineServer, folder: MachineFolder, timeout: float
) -> list[Shown]:
    """Read the certificates here, and the one that the engine shows.

    :param timeout: seconds for the engine; without it, two are shown.
    :raises StoreFailure: if the files are not here.
    """
    _check_access(server)
    found = [
        Shown(CA, pki.facts(folder.read(store.CA))),
        Shown(CLIENT, pki.facts(folder.read(store.CERT))),
    ]
    record = server.record
    try:
        shown = engine.shown_certificate(
            record.address, record.engine_port, folder.path, timeout
        )
    except errors.EngineFailure:
        return found
    return [*found, Shown(SERVER, pki.facts(shown))]


def renew(
    cloud: Cloud,
    server: MachineServer,
    folder: MachineFolder,
    roles: frozenset[str],
    deadline: Deadline,
    steps: Steps,
) -> MachineServer:
    """Make certificates anew, and only what is asked.

    The engine reads its own only as it starts, so a new server certificate
    or CA restarts it; a new client certificate touches nothing but files
    here. The new files take the place of the old ones when the engine has
    accepted them; until then `provision` gives the engine the old CA again.

    :raises StoreFailure: if the CA's key is not on this workstation.
    """
    _check_access(server)
    authority = _authority(folder, server, anew=CA in roles)
    fresh = {store.CA_KEY: authority.key}
    if roles & {CA, SERVER}:
        # A certificate that the host has made for itself is replaced, too.
        fresh[store.CA] = authority.certificate
    if roles & {CA, CLIENT}:
        client = authority.client(f'{folder.name} client')
        fresh |= {store.CERT: client.certificate, store.KEY: client.key}
    issued = None
    if roles & {CA, SERVER}:
        server = moving.followed(server, folder, steps)
        issued = _serve(server, folder, authority, fresh, deadline, steps)
    folder.replace(fresh)
    shown = issued.certificate if issued else None
    record = described(server.record, folder, shown)
    cloud.write_record(server.id, record)
    return dataclasses.replace(server, record=record)


def _check_access(server: MachineServer) -> None:
    if server.record.access != endpoint.TLS:
        raise errors.InvalidRequest(
            f"Machine '{server.name}' has no certificates: docker reaches "
            'its engine through SSH',
            'The key of the host and your SSH key take their place',
        )


def described(
    record: Record, folder: MachineFolder, shown: bytes | None = None
) -> Record:
    """Give the record with what it says of the certificates.

    :param shown: the engine's, PEM; without it, that stays as it is.
    """
    known = {
        CA: folder.read(store.CA),
        CLIENT: folder.read(store.CERT),
    }
    if shown:
        known[SERVER] = shown
    changes: dict[str, str | int] = {}
    for role, certificate in known.items():
        facts = pki.facts(certificate)
        changes[f'{role}_fingerprint'] = facts.fingerprint
        changes[f'{role}_expires'] = f'{facts.not_after:%Y-%m-%dT%H:%M:%SZ}'
    return record.replace(**changes)


def new_secrets(machine: str) -> dict[str, bytes]:
    """Make the CA of a new machine and what goes into its folder.

    :returns: contents by file name.
    """
    authority = pki.Authority.create(machine)
    client = authority.client(f'{machine} client')
    return {
        store.CA_KEY: authority.key,
        store.CA: authority.certificate,
        store.KEY: client.key,
        store.CERT: client.certificate,
    }


def trust_too(folder: MachineFolder, shown: bytes) -> None:
    """Trust the certificate that the host has made for itself.

    The CA stays the first in the file: what is known of it is read there.

    :param shown: PEM.
    """
    folder.write(store.CA, load_authority(folder).certificate + shown)


def trust_ca_alone(folder: MachineFolder) -> None:
    """Trust what the machine's CA has issued, and nothing else."""
    there = folder.read(store.CA)
    first, end, others = there.partition(b'-----END CERTIFICATE-----\n')
    if others.strip():
        folder.write(store.CA, first + end)


def load_authority(folder: MachineFolder) -> pki.Authority:
    """Load a machine's CA.

    :raises StoreFailure: if its key is not on this workstation.
    """
    return pki.Authority.load(folder.read(store.CA), folder.read(store.CA_KEY))


def _authority(
    folder: MachineFolder, server: MachineServer, *, anew: bool
) -> pki.Authority:
    if anew:
        return pki.Authority.create(server.name)
    return load_authority(folder)


def _serve(
    server: MachineServer,
    folder: MachineFolder,
    authority: pki.Authority,
    fresh: dict[str, bytes],
    deadline: Deadline,
    steps: Steps,
) -> pki.Issued:
    issued = authority.server(errand.names_of(server))
    goods = engine.tls_files(
        authority.certificate, issued.certificate, issued.key
    )
    # Written first: a full disk is to be noticed before the engine changes.
    with folder.aside(_proof(folder, fresh)) as proof:
        errand.serve(server.record, folder, goods, deadline, steps)
        steps.begin('Waiting for the engine')
        errand.prove(server.record, proof, deadline)
    return issued


def _proof(folder: MachineFolder, fresh: dict[str, bytes]) -> dict[str, bytes]:
    """Give the files with which the engine is asked before they count."""
    names = (store.CA, store.CERT, store.KEY)
    return {n: fresh.get(n) or folder.read(n) for n in names}
