# SPDX-License-Identifier: Apache-2.0
"""What a user asks for when a machine is to be made."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dockermachine_osc import errors, nics
from dockermachine_osc.engine.options import NO_OPTIONS, EngineOptions, flag
from dockermachine_osc.record import VALUE_LIMIT
from dockermachine_osc.store import check_name

#: Where an engine can come from, beside the URL of an install script.
ENGINE_SOURCES = ('auto', 'image', 'distribution', 'docker', 'none')
#: How Docker clients can reach an engine.
ACCESSES = ('tls', 'ssh')
DEFAULT_ENGINE_PORT = 2376
_HOST_NAME = re.compile(r'(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*')
_USER = re.compile(r'[a-z_][a-z0-9_-]{0,31}')
_VERSION = re.compile(r'[A-Za-z0-9][A-Za-z0-9.:~+-]{0,63}')
_OUR_PREFIX = 'docker-machine'


@dataclasses.dataclass(frozen=True)
class CreateRequest:
    """The options of ``create``; '' and None mean: decide it for me.

    Resources are given by name or id, ports as TCP port numbers, networks
    that may connect as CIDR, volumes in GiB, ``timeout`` in seconds.
    ``ip_version``, 4 or 6, is that of the machine's address.
    """

    name: str
    image: str = ''
    flavor: str = ''
    nics: tuple[nics.Nic, ...] = ()
    ip_version: int | None = None
    security_groups: tuple[str, ...] = ()
    external_network: str = ''
    floating_ip: str = ''
    no_floating_ip: bool = False
    key_name: str = ''
    availability_zone: str = ''
    server_group: str = ''
    hints: Mapping[str, Sequence[str]] = dataclasses.field(
        default_factory=dict
    )
    boot_from_volume: int = 0
    volume_type: str = ''
    data_volume: int = 0
    user_data: bytes | None = None
    config_drive: bool | None = None
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tags: tuple[str, ...] = ()
    ssh_user: str = ''
    ssh_key: Path | None = None
    ssh_port: int = 22
    access: str = 'tls'
    engine_port: int = DEFAULT_ENGINE_PORT
    engine_source: str = 'auto'
    engine_version: str = ''
    engine_options: EngineOptions = NO_OPTIONS
    post_script: bytes = b''
    allow_cidrs: tuple[str, ...] = ()
    tls_sans: tuple[str, ...] = ()
    timeout: float = 600
    context: bool = True
    keep_on_failure: bool = False

    @property
    def only_own_ports(self) -> bool:
        """Whether no port is to be made, as the user brings them all."""
        return bool(self.nics) and all(nic.port for nic in self.nics)

    @property
    def volume_sizes(self) -> tuple[int, ...]:
        """The sizes, in GiB, of the volumes that are to be made."""
        asked = (self.boot_from_volume, self.data_volume)
        return tuple(filter(None, asked))

    @property
    def open_ports(self) -> tuple[int, ...]:
        """The TCP ports that have to be open."""
        engine = (self.engine_port,) if self.access == 'tls' else ()
        return (self.ssh_port, *engine)

    def check(self) -> None:
        """Raise InvalidRequest for what is wrong without asking the cloud."""
        check_name(self.name)
        self._check_network()
        self._check_metadata()
        self._check_access()
        self._check_placement()
        check_engine(self.engine_source, self.engine_version)
        check_pems(self.engine_options.registry_cas)

    def _check_network(self) -> None:
        if self.no_floating_ip and (self.floating_ip or self.external_network):
            raise errors.InvalidRequest(
                '--no-floating-ip contradicts --floating-ip and '
                '--external-network'
            )
        if self.ip_version == 6 and (
            self.floating_ip or self.external_network
        ):
            raise errors.InvalidRequest(
                '--ip-version 6 contradicts --floating-ip and '
                '--external-network: floating IPs are IPv4'
            )
        if self.security_groups and self.allow_cidrs:
            raise errors.InvalidRequest(
                '--security-group excludes --allow-cidr: the groups given '
                'are used as they are'
            )
        nics.check(self.nics)
        if self.only_own_ports and (self.security_groups or self.allow_cidrs):
            raise errors.InvalidRequest(
                '--security-group and --allow-cidr have no effect on ports '
                'that exist already',
                "Change the ports' own security groups, or their rules",
            )
        for cidr in self.allow_cidrs:
            check_cidr(cidr)
        if self.floating_ip:
            check_floating_ip(self.floating_ip)

    def _check_metadata(self) -> None:
        for key, value in self.properties.items():
            if key.startswith(_OUR_PREFIX):
                raise errors.InvalidRequest(
                    f'--property {key}: keys that start with '
                    f"'{_OUR_PREFIX}' are this tool's own"
                )
            if not 0 < len(key) <= 255 or len(value) > 255:
                raise errors.InvalidRequest(
                    f'--property {key[:40]}: keys and values have at most '
                    '255 characters'
                )
        for tag in self.tags:
            if not 0 < len(tag) <= 60 or '/' in tag or ',' in tag:
                raise errors.InvalidRequest(
                    f"--tag '{tag}': a tag has 1 to 60 characters, none of "
                    "them '/' or ','"
                )

    def _check_placement(self) -> None:
        flags = {flag(opt) for opt in self.engine_options.opts}
        if self.data_volume and 'data-root' in flags:
            raise errors.InvalidRequest(
                '--data-volume contradicts --engine-opt data-root: it is for '
                'what stands in /var/lib/docker'
            )
        if self.volume_type and not self.volume_sizes:
            raise errors.InvalidRequest(
                '--volume-type is that of --boot-from-volume and '
                '--data-volume: neither was given'
            )
        if self.server_group and 'group' in self.hints:
            raise errors.InvalidRequest(
                '--hint group and --server-group are the same'
            )

    def _check_access(self) -> None:
        check_access(self)
        if self.access == 'tls' and self.engine_port == self.ssh_port:
            raise errors.InvalidRequest(
                f'--engine-port and --ssh-port are both {self.ssh_port}'
            )
        if self.ssh_user and not _USER.fullmatch(self.ssh_user):
            raise errors.InvalidRequest(
                f"--ssh-user '{self.ssh_user}' is not a Linux user name"
            )
        if self.ssh_key and not self.key_name:
            raise errors.InvalidRequest(
                '--ssh-key is the private half of --key-name, which is '
                'missing',
                'Name the key pair of this key with --key-name; without '
                'both a key is made for this machine alone',
            )
        if self.ssh_key and not self.ssh_key.is_file():
            raise errors.InvalidRequest(
                f'--ssh-key {self.ssh_key}: no such file'
            )
        check_sans(self.tls_sans)


@dataclasses.dataclass(frozen=True)
class AdoptRequest:
    """The options of ``adopt``; '' and None leave it to ssh or to us.

    ``server`` is the name, id or an address of a Nova server.
    """

    server: str
    ssh_user: str = ''
    ssh_key: Path | None = None
    ssh_port: int | None = None
    access: str = 'tls'
    engine_port: int = DEFAULT_ENGINE_PORT
    engine_source: str = 'auto'
    engine_version: str = ''
    engine_options: EngineOptions = NO_OPTIONS
    post_script: bytes = b''
    allow_cidrs: tuple[str, ...] = ()
    tls_sans: tuple[str, ...] = ()
    timeout: float = 600
    context: bool = True

    def check(self) -> None:
        """Raise InvalidRequest for what is wrong without asking anybody."""
        if self.ssh_user.startswith('-') or self.server.startswith('-'):
            raise errors.InvalidRequest(
                "Neither a server nor a user begins with '-'"
            )
        if self.ssh_key and not self.ssh_key.is_file():
            raise errors.InvalidRequest(
                f'--ssh-key {self.ssh_key}: no such file'
            )
        for cidr in self.allow_cidrs:
            check_cidr(cidr)
        check_sans(self.tls_sans)
        check_access(self)
        check_engine(self.engine_source, self.engine_version)
        check_pems(self.engine_options.registry_cas)


def check_access(request: CreateRequest | AdoptRequest) -> None:
    """Raise InvalidRequest for what means nothing to the access."""
    if request.access not in ACCESSES:
        raise errors.InvalidRequest(
            f"--access '{request.access}' is not known",
            f'Choose one of {", ".join(ACCESSES)}',
        )
    if request.access == 'ssh' and (
        request.tls_sans or request.engine_port != DEFAULT_ENGINE_PORT
    ):
        raise errors.InvalidRequest(
            '--access ssh excludes --engine-port and --tls-san: the engine '
            'opens no port and has no certificate'
        )


def check_cidr(cidr: str) -> None:
    """Raise InvalidRequest unless the text is a network."""
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        raise errors.InvalidRequest(
            f'--allow-cidr {cidr}: {error}',
            'Give a network as in 192.0.2.0/24 or 2001:db8::/32, one address '
            'as in 192.0.2.7/32 or 2001:db8::7/128',
        ) from None


def check_floating_ip(address: str) -> None:
    """Raise InvalidRequest unless the text is an IPv4 address."""
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise errors.InvalidRequest(
            f'--floating-ip {address}: not an IPv4 address',
            'List those that are free: openstack floating ip list '
            '--status DOWN',
        ) from None


def check_sans(names: tuple[str, ...]) -> None:
    """Raise InvalidRequest unless all can stand in a certificate.

    They are kept in one metadata item, for the certificate's renewal.
    """
    for name in names:
        check_san(name)
    if len(','.join(names)) > VALUE_LIMIT:
        raise errors.InvalidRequest(
            f'The names of --tls-san have more than {VALUE_LIMIT} characters '
            'together'
        )


def check_san(name: str) -> None:
    """Raise InvalidRequest unless the text can stand in a certificate."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if len(name) > 253 or not _HOST_NAME.fullmatch(name):
            raise errors.InvalidRequest(
                f"--tls-san '{name}' is neither an address nor a host name"
            ) from None


def check_engine(source: str, version: str) -> None:
    """Raise InvalidRequest for an unknown source or a version of no use."""
    is_url = re.fullmatch(r'https?://[!-~]+', source)
    if source not in ENGINE_SOURCES and not is_url:
        raise errors.InvalidRequest(
            f"--engine-source '{source}' is not known",
            f'Choose one of {", ".join(ENGINE_SOURCES)}, or give the URL of '
            'an install script',
        )
    if version and not _VERSION.fullmatch(version):
        raise errors.InvalidRequest(
            f"--engine-version '{version}' is not a version"
        )
    if version and source in ('image', 'none'):
        raise errors.InvalidRequest(
            f'--engine-version has no effect with --engine-source {source}: '
            'nothing is installed'
        )


def check_pems(registry_cas: Mapping[str, bytes]) -> None:
    """Raise InvalidRequest unless the CAs of registries are some."""
    from dockermachine_osc import pki

    for registry, pem in registry_cas.items():
        try:
            pki.check_bundle(pem)
        except errors.InvalidRequest as error:
            raise errors.InvalidRequest(
                f"--registry-ca '{registry}': {error.message}"
            ) from error
