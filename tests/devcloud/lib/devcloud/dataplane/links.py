# SPDX-License-Identifier: Apache-2.0
"""The bridges, and the guests' ports on them."""
from __future__ import annotations

import json
import pathlib
import subprocess
import typing

from devcloud.dataplane import model
from devcloud.guest import errors
from devcloud.guest import names
from devcloud.guest import ports
from devcloud.guest import process

SYSCTL = pathlib.Path('/proc/sys/net')

Link = dict[str, typing.Any]


def _sysctl(name: str, value: int) -> None:
    (SYSCTL / name).write_text(f'{value}\n')


def enable_forwarding() -> None:
    """For the whole machine; it stays on, others may have wanted it, too."""
    _sysctl('ipv4/ip_forward', 1)


def _present() -> dict[str, Link]:
    """All devices of this machine, with their IPv4 addresses."""
    found = json.loads(process.run('ip', '-j', '-4', 'addr').stdout)
    links = json.loads(process.run('ip', '-j', 'link').stdout)
    have = {link['ifname']: link for link in links}
    for link in found:
        have[link['ifname']]['addresses'] = {
            f'{a["local"]}/{a["prefixlen"]}' for a in link['addr_info']
            if 'local' in a}
    return have


def apply(state: model.State) -> None:
    """Make the bridges as wanted, and plug ports that are not plugged.

    :raises GuestError: when the kernel refuses
    """
    have = _present()
    wanted = {network.bridge: network for network in state.networks}
    for device in have:
        if names.is_bridge(device) and device not in wanted:
            process.run('ip', 'link', 'del', device, check=False)
    for device, network in wanted.items():
        if device not in have:
            _make_bridge(device, network)
        link = have.get(device, {})
        if link.get('mtu') != network.mtu:
            process.run('ip', 'link', 'set', device, 'mtu', str(network.mtu))
        _address(device, network, link.get('addresses', set()))
    _plug(state, have)


def _make_bridge(device: str, network: model.Network) -> None:
    process.run('ip', 'link', 'add', device, 'type', 'bridge')
    # without one of its own a bridge takes its lowest port's address, and
    # changes it as guests come and go: they would keep a stale gateway
    digits = network.id.replace('-', '')
    mac = ':'.join(['02', 'dc', *(digits[i:i + 2] for i in (0, 2, 4, 6))])
    process.run('ip', 'link', 'set', device, 'address', mac)
    _sysctl(f'ipv6/conf/{device}/disable_ipv6', 1)
    _sysctl(f'ipv4/conf/{device}/send_redirects', 0)
    # its ports are isolated: the host answers for guests to each other
    _sysctl(f'ipv4/conf/{device}/proxy_arp_pvlan', int(not network.external))
    process.run('ip', 'link', 'set', device, 'up')


def _address(device: str, network: model.Network, have: set[str]) -> None:
    """The gateways' addresses; only a route where there is no gateway."""
    want = {s.gateway_with_prefix for s in network.subnets}
    for address in have - want:
        process.run('ip', 'addr', 'del', address, 'dev', device)
    for subnet in network.subnets:
        address = subnet.gateway_with_prefix
        if address is None:
            process.run('ip', 'route', 'replace', subnet.cidr, 'dev', device)
        elif address not in have:
            process.run('ip', 'addr', 'add', address, 'dev', device)


def _plug(state: model.State, have: dict[str, Link]) -> None:
    """Ports of guests that outlived their bridge."""
    bridges = {network.id: network.bridge for network in state.networks}
    for port in state.ports:
        bridge = bridges.get(port.network_id)
        link = have.get(port.tap)
        if bridge and link and link.get('master') != bridge:
            ports.plug(port.tap, bridge)


def remove(table: str) -> None:
    """Take down what is this cloud's own."""
    for family in ('inet', 'bridge'):
        process.run('nft', 'delete', 'table', family, table, check=False)
    for device in json.loads(process.run('ip', '-j', 'link').stdout):
        if names.is_bridge(device['ifname']):
            process.run('ip', 'link', 'del', device['ifname'], check=False)


def load_rules(text: str) -> None:
    """Replace the tables.

    :raises GuestError: when nft refuses the text
    """
    done = subprocess.run(['nft', '-f', '-'], input=text, text=True,
                          capture_output=True)
    if done.returncode:
        raise errors.GuestError(f'nft: {done.stderr.strip()[:2000]}')
