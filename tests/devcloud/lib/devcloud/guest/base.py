# SPDX-License-Identifier: Apache-2.0
"""Building base trees with mmdebstrap, and finding them."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import time

from devcloud import settings
from devcloud.guest import aptsources, errors, process, recipes

KEYRING = pathlib.Path('/usr/share/keyrings/debian-archive-keyring.gpg')
MIRROR_VARIABLE = 'DEVCLOUD_DEBIAN_MIRROR'
UNFINISHED = '.new'
NEEDED_MB = 1500
LOG_LINES = 15
APT_OPTIONS = (
    'Acquire::Check-Valid-Until "false"',
    'Acquire::Check-Date "false"',
    'Acquire::Retries "3"',
    'Acquire::Languages "none"',
)
PROXIES = ('Acquire::http::Proxy', 'Acquire::https::Proxy')


def recipe(name: str) -> recipes.Recipe:
    """:raises GuestError: when there is none of that name"""
    try:
        return recipes.RECIPES[name]
    except KeyError:
        raise errors.GuestError(
            f'no base is named {name!r}; there are: '
            f'{", ".join(sorted(recipes.RECIPES))}'
        ) from None


def path(name: str) -> pathlib.Path:
    """Where the base tree of this name is, or would be."""
    return settings.current().bases / recipe(name).directory


def built(name: str) -> pathlib.Path:
    """The tree of this name.

    :raises GuestError: when it has not been built
    """
    tree = path(name)
    if not tree.is_dir():
        raise errors.GuestError(
            f'base {name} has not been built: run "build-base {name}" first'
        )
    return tree


def apt_sources(
    suite: str, extra: tuple[str, ...], mirror: aptsources.Mirror
) -> list[str]:
    """The lines of the tree's sources.list."""
    signed = f'[signed-by={KEYRING}]'
    lines = [f'deb {signed} {mirror.archive} {suite} main']
    if 'updates' in extra:
        lines.append(f'deb {signed} {mirror.archive} {suite}-updates main')
    if 'security' in extra and mirror.security:
        lines.append(f'deb {signed} {mirror.security} {suite}-security main')
    return lines


def _mirror() -> aptsources.Mirror | None:
    """$DEVCLOUD_DEBIAN_MIRROR, or what this machine's apt uses for Debian."""
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        return aptsources.Mirror(named, named.rstrip('/') + '-security')
    return aptsources.debian_mirror(aptsources.sources())


def _apt_options() -> list[str]:
    """mmdebstrap reads none of the machine's apt.conf: hand on its proxy."""
    options = [f'--aptopt={option}' for option in APT_OPTIONS]
    for name in PROXIES:
        dump = process.run('apt-config', 'dump', name, check=False).stdout
        found = re.search(rf'^{name} "([^"]+)"', dump, re.M)
        if found:
            options.append(f'--aptopt={name} "{found[1]}"')
    return options


def command(
    wanted: recipes.Recipe,
    target: pathlib.Path,
    mirror: aptsources.Mirror | None,
) -> list[str]:
    """How mmdebstrap is called.

    Without a Debian mirror in apt's configuration (Ubuntu), mmdebstrap uses
    the one that it was built with.
    """
    words = [
        'mmdebstrap',
        '--mode=root',
        '--variant=minbase',
        f'--keyring={KEYRING}',
        f'--include={",".join(wanted.packages)}',
    ]
    words += [*_apt_options(), wanted.suite, str(target)]
    if mirror:
        words += apt_sources(wanted.suite, wanted.extra_suites, mirror)
    return words


def build(name: str, *, force: bool = False) -> str:
    """Build one tree unless it is there; returns a line about it.

    Only a tree that is complete gets its name, by one rename.

    :raises GuestError: in plain words, with the end of the log
    """
    tree = path(name)
    with process.locked(tree.parent / f'.{tree.name}.lock'):
        if tree.is_dir() and not force:
            return f'{tree}: there already'
        _require_means(tree.parent)
        began = time.monotonic()
        fresh = _bootstrap(recipe(name), tree)
        _discard(tree)
        fresh.rename(tree)
        size = process.run('du', '-sm', str(tree)).stdout.split()[0]
        return f'{tree}: built in {time.monotonic() - began:.0f} s, {size} MiB'


def build_all(names: list[str], *, force: bool = False) -> list[str]:
    """Build several at once: each waits for its downloads half the time.

    :raises GuestError: with what went wrong of each that failed
    """
    with concurrent.futures.ThreadPoolExecutor(max(len(names), 1)) as pool:
        builds = [pool.submit(build, n, force=force) for n in names]
    failed = [e for e in (b.exception() for b in builds) if e is not None]
    for error in failed:
        if not isinstance(error, errors.GuestError):
            raise error
    if failed:
        raise errors.GuestError('\n'.join(str(e) for e in failed))
    return [b.result() for b in builds]


def _require_means(directory: pathlib.Path) -> None:
    if not KEYRING.is_file():
        raise errors.GuestError(
            f'{KEYRING} is missing: apt-get install debian-archive-keyring'
        )
    free = shutil.disk_usage(directory).free >> 20
    if free < NEEDED_MB:
        raise errors.GuestError(
            f'{directory} has {free} MiB left, a base tree needs '
            f'{NEEDED_MB} MiB while it is built'
        )


def _bootstrap(wanted: recipes.Recipe, tree: pathlib.Path) -> pathlib.Path:
    for leftover in tree.parent.glob(f'.{tree.name}.*{UNFINISHED}'):
        _discard(leftover)
    fresh = tree.parent / f'.{tree.name}.{os.getpid()}{UNFINISHED}'
    try:
        _mmdebstrap(wanted, fresh, tree.parent / f'{wanted.name}.log')
        _finish(fresh)
    except BaseException:
        _discard(fresh)
        raise
    return fresh


def _mmdebstrap(
    wanted: recipes.Recipe, target: pathlib.Path, log: pathlib.Path
) -> None:
    words = command(wanted, target, _mirror())
    # a mount namespace of its own: nothing stays mounted if it is killed
    with log.open('w') as out:
        code = subprocess.run(
            [
                'unshare',
                '--mount',
                '--propagation',
                'slave',
                'setpriv',
                '--pdeathsig',
                'TERM',
                *words,
            ],
            check=False,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        ).returncode
    if code:
        tail = log.read_text(errors='replace').splitlines()[-LOG_LINES:]
        raise errors.GuestError(
            f'base {wanted.name} could not be built: mmdebstrap ended with '
            f'{code}. The end of {log}:\n  ' + '\n  '.join(tail)
        )


def _environment() -> dict[str, str]:
    """What is set for our Python is not for the tree's.

    With its bytecode elsewhere each guest compiles all of cloud-init anew.
    """
    return {k: v for k, v in os.environ.items() if not k.startswith('PYTHON')}


def _finish(tree: pathlib.Path) -> None:
    """What a cloud image's builder does at the end."""
    for name, text in recipes.FILES.items():
        (tree / name).write_text(text)
    for name in recipes.REMOVED:
        (tree / name).unlink(missing_ok=True)
    # each guest makes keys of its own
    for key in (tree / 'etc/ssh').glob('ssh_host_*'):
        key.unlink()
    for unit in recipes.MASKED:
        mask = tree / 'etc/systemd/system' / unit
        mask.unlink(missing_ok=True)
        mask.symlink_to('/dev/null')


def _discard(tree: pathlib.Path) -> None:
    if tree.exists():
        process.run('rm', '-rf', '--one-file-system', str(tree))
