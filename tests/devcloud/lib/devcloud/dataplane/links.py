# SPDX-License-Identifier: Apache-2.0
"""The networks' devices, the guests' ports, and the rules, in the kernel."""

from __future__ import annotations

import json
import pathlib
import socket
import subprocess
import typing
from collections.abc import Iterator

from devcloud.dataplane import model
from devcloud.guest import errors, names, process

SYSCTL = pathlib.Path('/proc/sys/net')

Link = dict[str, typing.Any]
Devices = frozenset[tuple[int, str]]


def _sysctl(name: str, value: int) -> None:
    (SYSCTL / name).write_text(f'{value}\n')


def enable_forwarding() -> None:
    """For the whole machine; it stays on, others may have wanted it, too."""
    _sysctl('ipv4/ip_forward', 1)


def taps() -> Devices:
    """The ports of running guests; a port that was made anew differs."""
    return frozenset(
        (index, name)
        for index, name in socket.if_nameindex()
        if names.is_tap(name)
    )


def _present() -> dict[str, Link]:
    """This cloud's devices, with their IPv4 addresses."""
    links = json.loads(process.run('ip', '-j', 'addr').stdout)
    found = {}
    for link in links:
        if names.is_bridge(link['ifname']) or names.is_tap(link['ifname']):
            link['addresses'] = {
                f'{a["local"]}/{a["prefixlen"]}'
                for a in link['addr_info']
                if a['family'] == 'inet'
            }
            found[link['ifname']] = link
    return found


def apply(state: model.State) -> None:
    """Make the networks' devices and connect the ports, as wanted.

    :raises GuestError: when the kernel refuses
    :raises OSError: when a device goes meanwhile; the next look knows
    """
    have = _present()
    wanted = {network.bridge: network for network in state.networks}
    for device in have:
        if names.is_bridge(device) and device not in wanted:
            process.run('ip', 'link', 'del', device, check=False)
    for device, network in wanted.items():
        if device not in have:
            _make_bridge(device)
        _configure(device, network, have.get(device, {}))
    for port in state.ports:
        if port.tap in have:
            _connect(port, state, have[port.tap])


def _make_bridge(device: str) -> None:
    """It stands for the network and holds its gateways' addresses.

    To an address that nobody has it leads, too: "no route to host", as on a
    cloud, after the seconds that ARP takes.
    """
    process.run('ip', 'link', 'add', device, 'type', 'bridge')
    _sysctl(f'ipv6/conf/{device}/disable_ipv6', 1)
    process.run('ip', 'link', 'set', device, 'up')


def _configure(device: str, network: model.Network, link: Link) -> None:
    if link.get('mtu') != network.mtu:
        process.run('ip', 'link', 'set', device, 'mtu', str(network.mtu))
    want = {s.gateway_with_prefix for s in network.subnets if s.gateway}
    have = link.get('addresses', set())
    for address in have - want:
        process.run('ip', 'addr', 'del', address, 'dev', device)
    for address in want - have:
        process.run('ip', 'addr', 'add', str(address), 'dev', device)
    for subnet in network.subnets:
        if subnet.gateway is None:
            process.run('ip', 'route', 'replace', subnet.cidr, 'dev', device)


def _connect(port: model.Port, state: model.State, link: Link) -> None:
    """Route to a guest's port, and answer its ARP for everybody else."""
    _sysctl(f'ipv6/conf/{port.tap}/disable_ipv6', 1)
    _sysctl(f'ipv4/conf/{port.tap}/proxy_arp', 1)
    # the kernel would wait up to 0.8 s before it answers for others
    _sysctl(f'ipv4/neigh/{port.tap}/proxy_delay', 0)
    _sysctl(f'ipv4/conf/{port.tap}/send_redirects', 0)
    # ARP asks in the gateway's name, not in that of some other network
    _sysctl(f'ipv4/conf/{port.tap}/arp_announce', 2)
    gateways = {
        f'{gateway}/32' for _, gateway in _routes(port, state) if gateway
    }
    for address in link['addresses'] - gateways:
        process.run('ip', 'addr', 'del', address, 'dev', port.tap)
    for address in gateways - link['addresses']:
        process.run('ip', 'addr', 'add', address, 'dev', port.tap)
    _set_routes(port, state)


def _routes(
    port: model.Port, state: model.State
) -> Iterator[tuple[str, str | None]]:
    """Each address of the port, and the gateway of its subnet."""
    subnets = [
        s for n in state.networks if n.id == port.network_id for s in n.subnets
    ]
    for address in port.addresses:
        yield (
            address,
            next((s.gateway for s in subnets if s.has(address)), None),
        )


def _set_routes(port: model.Port, state: model.State) -> None:
    shown = process.run('ip', '-j', 'route', 'show', 'dev', port.tap).stdout
    have = {route['dst'] for route in json.loads(shown or '[]')}
    want = dict(_routes(port, state))
    for address in have - set(want):
        process.run(
            'ip', 'route', 'del', address, 'dev', port.tap, check=False
        )
    for address, gateway in want.items():
        if address not in have:
            source = ('src', gateway) if gateway else ()
            process.run(
                'ip',
                'route',
                'replace',
                f'{address}/32',
                'dev',
                port.tap,
                *source,
            )


def remove(table: str) -> None:
    """Take down what is this cloud's own."""
    process.run('nft', 'delete', 'table', 'inet', table, check=False)
    for _, device in socket.if_nameindex():
        if names.is_bridge(device):
            process.run('ip', 'link', 'del', device, check=False)


def has_rules(table: str) -> bool:
    """Whether the cloud's table is there."""
    shown = process.run('nft', 'list', 'tables', check=False).stdout
    return f'table inet {table}' in shown.splitlines()


def load_rules(text: str) -> None:
    """Replace the table.

    :raises GuestError: when nft refuses the text
    """
    done = subprocess.run(
        ['nft', '-f', '-'],
        check=False,
        input=text,
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise errors.GuestError(f'nft: {done.stderr.strip()[:2000]}')
