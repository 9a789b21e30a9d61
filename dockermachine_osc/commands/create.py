# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine create."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib.cli import parseractions

from dockermachine_osc.commands import (
    arguments,
    base,
    engine_options,
    fields,
    files,
    nics,
    options,
    placement,
)


class CreateMachine(base.ShowOne):
    """Create a machine: a server with a Docker Engine that is ready to use

    What the cloud leaves no choice about need not be said. Everything is
    checked before anything is made; if the machine cannot be finished, all
    that was made for it is removed again. Defaults for a cloud stand under
    docker_machine in clouds.yaml, by the names of these options.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument('name', metavar='<name>', help='Machine name')
        _add_server_options(parser)
        _add_network_options(parser)
        _add_access_options(parser)
        arguments.add_engine_options(parser)
        engine_options.add_options(parser)
        engine_options.add_post_script(parser)
        arguments.add_rule_options(parser)
        _add_own_options(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Create the machine and show it."""
        given = vars(parsed_args)
        config = self.app.client_manager.get_configuration()
        user_data = parsed_args.user_data
        if user_data is not None:
            user_data = files.read('--user-data', user_data)
        request = options.request(
            {**given, 'user_data': user_data},
            config.get('docker_machine'),
        )
        reporter = self.reporter
        try:
            with base.terminable():
                machine = self.machines.create(request, reporter)
        finally:
            reporter.done()
        if machine.context:
            reporter.note(f'ready: docker --context {machine.context} ps')
        return fields.fields(machine)


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--flavor',
        metavar='<flavor>',
        help='Flavor (name or ID; default: the smallest that holds the image '
        'and an engine)',
    )
    parser.add_argument(
        '--image',
        metavar='<image>',
        help='Image (name or ID; default: the newest, if all that can serve '
        'are of one distribution)',
    )
    parser.add_argument(
        '--key-name',
        metavar='<key-name>',
        help='Key pair whose private key is yours: in the agent or in '
        '--ssh-key (default: a key is made for this machine alone)',
    )
    parser.add_argument(
        '--availability-zone',
        metavar='<zone-name>',
        help='Availability zone of the server',
    )
    placement.add_options(parser)
    parser.add_argument(
        '--user-data',
        metavar='<user-data>',
        help='User data file, of any type that cloud-init knows; runs '
        "beside this tool's own",
    )
    drive = parser.add_mutually_exclusive_group()
    drive.add_argument(
        '--config-drive',
        action='store_true',
        default=None,
        help='Attach a config drive',
    )
    drive.add_argument(
        '--no-config-drive',
        action='store_false',
        dest='config_drive',
        default=None,
        help='Do not ask for a config drive (default)',
    )
    parser.add_argument(
        '--property',
        metavar='<key=value>',
        action=parseractions.KeyValueAction,
        dest='properties',
        help='Property to set on the server (repeat for several)',
    )
    parser.add_argument(
        '--tag',
        metavar='<tag>',
        action='append',
        dest='tags',
        help='Tag to set on the server (repeat for several)',
    )


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    nics.add_options(parser)
    parser.add_argument(
        '--security-group',
        metavar='<security-group>',
        action='append',
        dest='security_groups',
        help='Security group to use instead of one made for --allow-cidr '
        '(name or ID; repeat for several)',
    )
    _add_address_options(parser)


def _add_address_options(parser: argparse.ArgumentParser) -> None:
    address = parser.add_mutually_exclusive_group()
    address.add_argument(
        '--floating-ip',
        metavar='<address>',
        help='Floating IP that is allocated already; it stays yours '
        '(default: a new one, where networks have routers)',
    )
    address.add_argument(
        '--no-floating-ip',
        action='store_true',
        default=None,
        help="Use the address in the server's own network",
    )
    parser.add_argument(
        '--ip-version',
        metavar='<4|6>',
        type=options.ip_version,
        help='Version of the address that the machine is reached by '
        '(default: 4 where it has such an address, fixed or floating)',
    )
    parser.add_argument(
        '--external-network',
        metavar='<network>',
        help='External network to take the floating IP from (name or ID)',
    )


def _add_access_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--ssh-user',
        metavar='<user>',
        help='User to log in as (default: the one whom the image gives the '
        'key to)',
    )
    parser.add_argument(
        '--ssh-key',
        metavar='<file>',
        type=options.path,
        help='Private key file of --key-name',
    )
    parser.add_argument(
        '--ssh-port',
        metavar='<port>',
        type=options.port_number,
        help="Port of the image's SSH (default: 22)",
    )


def _add_own_options(parser: argparse.ArgumentParser) -> None:
    arguments.add_common_options(parser)
    parser.add_argument(
        '--keep-on-failure',
        action='store_true',
        default=None,
        help='Keep what was made if the machine cannot be finished, to look '
        'into it',
    )
