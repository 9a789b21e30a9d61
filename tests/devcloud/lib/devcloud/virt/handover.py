# SPDX-License-Identifier: Apache-2.0
"""What a new guest is given of what Nova knows: ports and config drive."""

from __future__ import annotations

import copy
import pathlib
import time
import typing

from nova.api.metadata import base as instance_metadata
from nova.network import model

from devcloud import conf
from devcloud.guest import names

DEVICES = pathlib.Path('/sys/class/net')
BRIDGE_LIMIT_S = 10
DEFAULT_MTU = 1500
# In Nova's network_info these make the config drive say "ask DHCP", or wait
# for a router's advertisement.
DHCP_MARKS = (
    'dhcp_server',
    'enable_dhcp',
    'ipv6_address_mode',
)


class NoBridgeError(Exception):
    """The data plane has not made a network real; the text says which."""


def guest_options(network_info: typing.Any) -> list[str]:
    """The guest command's options for the ports.

    :raises NoBridgeError: when a network is not there
    """
    vifs = list(network_info or ())
    resolvers = [address for vif in vifs for address in _resolvers(vif)]
    return [
        *map(_nic, vifs),
        *(f'--dns={address}' for address in dict.fromkeys(resolvers)),
    ]


def _nic(vif: typing.Any) -> str:
    network = vif['network']
    bridge = DEVICES / names.bridge(network['id'])
    end = time.monotonic() + BRIDGE_LIMIT_S
    # the data plane makes it within a moment of the network
    while not bridge.exists():
        if time.monotonic() > end:
            raise NoBridgeError(
                f'network {network["label"]} is not there after '
                f'{BRIDGE_LIMIT_S} s: it is external, has no subnet, '
                f'or the data plane does not run'
            )
        time.sleep(0.05)
    mtu = network.get_meta('mtu') or DEFAULT_MTU
    return f'--nic=vif={names.tap(vif["id"])},mac={vif["address"]},mtu={mtu}'


def _resolvers(vif: typing.Any) -> list[str]:
    """A subnet's name servers; what DHCP would say where it has none."""
    found: list[str] = []
    for subnet in vif['network']['subnets']:
        found += [dns['address'] for dns in subnet['dns']] or (
            conf.resolvers() if subnet.get_meta('enable_dhcp') else []
        )
    return found


def _static(network_info: typing.Any) -> typing.Any:
    """The same without DHCP and advertisements, which nobody serves here."""
    fixed = model.NetworkInfo(copy.deepcopy(list(network_info or ())))
    for vif in fixed:
        for subnet in vif['network']['subnets']:
            for mark in DHCP_MARKS:
                subnet['meta'].pop(mark, None)
    return fixed


def write_config_drive(
    drive: pathlib.Path,
    instance: typing.Any,
    files: typing.Any,
    admin_password: str | None,
    network_info: typing.Any,
) -> None:
    """What Nova would put on an ISO image, as a folder."""
    metadata = instance_metadata.InstanceMetadata(
        instance,
        content=files,
        network_info=_static(network_info),
        extra_md={'admin_pass': admin_password} if admin_password else {},
    )
    for name, data in metadata.metadata_for_config_drive():
        if name.startswith('openstack/'):
            path = drive / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
