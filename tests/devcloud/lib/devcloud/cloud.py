# SPDX-License-Identifier: Apache-2.0
"""What the launcher's verbs do with one cloud."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from devcloud import (
    conf,
    errors,
    files,
    golden,
    guests,
    install,
    preflight,
    probe,
    processes,
    report,
    secret,
)
from devcloud.settings import Settings

# Seconds: for all services to be ready (a first start makes the databases),
# and for a service to end by itself.
_READY_TIMEOUT = 300
_STOP_TIMEOUT = 20


class Cloud:
    """One cloud on this machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._python = install.venv(settings) / 'bin' / 'python'

    # ----------------------------------------------------------------- verbs
    def up(self) -> None:
        """Start it, whatever state an earlier one was left in.

        :raises DevcloudError: in plain words, when it can't
        """
        with self._locked():
            if self._is_up():
                report.say(f'already up: {self._settings.cloud_dir}')
                return
            self._end_processes()
            self._preflight()
            self._sweep()
            with self._taking_down_on_failure():
                self._start_all()

    def down(self) -> None:
        """Stop guests, services and networks; the state stays."""
        with self._locked():
            self._take_down()
            if not golden.exists(self._settings):
                # the rest of a first start that was cut short, if anything
                shutil.rmtree(self._settings.cloud_dir, ignore_errors=True)
            report.say('down')

    def reset(self) -> None:
        """Bring the seeded state back, and the cloud up.

        :raises DevcloudError: when it was never seeded
        """
        with self._locked():
            if not golden.exists(self._settings):
                raise errors.DevcloudError(
                    'nothing to reset: this cloud was never up. Type: '
                    'devcloud up'
                )
            golden.require_same_version(self._settings)
            self._end_processes()
            removed = guests.destroy_all(self._settings)
            self._sweep()
            self._remove_networks()
            golden.restore(self._settings)
            report.say(f'state restored, guests removed: {removed}')
            self._preflight()
            with self._taking_down_on_failure():
                self._start_all()

    def destroy(self, everything: bool) -> None:
        """Remove this cloud; with `everything` what all clouds share, too.

        :raises DevcloudError: when other clouds still use what is shared
        """
        with self._locked():
            if everything:
                self._require_alone()
            self._end_processes()
            guests.destroy_all(self._settings)
            self._sweep()
            self._remove_networks()
            shutil.rmtree(self._settings.cloud_dir, ignore_errors=True)
        if everything:
            self._remove_shared()
        report.say(f'destroyed {self._settings.cloud_dir}')

    def status(self) -> bool:
        """Print a line a process; whether all run and answer."""
        running = processes.of_cloud(self._settings)
        print(f'{"":10} {"state":9} {"pid":>7} {"MB":>5}  port')
        ports = self._settings.ports
        for name in processes.NAMES:
            process = running.get(name)
            port = str(ports.get(name, ''))
            if name == 'nova':
                port += f' (placement {ports["placement"]})'
            state = (
                'down'
                if not process
                else 'up'
                if processes.ready(self._settings, name)
                else 'starting'
            )
            pid, size = (
                (process.pid, process.rss_kb >> 10) if process else ('-', '-')
            )
            print(f'{name:10} {state:9} {pid:>7} {size:>5}  {port}')
        up = self._is_up()
        print(f'cloud {self._settings.cloud_dir}: {"up" if up else "down"}')
        return up

    # ---------------------------------------------------------------- locks
    @property
    def _lock_path(self) -> pathlib.Path:
        """Beside the folder, which `destroy` removes; the lock stays, since
        another launcher may wait for it."""
        return self._settings.cloud_dir.with_suffix('.lock')

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One launcher at a time for a cloud."""
        with files.locked(self._lock_path, report.waiting):
            yield

    # ------------------------------------------------------------- starting
    def _is_up(self) -> bool:
        running = processes.of_cloud(self._settings)
        return (
            all(
                name in running and processes.ready(self._settings, name)
                for name in processes.NAMES
            )
            and golden.exists(self._settings)
            and probe.answers(self._settings)
        )

    def _preflight(self) -> None:
        first = not (
            install.have_venv(self._settings)
            and install.have_bases(self._settings)
        )
        preflight.require_disk(self._settings, first)
        preflight.require_ports(self._settings)
        preflight.require_networks(self._settings)
        if golden.exists(self._settings):
            golden.require_same_version(self._settings)

    def _start_all(self) -> None:
        guests.make_room()
        if not golden.exists(self._settings):
            # the rest of a first start that was cut short
            guests.destroy_all(self._settings)
            shutil.rmtree(self._settings.cloud_dir, ignore_errors=True)
        bases = install.BaseBuild(self._settings)
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                client = pool.submit(install.docker_client, self._settings)
                self._start_services()
                self._seed()
                report.say(client.result())
            for line in bases.wait():
                report.say(f'base tree {line}')
        finally:
            bases.cancel()
        probe.all_services(self._settings)
        report.say('every service answers')

    def _start_services(self) -> None:
        if not install.have_venv(self._settings):
            report.say('installing the services (once on this machine)')
            install.build_venv(self._settings)
            report.say(f'installed: {install.venv(self._settings)}')
        venv = install.venv(self._settings)
        conf.Writer(
            self._settings, venv, secret.make(self._settings)
        ).write_all()
        started = {
            name: processes.start(self._settings, self._python, name)
            for name in processes.NAMES
        }
        self._wait_ready(started)

    def _wait_ready(self, started: dict[str, subprocess.Popen[bytes]]) -> None:
        end = time.monotonic() + _READY_TIMEOUT
        waiting = dict(started)
        while waiting:
            for name, process in list(waiting.items()):
                if processes.ready(self._settings, name):
                    report.say(f'{name} is ready')
                    del waiting[name]
                elif process.poll() is not None:
                    raise processes.failed(
                        self._settings, name, process.returncode
                    )
            if time.monotonic() > end:
                raise errors.DevcloudError(
                    f'{", ".join(waiting)} not ready after '
                    f'{_READY_TIMEOUT} s; see {self._settings.log}'
                )
            time.sleep(0.05)

    def _seed(self) -> None:
        if golden.exists(self._settings):
            return
        self._run_module(self._python, 'devcloud.seed')
        golden.save(self._settings)
        report.say('seeded')

    # ------------------------------------------------------------- stopping
    @contextlib.contextmanager
    def _taking_down_on_failure(self) -> Iterator[None]:
        """Half a cloud is of no use, and holds the ports."""
        try:
            yield
        except BaseException:
            try:
                self._take_down()
            except (errors.DevcloudError, OSError) as error:
                # what went wrong first matters more
                report.say(f'not all was taken down: {error}')
            raise

    def _take_down(self) -> None:
        stopped = guests.stop_all(self._settings)
        if stopped:
            report.say(f'guests shut down: {stopped}')
        self._end_processes()
        self._sweep()
        self._remove_networks()

    def _end_processes(self) -> None:
        running = processes.of_cloud(self._settings)
        if not running:
            return
        killed = processes.stop(running.values(), _STOP_TIMEOUT)
        how = f' ({", ".join(killed)} killed)' if killed else ''
        report.say(f'{len(running)} processes ended{how}')

    def _sweep(self) -> None:
        for line in guests.sweep(self._settings):
            report.say(line)

    def _remove_networks(self) -> None:
        python = pathlib.Path(sys.executable)
        self._run_module(python, 'devcloud.dataplane', '--down')

    def _run_module(self, python: pathlib.Path, *module: str) -> None:
        done = subprocess.run(
            [str(python), '-m', *module],
            check=False,
            text=True,
            env=processes.environment(self._settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise errors.DevcloudError(
                f'{" ".join(module)} ended with {done.returncode}:\n'
                f'{done.stdout[-3000:]}'
            )

    # ------------------------------------------------------------- the rest
    def _require_alone(self) -> None:
        clouds = self._settings.cloud_dir.parent
        others = [
            path.name
            for path in clouds.iterdir()
            if path.is_dir() and path != self._settings.cloud_dir
        ]
        if others:
            raise errors.DevcloudError(
                f'other clouds use what is shared: {", ".join(others)}. '
                + ' '.join(
                    f'Type: DEVCLOUD_PORT={port} devcloud destroy'
                    for port in others
                )
            )

    def _remove_shared(self) -> None:
        """Only what was put there, should DEVCLOUD_HOME have other things."""
        home = self._settings.home
        for path in (
            *home.glob('venv-*'),
            home / 'bases',
            home / 'cache',
            home / 'bin',
            home / 'clouds',
        ):
            shutil.rmtree(path, ignore_errors=True)
        (home / 'venv.lock').unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            home.rmdir()
