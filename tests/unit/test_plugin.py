# SPDX-License-Identifier: Apache-2.0
"""What every `openstack` call of every user pays for this extension."""

import configparser
import pkgutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import fixtures
from oslotest import base

from dockermachine_osc import commands, plugin

ROOT = Path(__file__).resolve().parents[2]
#: Libraries and rooms that load when a command runs, and not before.
HEAVY = (
    'cryptography.x509',
    'dockermachine_osc.cloud',
    'dockermachine_osc.contexts',
    'dockermachine_osc.engine',
    'dockermachine_osc.host',
    'dockermachine_osc.machines',
    'dockermachine_osc.pki',
    'dockermachine_osc.store',
    'fasteners',
    'openstack',
    'paramiko',
)


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class TestImports(base.BaseTestCase):
    def test_nothing_heavy(self):
        modules = [
            f'dockermachine_osc.commands.{m.name}'
            for m in pkgutil.iter_modules(commands.__path__)
        ]
        self.assertIn('dockermachine_osc.commands.create', modules)
        # osc_lib itself loads parts of the SDK: only what we add counts.
        code = (
            'import sys; import osc_lib.command.command; '
            'import osc_lib.cli.format_columns, osc_lib.cli.parseractions; '
            'before = set(sys.modules); '
            f'import {", ".join(["dockermachine_osc.plugin", *modules])}; '
            f'print(sorted((set(sys.modules) - before) & set({HEAVY!r})))'
        )
        done = python('-c', code)
        self.assertEqual(('[]\n', ''), (done.stdout, done.stderr))

    def test_create_does_not_wait_for_paramiko(self):
        """It is imported while the server boots, if at all."""
        rooms = ['machines.api', 'machines.creation', 'machines.tls_access']
        code = '; '.join(
            [f'import dockermachine_osc.{room}' for room in rooms]
            + ['import sys', 'print("paramiko" in sys.modules)']
        )
        done = python('-c', code)
        self.assertEqual(('False\n', ''), (done.stdout, done.stderr))

    def test_nothing_is_read_to_tell_whose_commands_they_are(self):
        """As cliff tells it, which reads of all that is installed."""
        known = metadata.packages_distributions()['dockermachine_osc']
        code = (
            'from importlib import metadata; '
            'metadata.packages_distributions = None; '
            'from dockermachine_osc.commands import create; '
            'command = create.CreateMachine(None, None); '
            'print(command.get_parser("create").epilog)'
        )
        done = python('-c', code)
        words = f'This command is provided by the {known[0]} plugin.\n'
        self.assertEqual((words, ''), (done.stdout, done.stderr))

    def test_entry_points_lead_to_classes(self):
        config = configparser.ConfigParser()
        config.read(ROOT / 'setup.cfg')
        lines = config['entry_points']['openstack.docker_machine.v1']
        for line in lines.split('\n'):
            if line.strip():
                _, target = line.split('=')
                module, name = target.strip().split(':')
                loaded = __import__(module, fromlist=[name])
                self.assertTrue(getattr(loaded, name).__doc__, target)


class TestProgram(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        home = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.EnvironmentVariable('HOME', home))

    def openstack(self, *arguments):
        code = 'import sys; from openstackclient.shell import main; '
        code += 'sys.exit(main(sys.argv[1:]))'
        return python('-c', code, *arguments)

    def test_version_says_nothing_on_stderr(self):
        done = self.openstack('--version')
        self.assertEqual((0, ''), (done.returncode, done.stderr))

    def test_help_of_another_command(self):
        done = self.openstack('server', 'list', '--help')
        self.assertEqual((0, ''), (done.returncode, done.stderr))

    def test_our_help(self):
        done = self.openstack('docker', 'machine', 'create', '--help')
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        for option in ('--image', '--allow-cidr', '--keep-on-failure'):
            self.assertIn(option, done.stdout)


class TestInterface(base.BaseTestCase):
    def test_what_osc_reads(self):
        self.assertEqual('docker_machine', plugin.API_NAME)
        self.assertIn(plugin.DEFAULT_API_VERSION, plugin.API_VERSIONS)
        self.assertTrue(plugin.API_VERSION_OPTION)
        parser = object()
        self.assertIs(parser, plugin.build_option_parser(parser))
