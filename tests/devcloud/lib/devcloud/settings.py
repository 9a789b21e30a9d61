# SPDX-License-Identifier: Apache-2.0
"""Where a devcloud keeps its things and which addresses it uses.

Everything follows from two environment variables: ``DEVCLOUD_HOME`` (what
all clouds of a machine share) and ``DEVCLOUD_PORT`` (which cloud).  Standard
library only: the launcher, the guest command, the data plane and every
service read it.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import os
import pathlib

DEFAULT_HOME = '/var/lib/devcloud'
DEFAULT_PORT = 19500
PORTS_PER_CLOUD = 5
REGION = 'RegionOne'
# The name of the one hypervisor; Nova, Neutron and Placement must agree.
HOST = 'devcloud'


class SettingsError(Exception):
    """An environment variable that makes no sense; the text says why."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """One cloud: its folders, ports, URLs and networks."""

    home: pathlib.Path
    port: int

    @property
    def cloud_dir(self) -> pathlib.Path:
        """All state of this cloud."""
        return self.home / 'clouds' / str(self.port)

    @property
    def etc(self) -> pathlib.Path:
        return self.cloud_dir / 'etc'

    @property
    def db(self) -> pathlib.Path:
        return self.cloud_dir / 'db'

    @property
    def log(self) -> pathlib.Path:
        return self.cloud_dir / 'log'

    @property
    def run(self) -> pathlib.Path:
        """Pid and ready files."""
        return self.cloud_dir / 'run'

    @property
    def golden(self) -> pathlib.Path:
        """The seeded state that ``reset`` brings back."""
        return self.cloud_dir / 'golden'

    @property
    def guests(self) -> pathlib.Path:
        """The guests' disks, consoles and states."""
        return self.cloud_dir / 'guests'

    @property
    def instances(self) -> pathlib.Path:
        """Nova's instances_path."""
        return self.cloud_dir / 'instances'

    @property
    def clouds_yaml(self) -> pathlib.Path:
        return self.cloud_dir / 'clouds.yaml'

    @property
    def bases(self) -> pathlib.Path:
        """The base trees of guests, shared by all clouds."""
        return self.home / 'bases'

    @property
    def bin(self) -> pathlib.Path:
        """Client programs for the host (docker)."""
        return self.home / 'bin'

    def database(self, name: str) -> pathlib.Path:
        """The SQLite file of keystone, glance, neutron, nova_api, ..."""
        return self.db / f'{name}.sqlite'

    # ------------------------------------------------------------- addresses
    @property
    def ports(self) -> dict[str, int]:
        """The TCP port on 127.0.0.1 of each API."""
        names = ('keystone', 'glance', 'placement', 'nova', 'neutron')
        return {name: self.port + i for i, name in enumerate(names)}

    @property
    def urls(self) -> dict[str, str]:
        """The endpoint of each API, as in the catalog."""
        paths = {'keystone': '/v3', 'nova': '/v2.1'}
        return {
            name: f'http://127.0.0.1:{port}{paths.get(name, "")}'
            for name, port in self.ports.items()
        }

    @property
    def external_cidr(self) -> ipaddress.IPv4Network:
        """The external network, where floating IPs come from."""
        return self._network(3, '172.24.4.0/24')

    @property
    def private_cidr(self) -> ipaddress.IPv4Network:
        """demo's routed network."""
        return self._network(0, '10.20.0.0/24')

    @property
    def backend_cidr(self) -> ipaddress.IPv4Network:
        """demo's network that no router serves."""
        return self._network(1, '10.21.0.0/24')

    @property
    def tight_cidr(self) -> ipaddress.IPv4Network:
        """The routed network of the project with tight quotas."""
        return self._network(2, '10.22.0.0/24')

    @property
    def dual_cidr(self) -> ipaddress.IPv4Network:
        """demo's network with IPv4 and IPv6, that no router serves.

        Of 100.64.0.0/10 (RFC 6598): 10.0.0.0/8 has no room for a fifth one.
        """
        first = int(ipaddress.IPv4Address('100.64.0.0'))
        number = self.port // PORTS_PER_CLOUD
        return ipaddress.IPv4Network((first + (number << 8), 24))

    @property
    def dual_ipv6_cidr(self) -> ipaddress.IPv6Network:
        """The same network's IPv6."""
        return self._ipv6_network(1)

    @property
    def ipv6_cidr(self) -> ipaddress.IPv6Network:
        """demo's network with IPv6 only, that no router serves."""
        return self._ipv6_network(2)

    def _ipv6_network(self, index: int) -> ipaddress.IPv6Network:
        """Of a /48 of unique local addresses (RFC 4193) a port base."""
        first = int(ipaddress.IPv6Address('fd64:6576::'))
        number = self.port << 16 | index
        return ipaddress.IPv6Network((first + (number << 64), 64))

    @property
    def networks(
        self,
    ) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """All of them."""
        return (
            self.external_cidr,
            self.private_cidr,
            self.backend_cidr,
            self.tight_cidr,
            self.dual_cidr,
            self.dual_ipv6_cidr,
            self.ipv6_cidr,
        )

    def _network(self, index: int, default: str) -> ipaddress.IPv4Network:
        """Four /24 of 10.0.0.0/8 a port base, no two clouds the same.

        Two clouds are at least PORTS_PER_CLOUD ports apart, so dividing
        gives each a number of its own, at most 13107, and 4 * 13107 networks
        of 24 bits fit into 10.0.0.0/8.
        """
        if self.port == DEFAULT_PORT:
            return ipaddress.IPv4Network(default)
        number = self.port // PORTS_PER_CLOUD * 4 + index
        first = int(ipaddress.IPv4Address('10.0.0.0')) + (number << 8)
        return ipaddress.IPv4Network((first, 24))

    @property
    def nft_table(self) -> str:
        """The name of the data plane's nft tables, and of its bridges."""
        return f'devcloud_{self.port}'

    def environment(self) -> dict[str, str]:
        """What every process of this cloud has in its environment."""
        return {
            'DEVCLOUD_HOME': str(self.home),
            'DEVCLOUD_PORT': str(self.port),
        }


def from_environment() -> Settings:
    """The cloud that the environment names.

    :raises SettingsError: when DEVCLOUD_HOME or DEVCLOUD_PORT is unusable
    """
    home = pathlib.Path(os.environ.get('DEVCLOUD_HOME') or DEFAULT_HOME)
    if not home.is_absolute():
        raise SettingsError(f'DEVCLOUD_HOME={home} is not an absolute path')
    text = os.environ.get('DEVCLOUD_PORT') or str(DEFAULT_PORT)
    if not text.isdecimal() or not (
        1024 <= int(text) <= 65535 - PORTS_PER_CLOUD
    ):
        raise SettingsError(
            f'DEVCLOUD_PORT={text} is not a port between 1024 and '
            f'{65535 - PORTS_PER_CLOUD}'
        )
    return Settings(home, int(text))


@functools.cache
def current() -> Settings:
    """:func:`from_environment`, read once a process."""
    return from_environment()
