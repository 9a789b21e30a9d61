# SPDX-License-Identifier: Apache-2.0
"""The guest command: instances of the devcloud.

Needs root.  Exit codes: 0 done, 1 failed, 2 usage, 3 no such instance,
4 wrong state (exists already, runs already, does not run), 5 timed out.
The cloud is the one that DEVCLOUD_HOME and DEVCLOUD_PORT name.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import shutil
import sys
import time
import typing
import uuid
from collections.abc import Sequence

from devcloud import settings
from devcloud.guest import (
    base,
    cgroups,
    errors,
    instance,
    lifecycle,
    ports,
    recipes,
    supervisor,
)

if typing.TYPE_CHECKING:
    # a class only for annotations: at run time it takes no parameter
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]

TOOLS = {
    'systemd-nspawn': 'systemd-container',
    'mmdebstrap': 'mmdebstrap',
    'nft': 'nftables',
    'ip': 'iproute2',
    'unshare': 'util-linux',
    'setpriv': 'util-linux',
    'nsenter': 'util-linux',
}
NAMESPACES = ('-m', '-u', '-i', '-n', '-p', '-C')
# Colours, cursor movements, and resets of a terminal.
CONTROL = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]|\x1b[78c]|\r')


def build_base(args: argparse.Namespace) -> None:
    for line in base.build_all(
        args.bases or sorted(recipes.RECIPES), force=args.force
    ):
        print(line)


def _nic(text: str) -> ports.Nic:
    try:
        return ports.Nic.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r}: want vif=DEV,mac=M,mtu=N'
        ) from None


def start(args: argparse.Namespace) -> None:
    if args.base:
        config = instance.Config(
            name=args.name,
            uuid=str(args.uuid or uuid.uuid4()),
            hostname=args.hostname or args.name,
            base=base.built(args.base).name,
            nics=args.nic,
            dns=args.dns,
            created=time.time(),
        )
        lifecycle.create(config, args.config_drive)
    else:
        lifecycle.boot(args.name)
    _wait(args)


def _wait(args: argparse.Namespace) -> None:
    if args.wait:
        lifecycle.wait(args.name, 'ssh', args.wait)


def stop(args: argparse.Namespace) -> None:
    if not lifecycle.stop(args.name, args.timeout, force=args.force):
        print(f'{args.name}: killed after {args.timeout:g} s', file=sys.stderr)


def restart(args: argparse.Namespace) -> None:
    lifecycle.restart(args.name, args.timeout, hard=args.hard)
    _wait(args)


def destroy(args: argparse.Namespace) -> None:
    lifecycle.destroy(args.name)


def sweep(_: argparse.Namespace) -> None:
    for name in lifecycle.sweep(stopped=True):
        print(f'removed what was left of {name}')


def console(args: argparse.Namespace) -> None:
    instance.Config.load(args.name)
    path = instance.directory(args.name, 'console.log')
    text = path.read_text(errors='replace') if path.exists() else ''
    if args.plain:
        text = CONTROL.sub('', text)
    if args.lines:
        text = ''.join(text.splitlines(keepends=True)[-args.lines :])
    sys.stdout.write(text)


def wait(args: argparse.Namespace) -> None:
    lifecycle.wait(args.name, args.what, args.timeout)


def show(args: argparse.Namespace) -> None:
    print(json.dumps(instance.describe(args.name), indent=1))


def list_guests(args: argparse.Namespace) -> None:
    rows = instance.describe_all()
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(
            f'{row["name"]:<36} {row["state"]:<8} {row["base"]:<28} '
            f'{row["hostname"]}'
        )


def execute(args: argparse.Namespace) -> None:
    """Run a command in the guest; its exit status is the command's."""
    leader = instance.leader(args.name)
    command = args.command[args.command[:1] == ['--'] :]
    # nsenter would carry the host's capabilities in: 'date -s' in a guest
    # would set the clock of the host
    dropped = ','.join(
        f'-{name.removeprefix("CAP_").lower()}'
        for name in supervisor.DROPPED_CAPABILITIES
    )
    sys.stdout.flush()
    os.execvp(
        'setpriv',
        [
            'setpriv',
            f'--bounding-set={dropped}',
            'nsenter',
            '-t',
            str(leader),
            *NAMESPACES,
            '-r',
            '-w',
            *command,
        ],
    )


def check(_: argparse.Namespace) -> None:
    """:raises GuestError: with all that this machine lacks"""
    lacks = [] if os.geteuid() == 0 else ['root is needed']
    lacks += [
        f'{tool} is missing: apt-get install {package}'
        for tool, package in TOOLS.items()
        if not shutil.which(tool)
    ]
    if not base.KEYRING.exists():
        lacks.append(
            f'{base.KEYRING} is missing: '
            f'apt-get install debian-archive-keyring'
        )
    if 'overlay' not in pathlib.Path('/proc/filesystems').read_text():
        lacks.append('the kernel has no overlay file system')
    if not lacks:
        cgroups.tops()
        return
    raise errors.GuestError(
        'this machine cannot run guests: ' + '; '.join(lacks)
    )


def _supervise(args: argparse.Namespace) -> None:
    supervisor.Supervisor(args.name).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='guest',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar='VERB')
    _add_cloud_verbs(verbs)
    _add_power_verbs(verbs)
    _add_look_verbs(verbs)
    return parser


def _add_cloud_verbs(verbs: Verbs) -> None:
    verb = verbs.add_parser('build-base', help='build base trees')
    verb.set_defaults(run=build_base)
    verb.add_argument(
        'bases',
        nargs='*',
        metavar='BASE',
        help=f'default: {" ".join(sorted(recipes.RECIPES))}',
    )
    verb.add_argument('--force', action='store_true', help='build anew')
    for name, function, text in (
        ('check', check, 'say what this machine lacks'),
        ('sweep', sweep, 'end what a killed cloud has left'),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.set_defaults(run=function)
    verb = verbs.add_parser('list', help='list all guests')
    verb.set_defaults(run=list_guests)
    verb.add_argument('--json', action='store_true')


def _add_power_verbs(verbs: Verbs) -> None:
    verb = verbs.add_parser(
        'start', help='make a guest (with --base), or power it on again'
    )
    verb.set_defaults(run=start)
    verb.add_argument('name')
    verb.add_argument('--base', help='the base tree of a new guest')
    verb.add_argument(
        '--config-drive',
        type=pathlib.Path,
        metavar='DIR',
        help='a tree with openstack/latest/meta_data.json',
    )
    verb.add_argument('--hostname')
    verb.add_argument('--uuid', type=uuid.UUID)
    verb.add_argument(
        '--nic',
        type=_nic,
        action='append',
        default=[],
        metavar='vif=DEV,mac=M,mtu=N',
    )
    verb.add_argument('--dns', action='append', default=[], metavar='ADDRESS')
    _add_wait(verb)
    verb = verbs.add_parser('stop', help='power off')
    verb.set_defaults(run=stop)
    verb.add_argument('name')
    verb.add_argument('--timeout', type=float, default=30, metavar='SECONDS')
    verb.add_argument('--force', action='store_true', help='pull the plug')
    verb = verbs.add_parser('restart', help='reboot')
    verb.set_defaults(run=restart)
    verb.add_argument('name')
    verb.add_argument('--hard', action='store_true', help='power-cycle')
    verb.add_argument('--timeout', type=float, default=30, metavar='SECONDS')
    _add_wait(verb)


def _add_wait(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        '--wait',
        type=float,
        metavar='SECONDS',
        help='until sshd listens, at most so long',
    )


def _add_look_verbs(verbs: Verbs) -> None:
    for name, function, text in (
        ('destroy', destroy, 'end and remove a guest'),
        ('show', show, 'describe a guest as JSON'),
        ('console', console, 'print the console log'),
        ('wait', wait, 'wait for sshd or cloud-init'),
        ('exec', execute, 'run a command in a guest'),
        ('_supervise', _supervise, argparse.SUPPRESS),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.set_defaults(run=function)
        verb.add_argument('name')
        if name == 'console':
            verb.add_argument(
                '--plain',
                action='store_true',
                help='without control characters',
            )
            verb.add_argument('--lines', type=int)
        elif name == 'wait':
            verb.add_argument(
                '--for',
                dest='what',
                default='ssh',
                choices=('ssh', 'cloud-init'),
            )
            verb.add_argument(
                '--timeout', type=float, default=60, metavar='SECONDS'
            )
        elif name == 'exec':
            verb.add_argument('command', nargs=argparse.REMAINDER)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except errors.GuestError as error:
        print(f'guest: {error}', file=sys.stderr)
        return error.code
    except settings.SettingsError as error:
        print(f'guest: {error}', file=sys.stderr)
        return errors.Code.USAGE
    except BrokenPipeError:
        # the reader has had enough; Python's own flush at exit must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return errors.Code.OK
