# SPDX-License-Identifier: Apache-2.0
"""--nic, --network and --port, in the grammar of `openstack server create`.

That command's own parser action (openstackclient.compute.v2.server.NICAction)
would load half of python-openstackclient at every call of `openstack`, and
allows one fixed IP an interface, as Nova's API does; here ports are made with
Neutron, which takes one of each family.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

#: The keys of --nic, and the fields of a Nic that they fill.
_FIELDS = {
    'net-id': 'network',
    'port-id': 'port',
    'v4-fixed-ip': 'v4_fixed_ip',
    'v6-fixed-ip': 'v6_fixed_ip',
    'tag': 'tag',
}
_FORM = (
    'net-id=<network>,v4-fixed-ip=<address>,v6-fixed-ip=<address>,tag=<tag> '
    'or port-id=<port>,tag=<tag>'
)
_REFUSED = {
    'none': 'a machine is reached over its network, so it needs one',
    'auto': 'leave --nic out instead: the network is chosen where there is '
    'one choice, and a floating IP comes with it',
}


class NicAction(argparse.Action):
    """Collects interfaces, as dictionaries, in the order they are given.

    :param key: the one key that the option stands for; '' for --nic.
    """

    def __init__(
        self,
        option_strings: list[str],
        dest: str,
        metavar: str,
        help: str,  # the name is argparse's
        key: str = '',
    ) -> None:
        super().__init__(option_strings, dest, metavar=metavar, help=help)
        self._key = key

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add one."""
        text = str(values)
        nic = self._short(text) if self._key else self._long(text)
        before = getattr(namespace, self.dest, None) or []
        setattr(namespace, self.dest, [*before, nic])

    def _short(self, value: str) -> dict[str, str]:
        if not value or ',' in value or '=' in value:
            raise argparse.ArgumentError(
                self, f"'{value}' is no name or id: use --nic for more"
            )
        return {_FIELDS[self._key]: value}

    def _long(self, text: str) -> dict[str, str]:
        if text in _REFUSED:
            raise argparse.ArgumentError(
                self, f"'{text}' is refused: {_REFUSED[text]}"
            )
        found: dict[str, str] = {}
        for part in text.split(','):
            key, _, value = part.partition('=')
            if key not in _FIELDS or not value or _FIELDS[key] in found:
                raise argparse.ArgumentError(
                    self, f"'{text}' is not of the form {_FORM}"
                )
            found[_FIELDS[key]] = value
        return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the three options, which can be mixed."""
    parser.add_argument(
        '--network',
        metavar='<network>',
        dest='nics',
        action=NicAction,
        key='net-id',
        help='Network of the server (name or ID; repeat for several '
        'interfaces; default: the only one with a way out)',
    )
    parser.add_argument(
        '--port',
        metavar='<port>',
        dest='nics',
        action=NicAction,
        key='port-id',
        help='Port that exists already (name or ID; repeat for several); it '
        'stays yours',
    )
    parser.add_argument(
        '--nic',
        metavar='<net-id=net,v4-fixed-ip=addr,v6-fixed-ip=addr,port-id=port>',
        dest='nics',
        action=NicAction,
        help='Network interface on a network, with these addresses if given, '
        'or with a port that exists already (repeat for several; the first '
        'one with a way out has the address of the machine)',
    )
