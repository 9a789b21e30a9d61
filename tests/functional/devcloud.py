# SPDX-License-Identifier: Apache-2.0
"""The devcloud as its administrator sees it: what is there, and inside guests.

The tests look at the cloud past the program under test: through openstacksdk
with the administrator's rights, and by commands run inside the guests.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing
from collections.abc import Callable, Iterator

import openstack
import openstack.config
import openstack.exceptions
from openstack.connection import Connection

HOME = pathlib.Path(os.environ.get('DEVCLOUD_HOME') or '/var/lib/devcloud')
PORT = int(os.environ.get('DEVCLOUD_PORT') or 19500)
FOLDER = HOME / 'clouds' / str(PORT)
CLOUDS_YAML = pathlib.Path(
    os.environ.get('OS_CLIENT_CONFIG_FILE') or FOLDER / 'clouds.yaml'
)
_LIBRARY = pathlib.Path(__file__).resolve().parents[1] / 'devcloud' / 'lib'
_GUEST = (sys.executable, '-m', 'devcloud.guest')

_T = typing.TypeVar('_T')

# Their every request would fill the report of a test that fails.
for _name in ('keystoneauth', 'urllib3', 'openstack', 'stevedore'):
    logging.getLogger(_name).setLevel(logging.WARNING)


@functools.cache
def connect(cloud: str = 'devcloud-admin') -> Connection:
    """Log in, once a process for each name in clouds.yaml."""
    loader = openstack.config.OpenStackConfig(
        config_files=[str(CLOUDS_YAML)], load_envvars=False
    )
    return Connection(
        config=loader.get_one(cloud), app_name='functional-tests'
    )


def project_id(cloud: str) -> str:
    """The id of the project that a cloud's name in clouds.yaml means."""
    return str(connect(cloud).current_project_id)


def wait_for(
    what: str, ask: Callable[[], _T | None], timeout: float = 180
) -> _T:
    """Ask until the answer is true.

    :raises AssertionError: when it is not within `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.1)
    raise AssertionError(f'{what}: not within {timeout:g} s')


# ---------------------------------------------------------------- holdings


def holdings(cloud: str) -> dict[str, set[str]]:
    """Everything that a project holds, by kind: ids and names."""
    admin, project = connect(), project_id(cloud)
    network = admin.network
    return {
        'servers': {
            f'{s.id} {s.name}'
            for s in admin.compute.servers(
                all_projects=True, project_id=project
            )
        },
        'ports': {
            f'{p.id} {p.name} {p.description}'
            for p in network.ports(project_id=project)
        },
        'floating IPs': {
            f'{f.id} {f.floating_ip_address} {f.port_id}'
            for f in network.ips(project_id=project)
        },
        'security groups': {
            f'{g.id} {g.name}'
            for g in network.security_groups(project_id=project)
        },
        'security group rules': {
            str(r.id) for r in network.security_group_rules(project_id=project)
        },
        'networks': {n.id for n in network.networks(project_id=project)},
        'key pairs': {k.name for k in connect(cloud).compute.keypairs()},
        # The catalog names no volume service: there can be none.
        'volumes': set(),
    }


def belongings(cloud: str, name: str) -> list[str]:
    """What a project holds that bears a machine's name."""
    admin, project = connect(), project_id(cloud)
    servers = admin.compute.servers(all_projects=True, project_id=project)
    ports = admin.network.ports(project_id=project)
    addresses = admin.network.ips(project_id=project)
    return [
        *(f'server {s.name}' for s in servers if s.name == name),
        *(f'port {p.name}' for p in ports if _is_of(p.description, name)),
        *(
            f'floating IP {f.floating_ip_address}'
            for f in addresses
            if _is_of(f.description, name)
        ),
    ]


def _is_of(description: str | None, name: str) -> bool:
    words = (description or '').split()
    return words[:1] == ['docker-machine'] and words[-1] == name


def clean(cloud: str, name: str) -> None:
    """Remove whatever bears the name, whichever way a test has ended."""
    connection, project = connect(cloud), project_id(cloud)
    servers = [s for s in connection.compute.servers() if s.name == name]
    for server in servers:
        connection.compute.delete_server(server)
    for server in servers:
        connection.compute.wait_for_delete(server, interval=0.3, wait=180)
    network = connection.network
    for address in list(network.ips(project_id=project)):
        if _is_of(address.description, name):
            network.delete_ip(address)
    for port in list(network.ports(project_id=project)):
        if _is_of(port.description, name):
            network.delete_port(port)
            for group in port.security_group_ids:
                _clean_group(connection, group)


def _clean_group(connection: Connection, group_id: str) -> None:
    """Remove a group of the program's unless another machine is in it."""
    group = connection.network.find_security_group(group_id)
    if group and group.name.startswith('docker-machine-'):
        with contextlib.suppress(openstack.exceptions.ConflictException):
            connection.network.delete_security_group(group)


# ------------------------------------------------------------------ guests


def in_guest(server_id: str, *command: str) -> str:
    """Run a command as root in a guest; returns its stdout.

    :raises AssertionError: when it fails.
    """
    environment = {
        **os.environ,
        'PYTHONPATH': str(_LIBRARY),
        'DEVCLOUD_HOME': str(HOME),
        'DEVCLOUD_PORT': str(PORT),
    }
    done = subprocess.run(
        [*_GUEST, 'exec', server_id, '--', *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise AssertionError(
            f'{command} in {server_id}: {done.returncode}\n'
            f'{done.stdout}{done.stderr}'
        )
    return done.stdout


def journal(server_id: str, unit: str) -> list[str]:
    """The lines of a unit's journal since the guest has booted first."""
    text = in_guest(
        server_id, 'journalctl', '-q', '-o', 'cat', '--no-pager', '-u', unit
    )
    return text.splitlines()


def ssh_logins(server_id: str) -> int:
    """How often somebody has logged in over SSH."""
    return sum(
        line.startswith('Accepted ') for line in journal(server_id, 'ssh')
    )


def engine_starts(server_id: str) -> int:
    """How often the engine has come up."""
    return sum(
        'Started docker.service' in line
        for line in journal(server_id, 'docker.service')
    )


# ------------------------------------------------------------------- locks


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep other processes of the test run off something."""
    path = FOLDER / f'test-{name}.lock'
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# ------------------------------------------------------- the host's programs


def docker_program() -> str:
    """The real docker client: the devcloud's own, else the PATH's."""
    own = HOME / 'bin' / 'docker'
    found = str(own) if own.exists() else shutil.which('docker')
    if not found:
        raise AssertionError('there is no docker client: devcloud up')
    return found
