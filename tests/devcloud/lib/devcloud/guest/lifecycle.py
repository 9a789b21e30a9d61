# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and removing guests."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import devcloud
from devcloud import settings
from devcloud.guest import (
    cgroups,
    errors,
    instance,
    ports,
    process,
    supervisor,
)

POLL_S = 0.05
START_LIMIT_S = 30.0
DEATH_LIMIT_S = 20.0
TAIL = 800
SSH_PORT = 22
LISTEN = '0A'  # in /proc/net/tcp


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """True as soon as it holds, False when it does not in this time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def create(config: instance.Config, config_drive: pathlib.Path | None) -> None:
    """Define and boot a new guest; one that fails leaves nothing.

    :raises GuestError: when it exists, or cannot be started
    """
    path = instance.directory(config.name)
    with process.locked(settings.current().guests / '.define.lock'):
        if (path / 'config.json').exists():
            raise errors.GuestError(
                f'{config.name} exists: "start {config.name}" alone powers '
                f'it on, "destroy" removes it',
                errors.Code.WRONG_STATE,
            )
        try:
            instance.define(config, config_drive)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
    try:
        boot(config.name)
    except errors.GuestError:
        clean_up(config.name)
        instance.remove_files(config.name)
        raise


def boot(name: str) -> None:
    """Power on; returns when process 1 of the guest runs.

    :raises GuestError: when it runs already or does not start
    """
    instance.Config.load(name)
    if instance.is_running(name):
        raise errors.GuestError(f'{name} is running', errors.Code.WRONG_STATE)
    clean_up(name)  # what a supervisor that was killed has left
    instance.directory(name, 'run.json').unlink(missing_ok=True)
    child = _start_supervisor(name)
    ready = until(
        lambda: (
            child.poll() is not None
            or bool(instance.run_state(name).get('leader'))
        ),
        START_LIMIT_S,
    )
    if ready and child.poll() is None:
        # it goes on by itself; this process is not to wait for it
        child.returncode = 0
        return
    if not ready:
        kill(name)
    raise errors.GuestError(f'{name} did not start: {_start_log(name)}')


def _start_supervisor(name: str) -> subprocess.Popen[bytes]:
    here = settings.current()
    library = pathlib.Path(devcloud.__file__).parents[1]
    environment = {
        'PATH': supervisor.ENVIRONMENT['PATH'],
        'PYTHONPATH': str(library),
        'DEVCLOUD_HOME': str(here.home),
        'DEVCLOUD_PORT': str(here.port),
    }
    with instance.directory(name, 'supervisor.log').open('ab') as log:
        return subprocess.Popen(
            [
                'unshare',
                '--mount',
                '--propagation',
                'slave',
                sys.executable,
                # ignored by Python: it shows whose it is in the process table
                '-X',
                f'devcloud={here.cloud_dir}',
                '-m',
                'devcloud.guest',
                '_supervise',
                name,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd='/',
            start_new_session=True,
            env=environment,
        )


def _start_log(name: str) -> str:
    parts = []
    for log in ('supervisor.log', 'console.log'):
        with contextlib.suppress(FileNotFoundError):
            text = instance.directory(name, log).read_text(errors='replace')
            parts.append(text.strip()[-TAIL:])
    return '\n'.join(part for part in parts if part)


def kill(name: str) -> None:
    """As pulling the plug.

    :raises GuestError: when it survives that
    """
    cgroups.kill(name)
    if not until(lambda: not instance.is_running(name), DEATH_LIMIT_S):
        raise errors.GuestError(f'{name} does not die')


def clean_up(name: str) -> None:
    """End what there still is of a guest: processes, ports, cgroups."""
    if instance.is_running(name):
        kill(name)
    cgroups.kill(name)
    ports.disconnect(name)
    cgroups.remove(name)


def stop(name: str, timeout: float, *, force: bool = False) -> bool:
    """Power off; False when it had to be killed after ``timeout`` seconds.

    :raises GuestError: when there is no such guest, or it does not run
    """
    instance.Config.load(name)
    if not instance.is_running(name):
        raise errors.GuestError(
            f'{name} is not running', errors.Code.WRONG_STATE
        )
    if not force:
        with contextlib.suppress(KeyError, TypeError, ProcessLookupError):
            os.kill(instance.run_state(name)['supervisor'], signal.SIGTERM)
        if until(lambda: not instance.is_running(name), timeout):
            return True
    kill(name)
    return force


def restart(name: str, timeout: float, *, hard: bool = False) -> None:
    """Reboot, by the guest itself or (``hard``) as by the power button.

    :raises GuestError: when it does not run, or stops instead
    """
    leader = instance.leader(name)
    if not hard:
        boots = instance.run_state(name)['boots']
        os.kill(leader, supervisor.REBOOT)
        until(
            lambda: (
                not instance.is_running(name)
                or instance.run_state(name).get('boots', 0) > boots
            ),
            timeout,
        )
        if not instance.is_running(name):
            raise errors.GuestError(f'{name} stopped instead of rebooting')
        if instance.run_state(name).get('boots', 0) > boots:
            return
    # also a guest that will not go down is power-cycled
    kill(name)
    boot(name)


def destroy(name: str) -> None:
    """:raises GuestError: when there is no such guest"""
    if not instance.directory(name).is_dir():
        raise errors.GuestError(
            f'no such instance: {name}', errors.Code.NO_SUCH_INSTANCE
        )
    clean_up(name)
    instance.remove_files(name)


def sweep(*, stopped: bool = False) -> list[str]:
    """End what is left of guests that are not defined; returns their names.

    That is what a cloud whose directory was removed leaves: processes,
    cgroups, namespaces, ports, half a definition.

    :param stopped: also what is left of guests that do not run.  Not for a
        time when something may start them; their start does it, too.
    """
    with process.locked(settings.current().guests / '.define.lock'):
        keep = {
            name
            for name in instance.names()
            if not stopped or instance.is_running(name)
        }
        found = {*cgroups.names(), *ports.guests_with_namespace()} - keep
        for name in found:
            cgroups.kill(name)
            ports.disconnect(name)
            cgroups.remove(name)
        ports.remove_ports(
            {
                nic['vif']
                for row in instance.describe_all()
                for nic in row.get('nics', ())
                if row['name'] in keep
            }
        )
        for path in instance.unfinished():
            found.add(path.name)
            shutil.rmtree(path)
    cgroups.remove_tops()
    return sorted(found)


def wait(name: str, what: str, timeout: float) -> None:
    """Until sshd listens ("ssh") or cloud-init is done ("cloud-init").

    :raises GuestError: when it does not in ``timeout`` seconds, when the
        guest stops meanwhile, when cloud-init ends with errors
    """
    instance.Config.load(name)
    check = _listens if what == 'ssh' else _cloud_init_done

    def ready() -> bool:
        if not instance.is_running(name):
            raise errors.GuestError(
                f'{name} does not run (any more): no {what}'
            )
        leader = instance.run_state(name).get('leader')
        return check(leader) if leader else False

    if not until(ready, timeout):
        raise errors.GuestError(
            f'{name}: no {what} within {timeout:g} s', errors.Code.TIMED_OUT
        )


def _listens(leader: int) -> bool:
    port = f':{SSH_PORT:04X}'
    for table in ('tcp', 'tcp6'):
        with contextlib.suppress(OSError):
            text = pathlib.Path(f'/proc/{leader}/net/{table}').read_text()
            for words in map(str.split, text.splitlines()):
                if words[1].endswith(port) and words[3] == LISTEN:
                    return True
    return False


def _cloud_init_done(leader: int) -> bool:
    # /run is fresh at each boot, so the file is this boot's
    path = pathlib.Path(f'/proc/{leader}/root/run/cloud-init/result.json')
    try:
        failures = json.loads(path.read_text())['v1']['errors']
    except (OSError, ValueError):
        return False
    if failures:
        raise errors.GuestError(f'cloud-init ended with errors: {failures}')
    return True
