# SPDX-License-Identifier: Apache-2.0
"""Running the devcloud's launcher, and what its clouds leave behind."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import openstack
import yaml

# Their every request would fill the report of a test that fails.
for _name in ('keystoneauth', 'urllib3', 'openstack', 'stevedore'):
    logging.getLogger(_name).setLevel(logging.WARNING)

LAUNCHER = pathlib.Path(__file__).parents[1] / 'devcloud' / 'devcloud'
HOME = os.environ.get('DEVCLOUD_HOME') or '/var/lib/devcloud'
# Seconds, for one command of the launcher; a first start of the machine
# builds the base trees.
TIMEOUT = 600
# Runs a command as nobody, who may read everything all the same: this
# checkout may be root's own.
AS_NOBODY = (
    'setpriv',
    '--reuid=65534',
    '--clear-groups',
    '--inh-caps=+dac_read_search',
    '--ambient-caps=+dac_read_search',
)


class Failure(Exception):
    """A command that should have worked did not; the text is its output."""


def environment(port: int, home: str = HOME, **extra: str) -> dict[str, str]:
    """For a launcher of the cloud on this port base."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith('OS_')}
    return {
        **kept,
        'DEVCLOUD_HOME': home,
        'DEVCLOUD_PORT': str(port),
        **extra,
    }


def launch(
    port: int,
    *arguments: str,
    home: str = HOME,
    prefix: tuple[str, ...] = (),
    **extra: str,
) -> subprocess.CompletedProcess[str]:
    """Run the launcher to its end, whatever that is."""
    return subprocess.run(
        [*prefix, sys.executable, str(LAUNCHER), *arguments],
        env=environment(port, home, **extra),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def works(port: int, *arguments: str) -> str:
    """Run the launcher; returns what it prints."""
    done = launch(port, *arguments)
    if done.returncode:
        raise Failure(f'{arguments}: {done.stdout}{done.stderr}')
    return done.stdout


def folder(port: int) -> pathlib.Path:
    """Where a cloud keeps its state."""
    return pathlib.Path(HOME, 'clouds', str(port))


def output(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout


def free_base(start: int) -> int:
    """A port base that nobody uses, and no cloud was made for."""
    for port in range(start, start + 1000, 10):
        if folder(port).exists():
            continue
        with contextlib.ExitStack() as stack:
            try:
                for offset in range(5):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(('127.0.0.1', port + offset))
            except OSError:
                continue
        return port
    raise Failure('no free ports')


def processes(port: int) -> dict[int, str]:
    """The processes of a cloud and of its guests, by pid."""
    marks = (
        f'{HOME}/clouds/{port}'.encode(),
        f'devcloud-{port}-'.encode(),  # the network namespace of a guest
        f'/devcloud-{port}/'.encode(),  # its control group
    )
    found = {}
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line = (entry / 'cmdline').read_bytes()
            about = [
                line,
                (entry / 'environ').read_bytes(),
                (entry / 'cgroup').read_bytes(),
            ]
            if line and any(m in text for m in marks for text in about):
                text = line.replace(b'\0', b' ').decode(errors='replace')
                found[int(entry.name)] = text
    return found


def traces(port: int) -> list[str]:
    """What a cloud that is down must not leave on this machine."""
    return [
        *(f'process {line}' for line in processes(port).values()),
        *(
            f'link {line}'
            for line in output('ip', '-br', 'link').splitlines()
            if line.startswith(f'd{port}')
        ),
        *(
            f'namespace {line}'
            for line in output('ip', 'netns').splitlines()
            if line.startswith(f'devcloud-{port}-')
        ),
        *(
            line
            for line in output('nft', 'list', 'tables').splitlines()
            if line.endswith(f'_{port}')
        ),
        *(
            f'mount {line}'
            for line in pathlib.Path('/proc/mounts').read_text().splitlines()
            if f'/clouds/{port}/' in line
        ),
    ]


def kill_everything(port: int) -> None:
    """As the out-of-memory killer on its worst day."""
    for _ in range(3):
        for pid in processes(port):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def connect(port: int, cloud: str) -> Any:
    config = folder(port) / 'clouds.yaml'
    settings = yaml.safe_load(config.read_text())['clouds'][cloud]
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, **settings
    )


def names(items: Any) -> set[str]:
    return {item.name for item in items}


def kill_in_first_start(port: int) -> None:
    """Between the databases and the end of seeding."""
    up = subprocess.Popen(
        [sys.executable, str(LAUNCHER), 'up'],
        env=environment(port),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert up.stdout
    with up:
        for line in up.stdout:
            if 'keystone is ready' in line:
                break
        up.kill()
    kill_everything(port)
