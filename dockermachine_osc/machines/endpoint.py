# SPDX-License-Identifier: Apache-2.0
"""Where Docker clients find an engine: what can be told without asking."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dockermachine_osc import store

TLS, SSH = 'tls', 'ssh'
#: What a machine's folder has to hold for a Docker client, by the access.
KEYS = {
    TLS: (store.CA, store.CERT, store.KEY),
    SSH: (store.KNOWN_HOSTS,),
}


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """What a Docker client has to know.

    :param url: the value of DOCKER_HOST, '' if there is no address.
    :param cert_path: the folder with its certificates, None if it needs none.
    """

    url: str
    cert_path: Path | None


def over_tls(address: str, port: int, folder: Path | None) -> Endpoint:
    """Give the endpoint of an engine that serves TLS."""
    url = f'tcp://{_bracketed(address)}:{port}' if address else ''
    return Endpoint(url, folder)


def over_ssh(machine: str, machine_id: str) -> Endpoint:
    """Give the endpoint of an engine that is reached through SSH.

    Docker runs the system's ssh and can neither name a key nor a file of
    host keys, so both stand under this name in a configuration of ssh.
    """
    return Endpoint(f'ssh://{alias(machine, machine_id)}', None)


def elsewhere(address: str, ssh_user: str, ssh_port: int) -> Endpoint:
    """Give that endpoint where this workstation has no keys of it."""
    if not address:
        return Endpoint('', None)
    user = f'{ssh_user}@' if ssh_user else ''
    port = f':{ssh_port}' if ssh_port != 22 else ''
    return Endpoint(f'ssh://{user}{_bracketed(address)}{port}', None)


def alias(machine: str, machine_id: str) -> str:
    """Give the name by which ssh knows a machine, on all clouds together.

    In lower case, as ssh and URLs make of it.
    """
    return f'{machine.lower()}.{machine_id[:8]}.docker-machine'


def _bracketed(address: str) -> str:
    return f'[{address}]' if ':' in address else address
