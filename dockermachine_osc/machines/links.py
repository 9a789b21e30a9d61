# SPDX-License-Identifier: Apache-2.0
"""The links between this workstation and an engine, and how each is tried."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from dockermachine_osc import engine, errors, openssh, pki
from dockermachine_osc.cloud import power
from dockermachine_osc.machines import errand, expiry, moving

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.engine import EngineFacts
    from dockermachine_osc.machines.errand import Way
    from dockermachine_osc.record import Record
    from dockermachine_osc.store import MachineFolder

#: Seconds by which the host's clock may differ: TLS minds hours, logs minutes.
CLOCK_TOLERANCE = 120


class _Broken(errors.MachineError):
    """A link that does not hold."""


@dataclasses.dataclass(frozen=True)
class Patient:
    """A machine on which something may be broken.

    :param ask: asks the engine who it is; see Access.ask.
    :param timeout: seconds for each link.
    """

    cloud: Cloud
    server: MachineServer
    folder: MachineFolder
    ask: Callable[[Record, MachineFolder, float], EngineFacts]
    timeout: float

    @property
    def way(self) -> Way:
        """How to get to its host."""
        return errand.known_way(self.server.record, self.folder)


_Check = Callable[[Patient], str]


def _server(patient: Patient) -> str:
    server = patient.server
    if server.status not in power.ON:
        raise _Broken(
            f'{server.status} {server.fault}'.rstrip(),
            f'openstack docker machine start {server.name}',
        )
    return server.status


def _address(patient: Patient) -> str:
    server, address = patient.server, patient.server.record.address
    if address not in server.addresses:
        raise _Broken(
            f"{address or 'no address'} in the record, but the server's are "
            + (', '.join(server.addresses) or 'none'),
            f'openstack docker machine provision {server.name}',
        )
    return address


def _groups(patient: Patient) -> str:
    record = patient.server.record
    return _opened(patient, record.ssh_port, record.engine_port)


def _group_of_ssh(patient: Patient) -> str:
    return _opened(patient, patient.server.record.ssh_port)


def _opened(patient: Patient, *ports: int) -> str:
    server, record = patient.server, patient.server.record
    sources = {
        port: patient.cloud.open_from(
            server.id, record.address, record.port_id, port
        )
        for port in ports
    }
    # The command's own default is IPv4.
    v6 = '--ethertype IPv6 ' if ':' in record.address else ''
    for port, cidrs in sources.items():
        if not cidrs:
            raise _Broken(
                f'no security group of the server opens tcp {port}',
                f'openstack security group rule create --protocol tcp {v6}'
                f'--dst-port {port} <group>',
            )
    return '; '.join(f'{p} from {", ".join(c)}' for p, c in sources.items())


def _ssh_port(patient: Patient) -> str:
    from dockermachine_osc import host

    record = patient.server.record
    if jump := _jump(patient.way):
        return f'{record.address} port {record.ssh_port} through {jump}'
    problem = host.probe(record.address, record.ssh_port)
    if problem:
        raise _Broken(
            f'{record.address} port {record.ssh_port}: {problem}',
            _way_there(patient.server),
        )
    return f'{record.address} port {record.ssh_port} answers'


def _way_there(server: MachineServer) -> str:
    if other := moving.another(server):
        return (
            f'Or does {other} answer? That is tried by openstack docker '
            f'machine provision {server.name}'
        )
    return (
        'A firewall or VPN in between? From where do the rules above let you '
        'in?'
    )


def _login(patient: Patient) -> str:
    """Log in, which proves the host's key as well, and read its clock."""
    skew = _skew(_told(patient, 'date -u +%s'))
    if abs(skew) > CLOCK_TOLERANCE:
        raise _Broken(
            f"the host's clock is {abs(skew):.0f} s "
            + ('ahead' if skew > 0 else 'behind'),
            f'openstack docker machine ssh {patient.server.name} -- sudo '
            'timedatectl set-ntp true',
        )
    user = patient.server.record.ssh_user
    return f'{user}, host key as pinned, clock within {abs(skew):.0f} s'


def _daemon(patient: Patient) -> str:
    state = _told(
        patient, 'systemctl is-active docker.service || true'
    ).strip()
    if state != 'active':
        name = patient.server.name
        raise _Broken(
            f'docker.service is {state or "unknown"}',
            f'openstack docker machine provision {name}; its own words: '
            f'openstack docker machine ssh {name} -- sudo journalctl -u '
            'docker.service -n 30',
        )
    return 'docker.service is active'


def _told(patient: Patient, command: str) -> str:
    """Run a command on the host and give what it prints."""
    return errand.order(patient.way, patient.folder, command, patient.timeout)


def _jump(way: Way) -> str:
    """Give what ssh goes through on a way that is the user's, or ''."""
    return openssh.jump(errand.configured(way)) if way.users else ''


def _skew(stdout: str) -> float:
    if not stdout.strip().isdecimal():
        raise _Broken(f'date answers {stdout[:40]!r}')
    now = datetime.datetime.now(datetime.UTC).timestamp()
    return float(stdout) - now


def _certificate(patient: Patient) -> str:
    record = patient.server.record
    shown = engine.shown_certificate(
        record.address,
        record.engine_port,
        patient.folder.path,
        patient.timeout,
    )
    facts = pki.facts(shown)
    renew = f'openstack docker machine cert renew {patient.server.name}'
    left = (facts.not_after - datetime.datetime.now(datetime.UTC)).days
    if left < expiry.WARN_DAYS:
        raise _Broken(f'ends in {left} days', f'{renew} --server')
    missing = {record.address} - set(facts.names)
    if missing:
        raise _Broken(
            f'does not name {", ".join(missing)}', f'{renew} --server'
        )
    return f'{left} days left'


def _engine(patient: Patient) -> str:
    record = patient.server.record
    try:
        answer = patient.ask(record, patient.folder, patient.timeout)
    except errors.EngineFailure as error:
        error.hint = error.hint or (
            f'openstack docker machine provision {patient.server.name}'
        )
        raise
    return f'Docker Engine {answer.version}, API {answer.api_version}'


def _names(patient: Patient) -> str:
    """Look up what was given as --tls-san: clients use those names."""
    server = patient.server
    own = {server.record.address, *server.addresses}
    names = [n for n in server.record.tls_sans.split(',') if _is_name(n)]
    for name in names:
        found = _resolved(name)
        if not found & own:
            raise _Broken(
                f"'{name}' is {', '.join(sorted(found)) or 'not known'}, "
                f'the machine is {server.record.address}',
                'Change that in your DNS or /etc/hosts; clients that use '
                'the address are not concerned',
            )
    return ', '.join(names) or 'no --tls-san to look up'


def _is_name(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(text)
    return False


def _resolved(name: str) -> set[str]:
    try:
        found = socket.getaddrinfo(name, None)
    except OSError:
        return set()
    return {str(address[0]) for *_, address in found}


#: The links of a machine whose engine serves TLS.
TLS_CHECKS: dict[str, _Check] = {
    'server': _server,
    'address': _address,
    'security group': _groups,
    'route to SSH': _ssh_port,
    'login': _login,
    'daemon': _daemon,
    'certificate': _certificate,
    'engine': _engine,
    'DNS': _names,
}
#: The links of a machine that docker reaches through SSH.
SSH_CHECKS: dict[str, _Check] = {
    'server': _server,
    'address': _address,
    'security group': _group_of_ssh,
    'route to SSH': _ssh_port,
    'login': _login,
    'daemon': _daemon,
    'docker over SSH': _engine,
}
