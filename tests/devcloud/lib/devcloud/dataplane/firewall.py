# SPDX-License-Identifier: Apache-2.0
"""Getting past a firewall that this machine already has.

A packet must be accepted by every base chain of its hook.  Docker and ufw set
the policy of theirs to drop, and firewalld rejects at the end, so guests
would reach nobody on a developer's machine.  Rules that accept this cloud's
ports, and carry its name, go to the head of such chains; what guests may do
is still for the cloud's own table to say.

Only what nftables shows is seen: not the rules of iptables-legacy.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator

from devcloud.guest import names, process

FAMILIES = ('ip', 'ip6', 'inet')
OWN_PREFIX = 'devcloud_'
# Of each hook, what the cloud's ports are there.
FIELDS = {'forward': ('iifname', 'oifname'), 'input': ('iifname',)}

Chain = dict[str, typing.Any]


def admit(table: str) -> None:
    """Let this cloud's ports pass, wherever others would not.

    :param table: the name of the cloud's own table, which marks the rules
    :raises GuestError: when nft fails
    """
    for chain in _strict_chains():
        present = {text for _, text in _own_rules(chain, table)}
        for field in FIELDS[chain['hook']]:
            if field not in present:
                process.run(
                    'nft',
                    'insert',
                    'rule',
                    *_words(chain),
                    field,
                    f'"{names.all_taps()}"',
                    'accept',
                    'comment',
                    f'"{table} {field}"',
                )


def withdraw(table: str) -> None:
    """Remove this cloud's rules from others' chains.

    :raises GuestError: when nft fails
    """
    for chain in _chains():
        for handle, _ in _own_rules(chain, table):
            process.run(
                'nft', 'delete', 'rule', *_words(chain), 'handle', handle
            )


def _words(chain: Chain) -> tuple[str, str, str]:
    return chain['family'], chain['table'], chain['name']


def _list(*what: str) -> list[dict[str, Chain]]:
    found = json.loads(process.run('nft', '-j', '-a', 'list', *what).stdout)
    return typing.cast('list[dict[str, Chain]]', found['nftables'])


def _chains() -> Iterator[Chain]:
    """Others' base chains at the hooks that matter."""
    for item in _list('chains'):
        chain = item.get('chain', {})
        if (
            chain.get('hook') in FIELDS
            and chain['type'] == 'filter'
            and chain['family'] in FAMILIES
            and not chain['table'].startswith(OWN_PREFIX)
        ):
            yield chain


def _strict_chains() -> Iterator[Chain]:
    for chain in _chains():
        if chain.get('policy') == 'drop' or chain['table'] == 'firewalld':
            yield chain


def _own_rules(chain: Chain, table: str) -> Iterator[tuple[str, str]]:
    """Handle and field of this cloud's rules in a chain."""
    for item in _list('chain', *_words(chain)):
        rule = item.get('rule', {})
        owner, _, field = rule.get('comment', '').partition(' ')
        if owner == table:
            yield str(rule['handle']), field
