# SPDX-License-Identifier: Apache-2.0
"""A user's workstation: a home folder and the real programs run in it."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import pwd
import signal
import subprocess
import sys
import typing
from collections.abc import Mapping, Sequence

import yaml

from tests.functional import devcloud

# Seconds; far more than anything takes on a machine that is not overloaded.
TIMEOUT = 600
# Settings of whoever runs the tests that would show through.
_FOREIGN = ('OS_', 'DOCKER_', 'XDG_', 'SSH_', 'PYTHON', 'NO_PROXY')


@dataclasses.dataclass(frozen=True)
class Result:
    """What a program came to."""

    command: Sequence[str]
    code: int
    out: str
    err: str

    @property
    def json(self) -> typing.Any:
        """What it printed with -f json."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return (
            f'$ {" ".join(self.command)}\nexit code {self.code}\n'
            f'--- stdout\n{self.out}--- stderr\n{self.err}'
        )


class Workstation:
    """Runs programs with a home folder, and nothing else, of their own.

    :ivar home: the folder.
    :ivar env: the environment of the programs; tests add to it.
    """

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.store = home / 'store'
        self.docker_config = home / '.docker'
        self._prefix: tuple[str, ...] = ()
        path = [
            str(pathlib.Path(devcloud.docker_program()).parent),
            str(pathlib.Path(sys.executable).parent),
            os.environ.get('PATH', os.defpath),
        ]
        self.env = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.upper().startswith(_FOREIGN)
            },
            'PATH': os.pathsep.join(path),
            'HOME': str(home),
            'SHELL': '/bin/sh',
            'DOCKER_CONFIG': str(self.docker_config),
            'DOCKER_MACHINE_OSC_HOME': str(self.store),
            'OS_CLIENT_CONFIG_FILE': str(devcloud.CLOUDS_YAML),
        }

    # ------------------------------------------------------------- programs

    def run(
        self,
        *command: str,
        code: int | None = 0,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b'',
        timeout: float = TIMEOUT,
    ) -> Result:
        """Run a program to its end.

        :param code: the exit code that it must have; None for any.
        :raises AssertionError: when it has another one.
        """
        done = subprocess.run(
            (*self._prefix, *command),
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            cwd=self.home,
            timeout=timeout,
            check=False,
        )
        result = Result(
            command,
            done.returncode,
            done.stdout.decode(errors='replace'),
            done.stderr.decode(errors='replace'),
        )
        if code is not None and result.code != code:
            raise AssertionError(f'want exit code {code}:\n{result}')
        return result

    def openstack(
        self, *arguments: str, cloud: str = 'devcloud', **more: typing.Any
    ) -> Result:
        """Run the real `openstack`."""
        return self.run('openstack', '--os-cloud', cloud, *arguments, **more)

    def machine(
        self, *arguments: str, cloud: str = 'devcloud', **more: typing.Any
    ) -> Result:
        """Run `openstack docker machine`."""
        return self.openstack(
            'docker', 'machine', *arguments, cloud=cloud, **more
        )

    def docker(self, *arguments: str, **more: typing.Any) -> Result:
        """Run the real `docker`."""
        return self.run('docker', *arguments, **more)

    def start(self, *arguments: str, cloud: str = 'devcloud') -> Running:
        """Start `openstack docker machine` and return while it runs."""
        command = ('openstack', '--os-cloud', cloud, 'docker', 'machine')
        return Running((*command, *arguments), self.env, self.home)

    # ---------------------------------------------------------------- files

    def configure_ssh(self, config: str) -> pathlib.Path:
        """Have a ~/.ssh/config of one's own.

        ssh takes the home folder from the system's list of users, not from
        $HOME, so from now on programs see another such list.
        """
        file = self.home / '.ssh' / 'config'
        file.parent.mkdir(mode=0o700)
        file.write_text(config)
        passwd = self.home / 'passwd'
        me = pwd.getpwuid(os.getuid())
        line = f'{me.pw_name}:x:{me.pw_uid}:{me.pw_gid}::{self.home}:/bin/sh\n'
        passwd.write_text(line + pathlib.Path('/etc/passwd').read_text())
        script = 'mount --bind "$0" /etc/passwd && exec "$@"'
        self._prefix = (
            *('unshare', '--mount', 'sh', '-c', script),
            str(passwd),
        )
        return file

    def configure(
        self, cloud: str, password: str = '', **sections: typing.Any
    ) -> None:
        """Have a clouds.yaml of one's own, with these changes to a cloud."""
        document = yaml.safe_load(devcloud.CLOUDS_YAML.read_text())
        document['clouds'][cloud] |= sections
        if password:
            document['clouds'][cloud]['auth']['password'] = password
        path = self.home / 'clouds.yaml'
        path.write_text(yaml.safe_dump(document))
        self.env['OS_CLIENT_CONFIG_FILE'] = str(path)

    def machine_folder(self, name: str) -> pathlib.Path:
        """The folder of a machine's keys.

        :raises AssertionError: when there are none or several.
        """
        found = list(self.store.glob(f'scopes/*/machines/{name}'))
        if len(found) != 1:
            raise AssertionError(f'folders of {name}: {found}')
        return found[0]

    def contexts(self) -> dict[str, str]:
        """The names of docker's contexts and where they lead."""
        lines = self.docker(
            'context', 'ls', '--format', '{{json .}}'
        ).out.splitlines()
        found = [json.loads(line) for line in lines]
        return {c['Name']: c['DockerEndpoint'] for c in found}

    def traces(self, name: str) -> list[str]:
        """What is left of a machine on this workstation."""
        folders = self.store.glob(f'scopes/*/machines/{name}')
        contexts = [
            meta
            for meta in self.docker_config.glob('contexts/meta/*/meta.json')
            if name in json.loads(meta.read_bytes())['Name']
        ]
        return [str(path) for path in (*folders, *contexts)]


class Running:
    """A program that runs in the background."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: pathlib.Path,
    ) -> None:
        self.command = command
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # So does a shell start what it runs in the background, and a
            # child would inherit it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._process = subprocess.Popen(
            command,
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, as a terminal would: to the whole group."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it if it still runs; for cleaning up."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()

    def wait(self, timeout: float = TIMEOUT) -> Result:
        """Wait for its end."""
        out, err = self._process.communicate(timeout=timeout)
        return Result(
            self.command,
            self._process.returncode,
            out.decode(errors='replace'),
            err.decode(errors='replace'),
        )
