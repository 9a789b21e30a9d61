# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine ssh, scp and mount: the system's programs."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from dockermachine_osc.commands import base, offline
from dockermachine_osc.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockermachine_osc.openssh import Place, Target


def _run(argv: Sequence[str], package: str) -> int:
    """Run a program of the system in our place; give its exit code."""
    program = shutil.which(argv[0])
    if program is None:
        raise InvalidRequest(
            f'This needs the program {argv[0]}, which is not on PATH',
            f'Install it: the package is often named {package}',
        )
    sys.stdout.flush()
    with base.interrupts_left_to_child():
        return subprocess.run([program, *argv[1:]], check=False).returncode


class SshMachine(offline.Offline, base.Command):
    """Log in to a machine, or run a command there

    Runs the ssh of this workstation with the machine's key and pinned host
    key, and ends with the exit code of the remote command. Put -- before
    the command: what stands there is left alone by openstack.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'machine', metavar='<machine>', help='Machine (name)'
        )
        parser.add_argument(
            'command',
            metavar='-- <command>',
            nargs='*',
            help='Command and its arguments',
        )
        parser.add_argument(
            '--login',
            metavar='<user>',
            default='',
            help='User to log in as (default: as at create)',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Run ssh."""
        from dockermachine_osc import openssh

        target = self.local_machine(parsed_args.machine).ssh_target
        argv = openssh.ssh(target, parsed_args.command, parsed_args.login)
        return _run(argv, 'openssh-client')


class ScpMachine(offline.Offline, base.Command):
    """Copy files to, from, or between machines

    Runs the scp of this workstation. A place on a machine is
    <machine>:<path> or <user>@<machine>:<path>, relative to the home folder
    there; anything else is a local path.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument('source', metavar='<source>', help='From where')
        parser.add_argument(
            'destination', metavar='<destination>', help='To where'
        )
        parser.add_argument(
            '-r',
            '--recursive',
            action='store_true',
            help='Copy folders with all that is in them',
        )
        parser.add_argument(
            '--delta',
            action='store_true',
            help='Send only what differs; needs rsync on both sides',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Run scp, or rsync."""
        from dockermachine_osc import openssh

        operands = (parsed_args.source, parsed_args.destination)
        places = [openssh.place(o) for o in operands]
        copy = openssh.rsync if parsed_args.delta else openssh.scp
        argv = copy(
            places,
            [self._target(p) for p in places],
            recursive=parsed_args.recursive,
            quiet=self.app.options.verbose_level == 0,
        )
        return _run(argv, 'rsync' if parsed_args.delta else 'openssh-client')

    def _target(self, place: Place) -> Target | None:
        if not place.machine:
            return None
        return self.local_machine(place.machine).ssh_target


class MountMachine(offline.Offline, base.Command):
    """Mount a folder of a machine here, with sshfs"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'source',
            metavar='<machine>:<path>',
            help='Folder of the machine; with --unmount, the mount point',
        )
        parser.add_argument(
            'mountpoint',
            metavar='<mountpoint>',
            nargs='?',
            help='Folder here (default: the same path)',
        )
        parser.add_argument(
            '--unmount', action='store_true', help='Unmount it again'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Run sshfs, or fusermount."""
        from dockermachine_osc import openssh

        there = openssh.place(parsed_args.source)
        mountpoint = parsed_args.mountpoint or there.path
        if parsed_args.unmount:
            return _run(['fusermount', '-u', '--', mountpoint], 'fuse')
        if not there.machine:
            raise InvalidRequest(
                f"'{parsed_args.source}' names no machine",
                'Give <machine>:<path>',
            )
        target = self.local_machine(there.machine).ssh_target
        return _run(openssh.sshfs(target, there, mountpoint), 'sshfs')
