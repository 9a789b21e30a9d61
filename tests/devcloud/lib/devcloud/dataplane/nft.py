# SPDX-License-Identifier: Apache-2.0
"""The rules of nftables that make a state real, as one text.

Where a packet meets what, and why there:

``leaving``   prerouting, before DNAT: no false sender, and a port's egress
              rules, which see the address that the guest asked for
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
import ipaddress
from collections.abc import Iterable, Sequence

from devcloud.dataplane import model
from devcloud.guest import names

# Not the outside.  169.254 also has the metadata service of a cloud that
# this machine may itself run on.
PRIVATE = (
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.168.0.0/16',
)
LINK_LOCAL = '169.254.0.0/16'
OUT_PORTS = (53, 80, 443)
PROTOCOLS = {'1': 'icmp', '6': 'tcp', '17': 'udp'}
# Neutron knows all of these as ICMP of IPv6.
ICMP_OF_IPV6 = ('icmp', '1', 'icmpv6', 'ipv6-icmp', '58')
WITH_PORTS = ('tcp', 'udp', 'sctp', 'dccp', 'udplite')
ANY_PROTOCOL = (None, 'any', '0')
ANYWHERE = (None, '0.0.0.0/0', '::/0')
REPLIES = [
    'ct state related accept',
    'ct state established ct direction reply accept',
]
REJECT = 'reject with icmpx host-unreachable'
# Who has which address (RFC 4861): as ARP is, no affair of security groups.
# What a router has passed on does not have this hop limit.
NEIGHBOURS = (
    'ip6 hoplimit 255 icmpv6 type '
    '{ nd-neighbor-solicit, nd-neighbor-advert } accept'
)
# What is said before one has an address: is it free, is there a router?
UNSPECIFIED = (
    'ip6 saddr :: ip6 hoplimit 255 icmpv6 type '
    '{ nd-neighbor-solicit, nd-router-solicit } return'
)


@dataclasses.dataclass(frozen=True)
class Policy:
    """What does not come from Neutron."""

    table: str  # the table's name
    host_ports: tuple[str, ...] = ()  # of the host, open to guests


def _set(items: Iterable[str]) -> str:
    return '{ ' + ', '.join(items) + ' }'


def _taps(ports: Iterable[model.Port]) -> str:
    return _set(f'"{port.tap}"' for port in ports)


def _chain(name: str, lines: Iterable[str]) -> list[str]:
    return [f'  chain {name} {{', *(f'    {line}' for line in lines), '  }']


def _hook(kind: str, hook: str, priority: int) -> str:
    return f'type {kind} hook {hook} priority {priority}; policy accept;'


# ------------------------------------------------------------ security groups
def rule_text(rule: model.Rule, state: model.State) -> str | None:
    """A rule's match; None if it can match nothing."""
    who = 'saddr' if rule.direction == 'ingress' else 'daddr'
    remote = _remote(rule, state)
    if remote is None:
        return None
    family = 'ip6' if rule.version == 6 else 'ip'
    words = [f'meta nfproto ipv{rule.version}']
    if remote:
        words = [f'{family} {who} {remote}']
    if rule.protocol not in ANY_PROTOCOL:
        words.append(_protocol(rule))
    return ' '.join([*words, 'return'])


def _remote(rule: model.Rule, state: model.State) -> str | None:
    """The other side as a set; empty for anybody, None for nobody."""
    if rule.remote_group:
        addresses = _of(rule, state.group_addresses(rule.remote_group))
        return _set(addresses) if addresses else None
    if rule.address_group:
        members = _of(rule, state.address_groups.get(rule.address_group, ()))
        return _set(_collapsed(rule, members)) if members else None
    return '' if rule.prefix in ANYWHERE else str(rule.prefix)


def _of(rule: model.Rule, addresses: Iterable[str]) -> list[str]:
    """Those of the rule's version of IP."""
    return [a for a in addresses if model.version(a) == rule.version]


def _collapsed(rule: model.Rule, members: Iterable[str]) -> list[str]:
    """The same without prefixes that overlap, which nft refuses."""
    networks = (ipaddress.ip_network(m, strict=False) for m in members)
    if rule.version == 6:
        six = (n for n in networks if isinstance(n, ipaddress.IPv6Network))
        return [str(n) for n in ipaddress.collapse_addresses(six)]
    four = (n for n in networks if isinstance(n, ipaddress.IPv4Network))
    return [str(n) for n in ipaddress.collapse_addresses(four)]


def _protocol(rule: model.Rule) -> str:
    name = str(rule.protocol).lower()
    name = PROTOCOLS.get(name, name)
    if rule.version == 6 and name in ICMP_OF_IPV6:
        name = 'icmpv6'
    if rule.low is not None and name in ('icmp', 'icmpv6'):
        code = f' {name} code {rule.high}' if rule.high is not None else ''
        return f'{name} type {rule.low}{code}'
    if rule.low is not None and name in WITH_PORTS:
        return f'{name} dport {rule.low}-{rule.high}'
    if rule.version == 6:
        # behind whatever extension headers there are
        return f'meta l4proto {name}'
    return f'ip protocol {name}'


def _port_chain(
    port: model.Port, direction: str, state: model.State
) -> list[str]:
    if not port.filtered:
        return ['return']
    matches = {
        rule_text(rule, state)
        for group in port.groups
        for rule in state.rules.get(group, ())
        if rule.direction == direction
    }
    return [*sorted(m for m in matches if m), 'drop']


def _group_chains(state: model.State) -> list[str]:
    lines: list[str] = []
    for port in state.ports:
        for prefix, direction in (('i', 'ingress'), ('e', 'egress')):
            lines += _chain(
                f'{prefix}_{port.id[:8]}', _port_chain(port, direction, state)
            )
    return lines


def _judge(field: str, prefix: str, ports: Sequence[model.Port]) -> list[str]:
    """To each port its chain; one that Neutron does not know is denied."""
    if not ports:
        return ['drop']
    chains = _set(
        f'"{port.tap}" : jump {prefix}_{port.id[:8]}' for port in ports
    )
    return [f'{field} vmap {chains}', f'{field} {_taps(ports)} accept', 'drop']


# ---------------------------------------------------------------- the hooks
def _leaving(state: model.State) -> list[str]:
    return [
        _hook('filter', 'prerouting', -150),
        f'iifname != "{names.all_taps()}" accept',
        'jump own_address',
        NEIGHBOURS,
        *REPLIES,
        *_judge('iifname', 'e', state.ports),
    ]


def _own_address(state: model.State) -> list[str]:
    """No guest speaks with another's MAC or IP address."""
    guarded = [p for p in state.ports if p.filtered]
    lines = []
    for version, family in ((4, 'ip'), (6, 'ip6')):
        own = [
            f'"{port.tap}" . {port.mac} . {address}'
            for port in guarded
            for address in _senders(port, version)
        ]
        if own:
            lines.append(
                f'iifname . ether saddr . {family} saddr {_set(own)} return'
            )
    six = [p for p in guarded if _senders(p, 6)]
    if six:
        lines.append(f'iifname {_taps(six)} {UNSPECIFIED}')
    if guarded:
        lines.append(f'iifname {_taps(guarded)} drop')
    return lines


def _senders(port: model.Port, version: int) -> list[str]:
    """The addresses that a port may speak with.

    Of IPv6 that is also the link-local one that its MAC gives (RFC 4291,
    appendix A), as Neutron's own firewall drivers have it.
    """
    own = [a for a in port.addresses if model.version(a) == version]
    return [*own, port.link_local] if version == 6 and own else own


def _entering(state: model.State) -> list[str]:
    # the connection's own packets name the floating IP that it was made to
    through = 'ct status dnat'
    if state.floating_ips:
        through += (
            f' ct original ip daddr . ip daddr != {_floating_pairs(state)}'
        )
    return [
        _hook('filter', 'postrouting', 150),
        f'oifname != "{names.all_taps()}" accept',
        NEIGHBOURS,
        *REPLIES,
        f'{through} drop',
        *_judge('oifname', 'i', state.ports),
    ]


def _floating_pairs(state: model.State) -> str:
    return _set(f'{f.address} . {f.fixed}' for f in state.floating_ips)


def _floating(state: model.State) -> list[str]:
    """DNAT for guests whose router leads to the floating IP's network."""
    lines = [_hook('nat', 'prerouting', -100)]
    for external in sorted({f.network_id for f in state.floating_ips}):
        near = state.ports_of(state.with_gateway(external))
        pairs = [
            f'{f.address} : {f.fixed}'
            for f in state.floating_ips
            if f.network_id == external
        ]
        if near:
            lines.append(
                f'iifname {_taps(near)} dnat ip to ip daddr map {_set(pairs)}'
            )
    return lines


def _host_floating(state: model.State) -> list[str]:
    lines = [_hook('nat', 'output', -100)]
    if state.floating_ips:
        pairs = _set(f'{f.address} : {f.fixed}' for f in state.floating_ips)
        lines.append(f'dnat ip to ip daddr map {pairs}')
    return lines


def _source(state: model.State) -> list[str]:
    lines = [_hook('nat', 'postrouting', 100)]
    seen = state.outside_addresses()
    if seen:
        pairs = _set(
            f'{fixed} : {outside}' for fixed, outside in sorted(seen.items())
        )
        lines.append(
            f'oifname "{names.all_taps()}" ct status dnat '
            f'snat ip to ip saddr map {pairs}'
        )
    if state.with_gateway():
        # 'crossing' lets out only who has a router.  The port it came in by
        # is named, too: another cloud may have the same addresses
        ours = names.all_taps()
        lines.append(f'iifname "{ours}" oifname != "{ours}" masquerade')
    return lines


def _crossing(state: model.State) -> list[str]:
    ours = names.all_taps()
    ways = [
        f'"{port.tap}" : goto from_{port.network_id[:8]}'
        for port in state.ports
    ]
    return [
        _hook('filter', 'forward', 0),
        f'iifname != "{ours}" oifname != "{ours}" accept',
        'tcp flags syn tcp option maxseg size set rt mtu',
        *REPLIES,
        *([f'iifname vmap {_set(ways)}'] if ways else []),
        # from elsewhere to a guest, or from a port that Neutron knows not
        f'iifname "{ours}" {REJECT}',
        'drop',
    ]


def _network_chains(state: model.State) -> list[str]:
    lines: list[str] = []
    for network in state.tenants:
        lines += _chain(f'from_{network.id[:8]}', _ways(network, state))
    return lines


def _ways(network: model.Network, state: model.State) -> list[str]:
    """Where the guests of a network get to; nowhere else."""
    routed = network in state.with_gateway()
    verdict = 'accept' if routed and state.floating_ips else 'drop'
    # judged at its arrival: 'entering' knows which floating IPs there are
    lines = [f'oifname "{names.all_taps()}" ct status dnat {verdict}']
    near = state.ports_of(state.reachable(network))
    if near:
        lines.append(f'oifname {_taps(near)} accept')
    return [
        *lines,
        f'oifname "{names.all_taps()}" {REJECT}',
        *_way_out(network, state),
        REJECT,
    ]


def _way_out(network: model.Network, state: model.State) -> list[str]:
    """Through a router: names, the web of the outside, and pings."""
    if network not in state.with_gateway():
        return []
    match = ''
    if network not in state.with_gateway(snat=True):
        # only a guest with a floating IP gets answers
        floating = [f.fixed for f in state.floating_ips]
        if not floating:
            return []
        match = f'ip saddr {_set(floating)} '
    outside = f'{match}ip daddr != {_set(PRIVATE)}'
    return [
        f'{match}ip daddr != {LINK_LOCAL} meta l4proto {{ tcp, udp }} '
        f'th dport 53 accept',
        f'{outside} meta l4proto {{ tcp, udp }} th dport '
        f'{_set(map(str, OUT_PORTS))} accept',
        f'{outside} icmp type echo-request accept',
    ]


def _to_host(state: model.State, policy: Policy) -> list[str]:
    ours = names.all_taps()
    lines = [
        _hook('filter', 'input', 0),
        f'iifname != "{ours}" accept',
        NEIGHBOURS,
        *REPLIES,
    ]
    near = state.ports_of(state.with_gateway())
    if near:
        routed = _taps(near)
        lines += [
            f'iifname {routed} icmp type echo-request accept',
            f'iifname {routed} meta l4proto {{ tcp, udp }} th dport 53 accept',
        ]
        if policy.host_ports:
            lines.append(
                f'iifname {routed} tcp dport {_set(policy.host_ports)} accept'
            )
    return [*lines, f'iifname "{ours}" {REJECT}']


def render(state: model.State, policy: Policy) -> str:
    """The text that replaces the table in one transaction of nft."""
    head = f'table inet {policy.table}'
    # naming it first makes the removal work when it is not there
    lines = [
        head,
        f'delete {head}',
        f'{head} {{',
        *_group_chains(state),
        *_network_chains(state),
        *_chain('own_address', _own_address(state)),
        *_chain('leaving', _leaving(state)),
        *_chain('floating', _floating(state)),
        *_chain('host_floating', _host_floating(state)),
        *_chain('crossing', _crossing(state)),
        *_chain('source', _source(state)),
        *_chain('entering', _entering(state)),
        *_chain('to_host', _to_host(state, policy)),
        '}',
    ]
    return '\n'.join(lines) + '\n'
