# SPDX-License-Identifier: Apache-2.0
"""The package builds from any clone, and holds what it has to."""

from __future__ import annotations

import configparser
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from oslotest import base

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Seconds, for one build.
LIMIT = 120


def run(*command: str, cwd: pathlib.Path) -> str:
    """Run a program as somebody whose git knows no settings and no tags."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(('GIT_', 'PBR_'))
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env={
            **kept,
            'GIT_CONFIG_GLOBAL': os.devnull,
            'GIT_CONFIG_COUNT': '1',
            'GIT_CONFIG_KEY_0': 'safe.directory',
            'GIT_CONFIG_VALUE_0': '*',
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f'{command}: {done.stdout}{done.stderr}')
    return done.stdout


class WheelTest(base.BaseTestCase):
    """From a clone without tags, and from one with nothing but its tip."""

    def clone(self, *options: str) -> pathlib.Path:
        folder = pathlib.Path(tempfile.mkdtemp(prefix='clone-'))
        self.addCleanup(shutil.rmtree, folder)
        run(
            'git', 'clone', '-q', '--no-tags', *options, f'file://{ROOT}',
            str(folder / 'src'), cwd=folder,
        )  # fmt: skip
        return folder / 'src'

    def wheel(self, source: pathlib.Path) -> zipfile.ZipFile:
        """Build with the pbr and setuptools that are installed here."""
        run(
            sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps',
            '--no-build-isolation', '--no-index', '-w', 'dist', '.',
            cwd=source,
        )  # fmt: skip
        (built,) = (source / 'dist').glob('*.whl')
        return self.enterContext(zipfile.ZipFile(built))

    def check(self, source: pathlib.Path) -> None:
        """A wheel of it has all of the library, and no tests."""
        wheel = self.wheel(source)
        listed = run('git', 'ls-files', 'dockermachine_osc', cwd=source)
        names = set(wheel.namelist())
        info = next(n for n in names if n.endswith('entry_points.txt'))
        folder = info.partition('/')[0]
        code = {n for n in names if not n.startswith(f'{folder}/')}
        self.assertEqual(set(listed.split()), code)
        self.assertIn('dockermachine_osc/py.typed', code)
        self.assertTrue(
            {n for n in code if n.startswith('dockermachine_osc/engine/setup')}
        )
        declared = configparser.ConfigParser()
        declared.read(source / 'setup.cfg')
        built = configparser.ConfigParser(delimiters=('=',))
        built.read_string(wheel.read(info).decode())
        for group, lines in declared['entry_points'].items():
            wanted = {
                tuple(w.strip() for w in line.split('='))
                for line in lines.strip().splitlines()
            }
            self.assertEqual(wanted, set(built[group].items()))
        version = folder.removeprefix('dockermachine_osc-')
        self.assertRegex(version, r'^\d+\.\d+\.\d+')

    def test_clone_without_tags(self) -> None:
        self.check(self.clone())

    def test_shallow_clone(self) -> None:
        self.check(self.clone('--depth', '1'))
