# SPDX-License-Identifier: Apache-2.0
"""Docker Machine itself on the same devcloud, if it is on PATH.

It cannot read clouds.yaml, opens no ports, and its user is root by default.
It installs Docker by a script from the Internet, which this cloud does not
have: so it is measured on the image with Docker inside, where it installs
nothing. Its drop-in names /usr/bin/dockerd, which Debian has in /usr/sbin.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import yaml

from tests.benchmarks import machines
from tests.benchmarks import measure as costs
from tests.functional import devcloud

PROGRAM = 'docker-machine'
IMAGE = 'debian-12-docker'
_NETWORK, _POOL, _FLAVOR, _GROUP = 'private', 'public', 'm1.small', 'bench-dm'
_USER_DATA = """\
#cloud-config
bootcmd:
  - ln -sf ../sbin/dockerd /usr/bin/dockerd
"""


class DockerMachine:
    """Docker Machine with a store of its own."""

    def __init__(self, bench: machines.Bench) -> None:
        self._bench = bench
        self._store = bench.home / 'docker-machine'
        self._store.mkdir()
        # Otherwise it sends every failure, with its log, to its makers.
        (self._store / 'no-error-report').touch()
        self._user_data = bench.home / 'user-data'
        self._user_data.write_text(_USER_DATA)
        self._env = {**bench.env, **_credentials()}
        # What it makes once a store is no part of a create.
        self._run('create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', 'ca')
        self._run('rm', '-f', 'ca')

    def turn(self) -> dict[str, Any]:
        """Create, use and remove a machine.

        :raises RunFailed: if any of that fails.
        """
        name = machines.new_name()
        with _opened():
            try:
                made = self._create(name)
                listed = self._run('ls')
                asked = self._run('env', name)
            finally:
                self._remove(name)
        commands = {f'{PROGRAM} ls': listed, f'{PROGRAM} env': asked}
        return {'total': made.wall, 'commands': commands}

    def _create(self, name: str) -> costs.Run:
        options = {
            'image-name': IMAGE,
            'flavor-name': _FLAVOR,
            'net-name': _NETWORK,
            'floatingip-pool': _POOL,
            'sec-groups': _GROUP,
            'ssh-user': 'debian',
            'user-data-file': str(self._user_data),
        }
        words = [f'--openstack-{key}={options[key]}' for key in options]
        return self._run('create', '-d', 'openstack', *words, name)

    def _remove(self, name: str) -> None:
        """Remove it, and the floating IP that it would leave."""
        network = devcloud.connect(machines.CLOUD).network
        compute = devcloud.connect(machines.CLOUD).compute
        servers = [s for s in compute.servers() if s.name == name]
        addresses = [
            address
            for server in servers
            for port in network.ports(device_id=server.id)
            for address in network.ips(port_id=port.id)
        ]
        self._run('rm', '-f', name)
        for server in servers:
            compute.wait_for_delete(server, interval=0.2)
        for address in addresses:
            network.delete_ip(address)

    def _run(self, *words: str) -> costs.Run:
        command = [PROGRAM, '--storage-path', str(self._store), *words]
        return costs.run(command, self._env, self._bench.home)


def absent(image: str) -> str:
    """Say why there are no figures of it on an image."""
    if shutil.which(PROGRAM) is None:
        return f'{PROGRAM}: not on PATH'
    return f'{PROGRAM}: on {IMAGE} only, as {image} needs the Internet'


def find(bench: machines.Bench) -> DockerMachine | None:
    """Give it, if it is on PATH."""
    return DockerMachine(bench) if shutil.which(PROGRAM) else None


def _credentials() -> dict[str, str]:
    """Give the variables that it needs, as it knows no clouds.yaml."""
    document = yaml.safe_load(devcloud.CLOUDS_YAML.read_text())
    auth = document['clouds'][machines.CLOUD]['auth']
    return {
        'OS_AUTH_URL': auth['auth_url'],
        'OS_USERNAME': auth['username'],
        'OS_PASSWORD': auth['password'],
        # By name it would ask Keystone v2.
        'OS_TENANT_ID': devcloud.project_id(machines.CLOUD),
        'OS_DOMAIN_NAME': 'Default',
        'OS_REGION_NAME': document['clouds'][machines.CLOUD]['region_name'],
    }


@contextlib.contextmanager
def _opened() -> Iterator[None]:
    """Have the security group that it leaves to its user."""
    network = devcloud.connect(machines.CLOUD).network
    group = network.create_security_group(name=_GROUP)
    try:
        for port in (22, 2376):
            network.create_security_group_rule(
                security_group_id=group.id,
                direction='ingress',
                protocol='tcp',
                port_range_min=port,
                port_range_max=port,
            )
        yield
    finally:
        network.delete_security_group(group)
