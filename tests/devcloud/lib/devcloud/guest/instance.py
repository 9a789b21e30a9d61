# SPDX-License-Identifier: Apache-2.0
"""What is on disk of a guest: its settings, its run state, its trees."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shutil
import time
import typing

from devcloud import settings
from devcloud.guest import errors, ports, process

NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9-]{0,62}')
TREES = ('upper', 'work', 'root', 'docker', 'containerd', 'seed')


@dataclasses.dataclass(frozen=True)
class Config:
    """What a guest is made of; written once, when it is defined."""

    name: str
    uuid: str
    hostname: str
    base: str  # the directory of the base tree, relative to bases
    nics: list[ports.Nic]
    dns: list[str]
    created: float  # seconds since the epoch

    @classmethod
    def load(cls, name: str) -> Config:
        """:raises GuestError: when there is no such guest, or another
        version of this module has defined it
        """
        try:
            text = directory(name, 'config.json').read_text()
        except FileNotFoundError:
            raise errors.GuestError(
                f'no such instance: {name}', errors.Code.NO_SUCH_INSTANCE
            ) from None
        try:
            fields = json.loads(text)
            fields['nics'] = [ports.Nic(**nic) for nic in fields['nics']]
            return cls(**fields)
        except (KeyError, TypeError, ValueError):
            raise errors.GuestError(
                f'{name} is of another version of the devcloud: '
                f'"destroy {name}" removes it'
            ) from None

    def save(self) -> None:
        write_json(self.name, 'config.json', dataclasses.asdict(self))


def directory(name: str, *parts: str) -> pathlib.Path:
    """A path in the guest's directory.

    :raises GuestError: when it is no name for a guest
    """
    if not NAME.fullmatch(name):
        raise errors.GuestError(
            f"bad instance name {name!r} (letters, digits, '-')",
            errors.Code.USAGE,
        )
    return settings.current().guests.joinpath(name, *parts)


def write_json(name: str, file_name: str, value: typing.Any) -> None:
    """Replace a file whole."""
    fresh = directory(name, f'.{file_name}')
    fresh.write_text(json.dumps(value, indent=1))
    fresh.rename(directory(name, file_name))


def names() -> list[str]:
    """All guests of this cloud."""
    return sorted(
        p.parent.name for p in settings.current().guests.glob('*/config.json')
    )


def run_lock(name: str) -> pathlib.Path:
    """The supervisor holds this lock as long as the guest runs."""
    return directory(name, 'run.lock')


def is_running(name: str) -> bool:
    return process.is_locked(run_lock(name))


def run_state(name: str) -> dict[str, typing.Any]:
    """What the supervisor says: supervisor, leader (pids), boot, boots."""
    try:
        found = json.loads(directory(name, 'run.json').read_text())
    except FileNotFoundError:
        return {}
    return typing.cast('dict[str, typing.Any]', found)


def leader(name: str) -> int:
    """The pid of the running guest's process 1.

    :raises GuestError: when it does not run
    """
    pid = run_state(name).get('leader') if is_running(name) else None
    if not pid:
        raise errors.GuestError(
            f'{name} is not running', errors.Code.WRONG_STATE
        )
    return int(pid)


def define(config: Config, config_drive: pathlib.Path | None) -> None:
    """Write down a new guest.

    :raises GuestError: when another has one of its MAC addresses
    """
    _require_own_macs(config)
    # user data may hold secrets: the directory is root's
    directory(config.name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for tree in TREES:
        directory(config.name, tree).mkdir(exist_ok=True)
    if config_drive:
        shutil.copytree(
            config_drive, directory(config.name, 'seed', 'config_drive')
        )
    etc = directory(config.name, 'upper', 'etc')
    etc.mkdir(exist_ok=True)
    (etc / 'resolv.conf').write_text(
        ''.join(f'nameserver {address}\n' for address in config.dns)
    )
    config.save()


def _require_own_macs(config: Config) -> None:
    own = {nic.mac for nic in config.nics}
    for other in describe_all():
        for nic in other.get('nics', ()):
            if nic['mac'] in own:
                raise errors.GuestError(
                    f'MAC address {nic["mac"]} is that of {other["name"]}',
                    errors.Code.WRONG_STATE,
                )


def remove_files(name: str) -> None:
    """Remove the guest's directory; its overlay may go a moment later."""
    path = directory(name)
    for _ in range(20):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(path)


def describe(name: str) -> dict[str, typing.Any]:
    """What ``show`` and ``list --json`` print.

    :raises GuestError: when there is no such guest
    """
    config = Config.load(name)
    running = is_running(name)
    state = run_state(name)
    booted = state.get('boot')
    return {
        'name': name,
        'state': 'running' if running else 'stopped',
        'uuid': config.uuid,
        'hostname': config.hostname,
        'base': config.base,
        'dir': str(directory(name)),
        'netns': ports.namespace(name),
        'nics': [dataclasses.asdict(nic) for nic in config.nics],
        'leader': state.get('leader') if running else None,
        'boots': state.get('boots', 0),
        'uptime': round(time.time() - booted, 1)
        if running and booted
        else None,
    }


def describe_all() -> list[dict[str, typing.Any]]:
    """All guests; of those of another version just name and state."""
    found = []
    for name in names():
        try:
            found.append(describe(name))
        except errors.GuestError as error:
            # or destroyed meanwhile
            if error.code is not errors.Code.NO_SUCH_INSTANCE:
                found.append(
                    {
                        'name': name,
                        'base': '?',
                        'hostname': '?',
                        'state': 'running' if is_running(name) else 'stopped',
                    }
                )
    return found


def unfinished() -> list[pathlib.Path]:
    """Directories of guests whose definition was interrupted."""
    guests = settings.current().guests
    if not guests.is_dir():
        return []
    return [
        p
        for p in guests.iterdir()
        if p.is_dir() and not (p / 'config.json').exists()
    ]
