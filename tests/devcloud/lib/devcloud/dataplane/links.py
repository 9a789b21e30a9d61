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
    if has_ipv6():
        _enable_ipv6_forwarding()


def has_ipv6() -> bool:
    """Whether the kernel has IPv6: not with ipv6.disable=1 at its boot."""
    return (SYSCTL / 'ipv6' / 'conf').is_dir()


def _enable_ipv6_forwarding() -> None:
    """Without it costing this machine the routes that routers advertise.

    Who forwards listens to advertisements only with accept_ra=2 (kernel,
    Documentation/networking/ip-sysctl.rst).
    """
    if (SYSCTL / 'ipv6/conf/all/forwarding').read_text().strip() == '1':
        return
    for device in (SYSCTL / 'ipv6/conf').iterdir():
        accept = device / 'accept_ra'
        if device.name != 'all' and accept.read_text().strip() == '1':
            accept.write_text('2\n')
    _sysctl('ipv6/conf/all/forwarding', 1)


def taps() -> Devices:
    """The ports of running guests; a port that was made anew differs."""
    return frozenset(
        (index, name)
        for index, name in socket.if_nameindex()
        if names.is_tap(name)
    )


def _present() -> dict[str, Link]:
    """This cloud's devices, with the addresses that were given to them."""
    links = json.loads(process.run('ip', '-j', 'addr').stdout)
    found = {}
    for link in links:
        if names.is_bridge(link['ifname']) or names.is_tap(link['ifname']):
            link['addresses'] = {
                f'{a["local"]}/{a["prefixlen"]}'
                for a in link['addr_info']
                if a['scope'] == 'global'
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
    _use_ipv6(device, wanted=False)
    process.run('ip', 'link', 'set', device, 'up')


def _configure(device: str, network: model.Network, link: Link) -> None:
    if link.get('mtu') != network.mtu:
        process.run('ip', 'link', 'set', device, 'mtu', str(network.mtu))
    _use_ipv6(device, wanted=network.has_ipv6)
    want = {s.gateway_with_prefix for s in network.subnets if s.gateway}
    have = link.get('addresses', set())
    for address in have - want:
        process.run('ip', 'addr', 'del', address, 'dev', device)
    for address in want - have:
        _add_address(str(address), device)
    for subnet in network.subnets:
        if subnet.gateway is None:
            process.run('ip', 'route', 'replace', subnet.cidr, 'dev', device)


def _use_ipv6(device: str, *, wanted: bool) -> None:
    """Switch IPv6 of a device on or off, whatever the machine's default is.

    Nobody but this machine has its end of a device: its addresses need not
    be tried, and nobody advertises routers there.
    """
    if not has_ipv6():
        return
    conf = f'ipv6/conf/{device}'
    if wanted:
        for name, value in (
            ('accept_dad', 0),
            ('accept_ra', 0),
            ('forwarding', 1),
            ('proxy_ndp', 1),
        ):
            _sysctl(f'{conf}/{name}', value)
        # without the time that it would wait before it answers for others
        _sysctl(f'ipv6/neigh/{device}/proxy_delay', 0)
    _sysctl(f'{conf}/disable_ipv6', int(not wanted))


def _add_address(address: str, device: str) -> None:
    at_once = ('nodad',) if ':' in address else ()
    process.run('ip', 'addr', 'add', address, 'dev', device, *at_once)


def _connect(port: model.Port, state: model.State, link: Link) -> None:
    """Route to a guest's port, and answer for everybody else there."""
    six = any(n.has_ipv6 for n in state.networks if n.id == port.network_id)
    _use_ipv6(port.tap, wanted=six)
    _sysctl(f'ipv4/conf/{port.tap}/proxy_arp', 1)
    # the kernel would wait up to 0.8 s before it answers for others
    _sysctl(f'ipv4/neigh/{port.tap}/proxy_delay', 0)
    _sysctl(f'ipv4/conf/{port.tap}/send_redirects', 0)
    # ARP asks in the gateway's name, not in that of some other network
    _sysctl(f'ipv4/conf/{port.tap}/arp_announce', 2)
    gateways = {
        _alone(gateway) for _, gateway in _routes(port, state) if gateway
    }
    for address in link['addresses'] - gateways:
        process.run('ip', 'addr', 'del', address, 'dev', port.tap)
    for address in gateways - link['addresses']:
        _add_address(address, port.tap)
    for version in (4, 6) if six else (4,):
        _set_routes(port, state, version)
    if six:
        _answer_for(port.tap, state.neighbours(port))


def _alone(address: str) -> str:
    return f'{address}/{128 if ":" in address else 32}'


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


def _set_routes(port: model.Port, state: model.State, version: int) -> None:
    family = f'-{version}'
    shown = process.run(
        'ip', '-j', family, 'route', 'show', 'dev', port.tap
    ).stdout
    # the kernel's own are those of the device's addresses
    have = {
        route['dst']
        for route in json.loads(shown or '[]')
        if route.get('protocol') != 'kernel'
    }
    want = {
        address: gateway
        for address, gateway in _routes(port, state)
        if model.version(address) == version
    }
    for address in have - set(want):
        process.run(
            'ip', family, 'route', 'del', address, 'dev', port.tap, check=False
        )
    for address, gateway in want.items():
        if address not in have:
            source = ('src', gateway) if gateway else ()
            process.run(
                'ip',
                'route',
                'replace',
                _alone(address),
                'dev',
                port.tap,
                *source,
            )


def _answer_for(device: str, addresses: set[str]) -> None:
    """Say that these IPv6 addresses are here; there is no proxy for all."""
    shown = process.run(
        'ip', '-j', '-6', 'neigh', 'show', 'proxy', 'dev', device
    ).stdout
    have = {entry['dst'] for entry in json.loads(shown or '[]')}
    want = {a for a in addresses if model.version(a) == 6}
    for verb, changed in (('del', have - want), ('add', want - have)):
        for address in changed:
            process.run(
                'ip', '-6', 'neigh', verb, 'proxy', address, 'dev', device
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
