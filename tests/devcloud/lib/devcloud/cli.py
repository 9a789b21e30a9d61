# SPDX-License-Identifier: Apache-2.0
"""The launcher's command line."""

from __future__ import annotations

import argparse
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Sequence

from devcloud import cloud as cloud_module
from devcloud import errors, preflight, report
from devcloud import settings as settings_module
from devcloud.settings import Settings

_DESCRIPTION = """\
A small real OpenStack cloud on this machine, for the demo and the tests.

DEVCLOUD_PORT  first of its five TCP ports (default 19500); each port base is
               a cloud of its own
DEVCLOUD_HOME  where everything is kept (default /var/lib/devcloud)
"""
# What `status` ends with when it is not up, as an init script does.
_NOT_RUNNING = 3
_INTERRUPTED = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='devcloud',
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    up = verbs.add_parser('up', help='start it; installs and seeds it first')
    up.add_argument(
        '--install-packages',
        action='store_true',
        help='install missing packages with apt-get',
    )
    verbs.add_parser('down', help='stop it and its guests, keep the state')
    verbs.add_parser('status', help='what runs; ends with 3 when not up')
    verbs.add_parser('reset', help='back to the seeded state, and up')
    destroy = verbs.add_parser('destroy', help='remove this cloud')
    destroy.add_argument(
        '--all',
        action='store_true',
        dest='everything',
        help='remove what all clouds share, too',
    )
    verbs.add_parser(
        'env', help='print shell commands to use it: eval "$(devcloud env)"'
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 failed, 2 usage, 3 not up (status)."""
    # as Ctrl-C: what was begun is ended
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(_parser().parse_args(arguments))
    except (errors.DevcloudError, settings_module.SettingsError) as error:
        print(f'devcloud: {error}', file=sys.stderr)
    except OSError as error:
        print(f'devcloud: {error}', file=sys.stderr)
    except KeyboardInterrupt:
        print('devcloud: interrupted', file=sys.stderr)
        return _INTERRUPTED
    return 1


def _run(options: argparse.Namespace) -> int:
    settings = settings_module.from_environment()
    preflight.extend_path()
    cloud = cloud_module.Cloud(settings)
    if options.verb == 'env':
        if not settings.clouds_yaml.exists():
            print('devcloud: this cloud was never up', file=sys.stderr)
        print(environment(settings))
        return 0
    if options.verb == 'status':
        return 0 if cloud.status() else _NOT_RUNNING
    preflight.require_root(options.verb)
    if options.verb == 'up':
        _up(cloud, settings, options.install_packages)
    elif options.verb == 'down':
        cloud.down()
    elif options.verb == 'reset':
        cloud.reset()
        print(_next_steps(settings))
    elif options.verb == 'destroy':
        cloud.destroy(options.everything)
    return 0


def _up(cloud: cloud_module.Cloud, settings: Settings, install: bool) -> None:
    if install:
        installed = preflight.install_packages()
        if installed:
            report.say(f'installed {", ".join(installed)}')
    preflight.require_packages()
    settings.home.mkdir(mode=0o755, parents=True, exist_ok=True)
    cloud.up()
    print(_next_steps(settings))


def _launcher(settings: Settings) -> str:
    """How to type the launcher's name, for this cloud."""
    words = []
    if str(settings.home) != settings_module.DEFAULT_HOME:
        words.append(f'DEVCLOUD_HOME={shlex.quote(str(settings.home))}')
    if settings.port != settings_module.DEFAULT_PORT:
        words.append(f'DEVCLOUD_PORT={settings.port}')
    path = pathlib.Path(sys.argv[0]).absolute()
    return ' '.join([*words, shlex.quote(str(path))])


def _next_steps(settings: Settings) -> str:
    launcher = _launcher(settings)
    return f"""
The cloud is up: {settings.urls['keystone']}, {settings.clouds_yaml}
  use it:     eval "$({launcher} env)"
              openstack server list          # as demo; or --os-cloud \
devcloud-alice, -tight, -admin
  reset it:   {launcher} reset
  stop it:    {launcher} down
  remove it:  {launcher} destroy"""


def environment(settings: Settings) -> str:
    """Commands for a POSIX shell that point its clients at the cloud.

    OS_* variables of another cloud would be mixed into what clouds.yaml
    says, so they go.
    """
    folders = [os.environ.get('DEVCLOUD_CLIENT_BIN'), str(settings.bin)]
    path = ':'.join(shlex.quote(folder) for folder in folders if folder)
    others = sorted(
        name
        for name in os.environ
        if name.startswith('OS_')
        and name not in ('OS_CLIENT_CONFIG_FILE', 'OS_CLOUD')
    )
    lines = [f'unset {" ".join(others)}'] if others else []
    lines += [
        f'export DEVCLOUD_HOME={shlex.quote(str(settings.home))}',
        f'export DEVCLOUD_PORT={settings.port}',
        f'export OS_CLIENT_CONFIG_FILE='
        f'{shlex.quote(str(settings.clouds_yaml))}',
        'export OS_CLOUD=devcloud',
        f'export PATH={path}:"$PATH"',
        'export no_proxy="127.0.0.1${no_proxy:+,$no_proxy}"',
    ]
    return '\n'.join(lines)
