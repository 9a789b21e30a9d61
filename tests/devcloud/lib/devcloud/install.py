# SPDX-License-Identifier: Apache-2.0
"""What all clouds of a machine share: the services' virtual environment, the
guests' base trees and a Docker client.

Built once under DEVCLOUD_HOME, from the machine's own package sources: pip's
configuration for the one, apt's for the others.
"""

from __future__ import annotations

import ast
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from devcloud import errors, files, processes, report
from devcloud.guest import recipes
from devcloud.settings import Settings

CONSTRAINTS = pathlib.Path(__file__).parents[2] / 'constraints.txt'
_DONE = '.complete'
_SPACE = 'No space left on device'


# ------------------------------------------------- the virtual environment
def venv(settings: Settings) -> pathlib.Path:
    """Where the environment for these releases and this Python is."""
    content = CONSTRAINTS.read_bytes() + repr(sys.version_info[:2]).encode()
    digest = hashlib.sha256(content).hexdigest()[:12]
    return settings.home / f'venv-{digest}'


def have_venv(settings: Settings) -> bool:
    """Whether it is complete."""
    return (venv(settings) / _DONE).exists()


def build_venv(settings: Settings) -> None:
    """Install the services, unless they are.

    :raises DevcloudError: with the end of the installer's output
    """
    if have_venv(settings):
        return
    target = venv(settings)
    with files.locked(settings.home / 'venv.lock', report.waiting):
        if have_venv(settings):
            return
        shutil.rmtree(target, ignore_errors=True)
        _run([sys.executable, '-m', 'venv', str(target)])
        python = str(target / 'bin' / 'python')
        _run([python, '-m', 'pip', 'install', '--quiet', 'uv'])
        options = pip_options(_pip_config(python))
        try:
            _run(
                [
                    str(target / 'bin' / 'uv'),
                    'pip',
                    'install',
                    '--quiet',
                    '--python',
                    python,
                    '-r',
                    str(CONSTRAINTS),
                ],
                uv_environment(settings, options),
            )
        except errors.DevcloudError as error:
            if _SPACE in str(error):
                raise
            report.say('uv could not install the services, trying pip')
            _run(
                [
                    python,
                    '-m',
                    'pip',
                    'install',
                    '--quiet',
                    '--no-compile',
                    '-r',
                    str(CONSTRAINTS),
                ]
            )
        (target / _DONE).touch()


def _run(command: list[str], extra: Mapping[str, str] | None = None) -> str:
    """:raises DevcloudError: when the command fails"""
    environment = {
        key: value for key, value in os.environ.items() if key != 'PYTHONHOME'
    }
    done = subprocess.run(
        command,
        check=False,
        env={**environment, **(extra or {})},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise errors.DevcloudError(
            f'{" ".join(command)} ended with {done.returncode}:\n'
            f'{done.stdout[-2000:]}'
        )
    return done.stdout


def _pip_config(python: str) -> str:
    return _run([python, '-m', 'pip', 'config', 'list'])


def pip_options(listing: str) -> dict[str, str]:
    """pip's options from the output of ``pip config list``.

    The environment beats the command's section, which beats ``[global]``
    (https://pip.pypa.io/en/stable/topics/configuration/).
    """
    found: dict[str, str] = {}
    for section in ('global.', 'install.', ':env:.'):
        for line in listing.splitlines():
            name, equals, value = line.partition('=')
            if equals and name.startswith(section):
                text = str(ast.literal_eval(value))
                found[name.removeprefix(section)] = text
    return found


def uv_environment(
    settings: Settings, pip: Mapping[str, str]
) -> dict[str, str]:
    """The same in uv's variables; uv does not read pip's configuration.

    https://docs.astral.sh/uv/pip/compatibility/ and .../reference/environment
    """
    names = {
        'index-url': 'UV_DEFAULT_INDEX',
        'extra-index-url': 'UV_INDEX',
        'cert': 'SSL_CERT_FILE',
        'trusted-host': 'UV_INSECURE_HOST',
        'timeout': 'UV_HTTP_TIMEOUT',
        'default-timeout': 'UV_HTTP_TIMEOUT',
        'no-index': 'UV_NO_INDEX',
        'proxy': 'ALL_PROXY',
        'client-cert': 'SSL_CLIENT_CERT',
    }
    chosen = {
        names[key]: ' '.join(value.split())
        for key, value in pip.items()
        if key in names
    }
    if 'find-links' in pip:
        # relative to nothing: paths and URLs, apart by commas here
        chosen['UV_FIND_LINKS'] = ','.join(pip['find-links'].split())
    return {
        # pip takes the best version of all indexes
        'UV_INDEX_STRATEGY': 'unsafe-best-match',
        # goes with `destroy --all`, and can be hard-linked from
        'UV_CACHE_DIR': str(settings.home / 'cache'),
        **chosen,
    }


# ---------------------------------------------------------------- base trees
class BaseBuild:
    """The guests' trees, built beside everything else."""

    def __init__(self, settings: Settings) -> None:
        # a pipe would fill up, and is read only when all else is done
        self._output = tempfile.TemporaryFile('w+')  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'devcloud.guest', 'build-base'],
            env=processes.environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> list[str]:
        """A line about each tree that was not there.

        :raises DevcloudError: when one could not be
        """
        code = self._process.wait()
        self._output.seek(0)
        text = self._output.read().strip()
        if code:
            raise errors.DevcloudError(
                f'the base trees of guests could not be built:\n{text}'
            )
        return [
            line
            for line in text.splitlines()
            if not line.endswith('there already')
        ]

    def cancel(self) -> None:
        """End the build, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._output.close()


def have_bases(settings: Settings) -> bool:
    """Whether all are built."""
    return all(
        (settings.bases / recipe.directory).is_dir()
        for recipe in recipes.RECIPES.values()
    )


# -------------------------------------------------------------- Docker client
def docker_client(settings: Settings) -> str:
    """Put ``docker`` into the bin folder; returns a line about it.

    The distribution's own package, unpacked but not installed: installing
    it would start a Docker daemon on this machine.
    """
    client = settings.bin / 'docker'
    if client.exists():
        return f'docker client: {client}'
    settings.bin.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.home) as folder:
        for package in ('docker-cli', 'docker.io'):
            found = _unpacked(package, pathlib.Path(folder))
            if found:
                # renamed: another launcher may do the same
                found.rename(client)
                return f'docker client: {client} (from {package})'
    installed = shutil.which('docker')
    if installed:
        client.unlink(missing_ok=True)  # a link to what is no more
        client.symlink_to(installed)
        return f'docker client: {client} (is {installed})'
    return (
        'no docker client: apt knows no package docker-cli or docker.io; '
        'type "apt-get update" and "devcloud up" again'
    )


def _unpacked(package: str, folder: pathlib.Path) -> pathlib.Path | None:
    target = folder / package
    target.mkdir()
    try:
        _download(package, target)
        archive = next(target.glob('*.deb'))
        _run(['dpkg-deb', '-x', str(archive), str(target)])
    except (errors.DevcloudError, StopIteration):
        return None
    program = target / 'usr/bin/docker'
    return program if program.is_file() else None


def _download(package: str, target: pathlib.Path) -> None:
    done = subprocess.run(
        [
            'apt-get',
            '-q',
            '-o',
            'APT::Sandbox::User=root',
            'download',
            package,
        ],
        check=False,
        cwd=target,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise errors.DevcloudError(done.stdout)
