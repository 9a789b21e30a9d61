# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine active, config, ip, status and url."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, ClassVar

from dockermachine_osc.commands import base, offline
from dockermachine_osc.errors import MachineError, NotFound

if TYPE_CHECKING:
    from dockermachine_osc.machines import Machine


class _OneLine(base.Command):
    """Base of the commands that print one line a machine, in their order."""

    missing: ClassVar[str]

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'machines',
            metavar='<machine>',
            nargs='+',
            help='Machine(s) (name or ID)',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print the lines."""
        for name in parsed_args.machines:
            line = self.line(self.machines.get(name))
            if not line:
                raise NotFound(f"Machine '{name}' has no {self.missing} yet")
            sys.stdout.write(f'{line}\n')

    def line(self, machine: Machine) -> str:
        """Give the line of one machine, '' if there is nothing to say."""
        raise NotImplementedError


class ShowAddress(_OneLine):
    """Print the address of machine(s)"""

    missing = 'address'

    def line(self, machine: Machine) -> str:
        """Give the address."""
        return machine.server.record.address


class ShowUrl(_OneLine):
    """Print the URL of the engine of machine(s), as DOCKER_HOST has it"""

    missing = 'address'

    def line(self, machine: Machine) -> str:
        """Give the URL."""
        return machine.url


class ShowStatus(_OneLine):
    """Print the state of machine(s) in one word"""

    missing = 'state'

    def line(self, machine: Machine) -> str:
        """Give the state."""
        return machine.state


class ShowConfig(offline.Offline, base.Command):
    """Print the options by which a docker command reaches a machine

    Works without a network, for the machines that were created here.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'machine', metavar='<machine>', help='Machine (name)'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print one option a line, as Docker Machine did."""
        from dockermachine_osc import store

        machine = self.chosen_machine(parsed_args.machine)
        files = (
            ('tlscacert', store.CA),
            ('tlscert', store.CERT),
            ('tlskey', store.KEY),
        )
        lines = []
        if folder := machine.endpoint.cert_path:
            # docker itself takes the quotes off: they are for $(...).
            lines += [
                f'--{option}="{folder / file}"' for option, file in files
            ]
            lines.insert(0, '--tlsverify')
        lines.append(f'-H={machine.endpoint.url}')
        sys.stdout.write('\n'.join(lines) + '\n')


class ShowActive(offline.Offline, base.Command):
    """Print the machine that this shell's docker talks to

    Compares DOCKER_HOST with the machines that were created here; asks
    nobody. Ends with exit code 1 if it is none of them.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print its name."""
        wanted = os.environ.get('DOCKER_HOST', '')
        scope = self.local_scope()
        for name in scope.names() if scope and wanted else ():
            if self._url(name) == wanted:
                sys.stdout.write(f'{name}\n')
                return
        raise NotFound(
            'No machine is active: '
            + (f'{wanted} is none here' if wanted else 'DOCKER_HOST is unset'),
            'Make one active: eval "$(openstack docker machine env <name>)"',
        )

    def _url(self, name: str) -> str:
        try:
            return self.local_machine(name).endpoint.url
        except MachineError:
            return ''
