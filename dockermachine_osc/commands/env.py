# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine env."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import urllib.parse

from dockermachine_osc.commands import base, offline
from dockermachine_osc.errors import InvalidRequest

_VARIABLES = (
    'DOCKER_TLS_VERIFY',
    'DOCKER_HOST',
    'DOCKER_CERT_PATH',
    'DOCKER_MACHINE_NAME',
)


class ShowEnvironment(offline.Offline, base.Command):
    """Print the commands that point a shell's docker at a machine

    Reads only files of this workstation: it works without a network, for
    the machines that were created here.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        from dockermachine_osc import shells

        parser = super().get_parser(prog_name)
        parser.add_argument(
            'machine', metavar='<machine>', nargs='?', help='Machine (name)'
        )
        parser.add_argument(
            '--shell',
            metavar='<shell>',
            choices=shells.SHELLS,
            help=f'Shell to print for: {", ".join(shells.SHELLS)} (default: '
            'the one that $SHELL names)',
        )
        parser.add_argument(
            '--unset',
            action='store_true',
            help='Print the commands that unset the variables instead',
        )
        parser.add_argument(
            '--no-proxy',
            action='store_true',
            help="Add the machine's address to NO_PROXY",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print the lines."""
        from dockermachine_osc import shells

        if parsed_args.unset and parsed_args.machine:
            raise InvalidRequest('--unset takes no machine')
        if not parsed_args.unset and not parsed_args.machine:
            raise InvalidRequest(
                'Which machine?',
                'See those there are: openstack docker machine list',
            )
        shell = parsed_args.shell or shells.detect(os.environ, _parent())
        variables = (
            self._unset(parsed_args)
            if parsed_args.unset
            else self._set(parsed_args)
        )
        command = shlex.join(['openstack', *sys.argv[1:]])
        sys.stdout.write(shells.render(shell, variables, command))

    def _unset(
        self, parsed_args: argparse.Namespace
    ) -> list[tuple[str, str | None]]:
        variables: list[tuple[str, str | None]] = [
            (name, None) for name in _VARIABLES
        ]
        if parsed_args.no_proxy:
            variables.append(_without_proxy_exception())
        return variables

    def _set(
        self, parsed_args: argparse.Namespace
    ) -> list[tuple[str, str | None]]:
        from dockermachine_osc import shells

        machine = self.chosen_machine(parsed_args.machine)
        url, certificates = machine.endpoint.url, machine.endpoint.cert_path
        values = (
            '1' if certificates else None,
            url,
            str(certificates) if certificates else None,
            machine.name,
        )
        variables: list[tuple[str, str | None]] = list(
            zip(_VARIABLES, values, strict=True)
        )
        if parsed_args.no_proxy:
            host = urllib.parse.urlsplit(url).hostname or ''
            variables.append(shells.no_proxy(os.environ, host))
        return variables


def _parent() -> str:
    """Give the name of the process that runs us; $SHELL may be another."""
    import psutil

    try:
        return str(psutil.Process(os.getppid()).name())
    except psutil.Error:
        return ''


def _without_proxy_exception() -> tuple[str, str | None]:
    """Take the machine that the shell points at out of NO_PROXY.

    What else stands there is the user's and stays.
    """
    from dockermachine_osc import shells

    name, value = shells.no_proxy(os.environ, '')
    host = None
    with contextlib.suppress(ValueError):  # brackets around no IPv6 address
        host = urllib.parse.urlsplit(
            os.environ.get('DOCKER_HOST', '')
        ).hostname
    entries = [e.strip() for e in value.split(',')]
    return name, ','.join(e for e in entries if e and e != host) or None
