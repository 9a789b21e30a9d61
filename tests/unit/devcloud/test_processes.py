# SPDX-License-Identifier: Apache-2.0
"""The processes of a cloud, as the process table shows them."""

import os
import pathlib
import subprocess
import sys
import types

import fixtures
from devcloud import processes
from oslotest import base

_FORKS = """
import os, sys, time
if os.fork():
    print('forked', flush=True)
time.sleep(60)
"""


class TestOfCloud(base.BaseTestCase):
    def test_child_that_is_about_to_run_another_program(self):
        """It looks like its parent, which must be found all the same."""
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        package = folder / 'devcloud'
        package.mkdir()
        (package / '__init__.py').touch()
        (package / 'dataplane.py').write_text(_FORKS)
        settings = types.SimpleNamespace(cloud_dir=folder)
        process = subprocess.Popen(
            processes.command(
                settings, pathlib.Path(sys.executable), 'devcloud.dataplane'
            ),
            env={**os.environ, 'PYTHONPATH': str(folder)},
            stdout=subprocess.PIPE,
            process_group=0,
        )
        self.addCleanup(process.wait)
        self.addCleanup(os.killpg, process.pid, 9)
        self.addCleanup(process.stdout.close)
        self.assertEqual(b'forked\n', process.stdout.readline())
        found = processes.of_cloud(settings)
        self.assertEqual(process.pid, found['dataplane'].pid)
