# SPDX-License-Identifier: Apache-2.0
"""The rules of nftables that make a state real, as one text.

Where a packet meets what, and why there:

``leaving``   prerouting, before DNAT: a port's egress rules see the address
              that the guest asked for, as at its tap on a cloud
``floating``  prerouting and output: a floating IP becomes the fixed address
``crossing``  forward: which networks talk to which, and what leaves
``source``    postrouting: who asks for a floating IP is seen by the floating
              IP of its own, or by its router's address
``entering``  postrouting, after SNAT: a port's ingress rules see that source

Replies pass.  The packets of the one who opened a connection are judged each
time, so that a connection ends with the rule or the floating IP that allowed
it, without any tool that flushes the kernel's table of connections.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from devcloud.dataplane import model

# Not the outside.  169.254 also has the metadata service of a cloud that
# this machine may itself run on.
PRIVATE = ('10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16',
           '172.16.0.0/12', '192.168.0.0/16')
LINK_LOCAL = '169.254.0.0/16'
OUT_PORTS = (53, 80, 443)
PROTOCOLS = {'1': 'icmp', '6': 'tcp', '17': 'udp'}
ANY_PROTOCOL = (None, 'any', '0')
ANYWHERE = (None, '0.0.0.0/0')
REPLIES = ['ct state related accept',
           'ct state established ct direction reply accept']


@dataclasses.dataclass(frozen=True)
class Policy:
    """What does not come from Neutron."""

    table: str                              # the tables' name
    host_ports: tuple[str, ...] = ()        # of the host, open to guests


def _set(items: Iterable[str]) -> str:
    return '{ ' + ', '.join(items) + ' }'


def _chain(name: str, lines: Iterable[str]) -> list[str]:
    return [f'  chain {name} {{', *(f'    {line}' for line in lines), '  }']


def _hook(kind: str, hook: str, priority: int) -> str:
    return (f'type {kind} hook {hook} priority {priority}; policy accept;')


def _devices(networks: Iterable[model.Network]) -> str:
    return _set(f'"{n.bridge}"' for n in networks)


# ------------------------------------------------------------ security groups
def rule_text(rule: model.Rule, state: model.State) -> str | None:
    """A rule's match; None if it can match nothing."""
    who = 'saddr' if rule.direction == 'ingress' else 'daddr'
    remote = _remote(rule, state)
    if remote is None:
        return None
    words = [f'ip {who} {remote}'] if remote else []
    if rule.protocol not in ANY_PROTOCOL:
        words.append(_protocol(rule))
    return ' '.join([*words, 'return'])


def _remote(rule: model.Rule, state: model.State) -> str | None:
    """The other side as a set; empty for anybody, None for nobody."""
    if rule.remote_group or rule.address_group:
        addresses: Sequence[str] = (
            state.group_addresses(rule.remote_group) if rule.remote_group
            else state.address_groups.get(str(rule.address_group), ()))
        return _set(addresses) if addresses else None
    return '' if rule.prefix in ANYWHERE else str(rule.prefix)


def _protocol(rule: model.Rule) -> str:
    name = str(rule.protocol).lower()
    name = PROTOCOLS.get(name, name)
    if rule.low is not None and name == 'icmp':
        code = f' icmp code {rule.high}' if rule.high is not None else ''
        return f'icmp type {rule.low}{code}'
    if rule.low is not None and name in ('tcp', 'udp', 'sctp', 'dccp',
                                         'udplite'):
        return f'{name} dport {rule.low}-{rule.high}'
    return f'ip protocol {name}'


def _port_chain(port: model.Port, direction: str, state: model.State
                ) -> list[str]:
    if not port.filtered:
        return ['return']
    matches = {rule_text(rule, state) for group in port.groups
               for rule in state.rules.get(group, ())
               if rule.direction == direction}
    return [*sorted(m for m in matches if m), 'drop']


def _group_chains(state: model.State) -> list[str]:
    lines: list[str] = []
    for port in state.ports:
        for prefix, direction in (('i', 'ingress'), ('e', 'egress')):
            lines += _chain(f'{prefix}_{port.id[:8]}',
                            _port_chain(port, direction, state))
    return lines


def _judge(field: str, prefix: str, ports: Sequence[model.Port]) -> list[str]:
    """To each address its port's chain; one that no port owns is denied."""
    chains = [f'{address} : jump {prefix}_{port.id[:8]}'
              for port in ports for address in port.addresses]
    if not chains:
        return ['drop']
    addresses = [address for port in ports for address in port.addresses]
    return [f'ip {field} vmap {_set(chains)}',
            f'ip {field} {_set(addresses)} accept', 'drop']


# --------------------------------------------------------------- the hooks
def _leaving(state: model.State) -> list[str]:
    return [_hook('filter', 'prerouting', -150),
            f'iifname != {_devices(state.tenants)} accept',
            *REPLIES, *_judge('saddr', 'e', state.ports)]


def _entering(state: model.State) -> list[str]:
    return [_hook('filter', 'postrouting', 150),
            f'oifname != {_devices(state.tenants)} accept',
            *REPLIES, *_judge('daddr', 'i', state.ports)]


def _floating(state: model.State) -> list[str]:
    """DNAT for guests whose router leads to the floating IP's network."""
    lines = [_hook('nat', 'prerouting', -100)]
    for external in sorted({f.network_id for f in state.floating_ips}):
        near = state.with_gateway(external)
        pairs = [f'{f.address} : {f.fixed}' for f in state.floating_ips
                 if f.network_id == external]
        if near:
            lines.append(f'iifname {_devices(near)} '
                         f'dnat ip to ip daddr map {_set(pairs)}')
    return lines


def _host_floating(state: model.State) -> list[str]:
    lines = [_hook('nat', 'output', -100)]
    if state.floating_ips:
        pairs = _set(f'{f.address} : {f.fixed}' for f in state.floating_ips)
        lines.append(f'dnat ip to ip daddr map {pairs}')
    return lines


def _source(state: model.State) -> list[str]:
    lines = [_hook('nat', 'postrouting', 100)]
    devices = _devices(state.tenants)
    seen = state.outside_addresses()
    if seen:
        pairs = _set(f'{fixed} : {outside}'
                     for fixed, outside in sorted(seen.items()))
        lines.append(f'oifname {devices} ct status dnat '
                     f'snat ip to ip saddr map {pairs}')
    cidrs = [s.cidr for n in state.with_gateway() for s in n.subnets]
    if cidrs:
        lines.append(f'oifname != {devices} ip saddr {_set(cidrs)} '
                     f'masquerade')
    return lines


def _crossing(state: model.State) -> list[str]:
    devices = _devices(state.tenants)
    lines = [
        _hook('filter', 'forward', 0),
        f'iifname != {devices} oifname != {devices} accept',
        'tcp flags syn tcp option maxseg size set rt mtu',
        *REPLIES]
    pairs = _set(f'"{a}" . "{b}"' for a, b in state.connected())
    floating = [f'{f.address} . {f.fixed}' for f in state.floating_ips]
    near = state.with_gateway()
    if floating and near:
        lines.append(f'iifname {_devices(near)} ct status dnat '
                     f'ct original ip daddr . ip daddr {_set(floating)} '
                     f'accept')
    lines += [f'ct status dnat iifname {devices} oifname {devices} drop',
              f'iifname . oifname {pairs} accept',
              f'oifname {devices} drop', *_way_out(state)]
    return [*lines, f'iifname {devices} reject with icmp host-unreachable']


def _way_out(state: model.State) -> list[str]:
    """Through a router: names, and the web of the outside."""
    behind = state.with_gateway()
    if not behind:
        return []
    # without SNAT only a guest with a floating IP gets answers
    hidden = state.with_gateway(snat=True)
    floating = [f.fixed for f in state.floating_ips]
    allowed = [f'iifname {_devices(hidden)}'] if hidden else []
    if floating:
        allowed.append(f'ip saddr {_set(floating)}')
    lines = []
    for match in allowed:
        lines += [
            f'{match} meta l4proto {{ tcp, udp }} th dport 53 '
            f'ip daddr != {LINK_LOCAL} accept',
            f'{match} ip daddr != {_set(PRIVATE)} '
            f'meta l4proto {{ tcp, udp }} th dport '
            f'{_set(map(str, OUT_PORTS))} accept',
            # the answer to a ping, so that users can look for the outside
            f'{match} ip daddr != {_set(PRIVATE)} icmp type echo-request '
            f'accept']
    return lines


def _to_host(state: model.State, policy: Policy) -> list[str]:
    devices = _devices(state.tenants)
    lines = [_hook('filter', 'input', 0),
             f'iifname != {devices} accept', *REPLIES]
    near = state.with_gateway()
    if near:
        routed = _devices(near)
        lines += [f'iifname {routed} icmp type echo-request accept',
                  f'iifname {routed} meta l4proto {{ tcp, udp }} '
                  f'th dport 53 accept']
        if policy.host_ports:
            lines.append(f'iifname {routed} tcp dport '
                         f'{_set(policy.host_ports)} accept')
    return [*lines, f'iifname {devices} reject with icmp host-unreachable']


def _antispoof(ports: Sequence[model.Port]) -> list[str]:
    """No guest speaks with another's MAC or IP address, or IPv6."""
    lines = [_hook('filter', 'prerouting', 0)]
    guarded = [p for p in ports if p.filtered]
    own = [f'"{port.tap}" . {port.mac} . {address}'
           for port in guarded for address in port.addresses]
    if own:
        lines += [f'iifname . ether saddr . {field} {_set(own)} accept'
                  for field in ('ip saddr', 'arp saddr ip')]
    if guarded:
        taps = _set(f'"{port.tap}"' for port in guarded)
        lines.append(f'iifname {taps} drop')
    return lines


def _table(family: str, name: str, chains: Iterable[str]) -> list[str]:
    # naming it first makes the removal work when it is not there
    head = f'table {family} {name}'
    return [head, f'delete {head}', f'{head} {{', *chains, '}']


def render(state: model.State, policy: Policy) -> str:
    """The text that replaces both tables in one transaction of nft."""
    chains: list[str] = []
    if state.tenants:
        chains = [
            *_group_chains(state),
            *_chain('leaving', _leaving(state)),
            *_chain('floating', _floating(state)),
            *_chain('host_floating', _host_floating(state)),
            *_chain('crossing', _crossing(state)),
            *_chain('source', _source(state)),
            *_chain('entering', _entering(state)),
            *_chain('to_host', _to_host(state, policy))]
    lines = [*_table('inet', policy.table, chains),
             *_table('bridge', policy.table,
                     _chain('antispoof', _antispoof(state.ports)))]
    return '\n'.join(lines) + '\n'
