# SPDX-License-Identifier: Apache-2.0
"""A network interface as it is asked for: a network, or a port."""

from __future__ import annotations

import dataclasses
import ipaddress

from dockermachine_osc import errors

#: Nova's limit for the tag of a device (api-ref/compute, networks.tag).
_TAG_LIMIT = 60


@dataclasses.dataclass(frozen=True)
class Nic:
    """One --nic, --network or --port; '' is what was not said.

    Network and port are given by name or id. Fixed IPs are those that a
    port to be made on the network is to have.
    """

    network: str = ''
    port: str = ''
    v4_fixed_ip: str = ''
    v6_fixed_ip: str = ''
    tag: str = ''

    @property
    def fixed_ips(self) -> tuple[str, ...]:
        """The addresses asked for, as Neutron writes them."""
        given = filter(None, (self.v4_fixed_ip, self.v6_fixed_ip))
        return tuple(str(ipaddress.ip_address(text)) for text in given)

    def check(self) -> None:
        """Raise InvalidRequest for what is wrong without asking the cloud."""
        _check_address('v4-fixed-ip', self.v4_fixed_ip, 4)
        _check_address('v6-fixed-ip', self.v6_fixed_ip, 6)
        if self.port and self.network:
            raise errors.InvalidRequest(
                f'--nic: net-id={self.network} and port-id={self.port} '
                'exclude each other: a port lies on one network'
            )
        if self.port and self.fixed_ips:
            raise errors.InvalidRequest(
                f"--nic: port '{self.port}' has its addresses already",
                'Change them: openstack port set --fixed-ip ...',
            )
        if not self.port and not self.network:
            raise errors.InvalidRequest(
                f'--nic: on which network is {self._rest()} to be?',
                'Say it with net-id=<network>',
            )
        if len(self.tag) > _TAG_LIMIT or '/' in self.tag:
            raise errors.InvalidRequest(
                f"--nic: tag '{self.tag[:_TAG_LIMIT]}': a tag has at most "
                f"{_TAG_LIMIT} characters, none of them '/'"
            )

    def _rest(self) -> str:
        return ', '.join(self.fixed_ips) or 'this interface'


def check(nics: tuple[Nic, ...]) -> None:
    """Raise InvalidRequest unless each stands for itself and once."""
    seen: set[tuple[str, str]] = set()
    for nic in nics:
        nic.check()
        kind = 'port' if nic.port else 'network'
        name = (kind, nic.port or nic.network)
        if name in seen:
            raise twice(*name)
        seen.add(name)


def twice(kind: str, name: str) -> errors.InvalidRequest:
    """Give the error for what is there more than once."""
    why = (
        ''
        if kind == 'port'
        else ': which of two interfaces in one network answers is left to '
        'chance'
    )
    return errors.InvalidRequest(
        f"{kind.title()} '{name}' is given twice{why}"
    )


def _check_address(key: str, text: str, version: int) -> None:
    if not text:
        return
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        found = None
    # A zone as in fe80::1%eth0 is of no use elsewhere.
    if found is None or found.version != version or '%' in text:
        raise errors.InvalidRequest(
            f'--nic: {key}={text} is not an IPv{version} address'
        )
