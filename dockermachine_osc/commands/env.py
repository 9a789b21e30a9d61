# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine env."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from typing import TYPE_CHECKING

from dockermachine_osc.commands import base, offline
from dockermachine_osc.errors import InvalidRequest, StoreFailure

if TYPE_CHECKING:
    from dockermachine_osc.environment import Variables
    from dockermachine_osc.machines import LocalMachine


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
        from dockermachine_osc import environment, shells

        if parsed_args.unset and parsed_args.machine:
            raise InvalidRequest('--unset takes no machine')
        if not parsed_args.unset and not parsed_args.machine:
            raise InvalidRequest(
                'Which machine?',
                'See those there are: openstack docker machine list',
            )
        shell = parsed_args.shell or shells.detect(os.environ, _parent())
        variables = (
            environment.unsetting()
            if parsed_args.unset
            else self._set(parsed_args.machine)
        )
        if parsed_args.no_proxy:
            variables.append(
                environment.proxy_exception(os.environ, variables)
            )
        command = shlex.join(['openstack', *sys.argv[1:]])
        sys.stdout.write(shells.render(shell, variables, command))

    def _set(self, name: str) -> Variables:
        from dockermachine_osc import environment

        machine = self.chosen_machine(name)
        url, certificates = machine.endpoint.url, machine.endpoint.cert_path
        variables = environment.setting(
            machine.name, url, str(certificates) if certificates else None
        )
        if not machine.warning:
            self._keep(machine, variables)
        return list(variables)

    def _keep(self, machine: LocalMachine, variables: Variables) -> None:
        """Write the answer down for docker-machine-osc, if that can be."""
        from dockermachine_osc import answers

        with contextlib.suppress(StoreFailure):
            answers.keep(
                machine.folder.scope,
                machine.name,
                answers.question(os.environ, self.app.options.cloud),
                variables,
                rests_on=[*_files_of(machine), *_config_files()],
                until=machine.warned_from,
            )


def _files_of(machine: LocalMachine) -> list[str]:
    folder = machine.folder.path
    return [str(folder), *sorted(map(str, folder.iterdir()))]


def _config_files() -> list[str]:
    """Give where the cloud may be configured, also what is not there."""
    from openstack.config import loader

    found = [
        os.environ.get('OS_CLIENT_CONFIG_FILE', ''),
        os.environ.get('OS_CLIENT_SECURE_FILE', ''),
        *loader.CONFIG_FILES,
        *loader.SECURE_FILES,
        *loader.VENDOR_FILES,
    ]
    # The folder that it is asked again in counts, not this one.
    here = {os.path.basename(name) for name in found}  # noqa: PTH119
    return [*filter(None, found), *sorted(here)]


def _parent() -> str:
    """Give the name of the process that runs us; $SHELL may be another."""
    import psutil

    try:
        return str(psutil.Process(os.getppid()).name())
    except psutil.Error:
        return ''
