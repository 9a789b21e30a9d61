# SPDX-License-Identifier: Apache-2.0
"""The real `openstack` program, run in the process of the test."""

import contextlib
import io
import json
import logging
import os
from pathlib import Path

import fixtures
import yaml
from openstackclient import shell
from openstackclient.common import clientmanager
from osc_lib import clientmanager as osc_clientmanager

from dockermachine_osc import contexts, store
from tests.unit import workbench
from tests.unit.fakecloud import AUTH_URL, PROJECT


class Terminal(io.StringIO):
    """Takes output as a terminal does."""

    def isatty(self):
        return True


class Ran:
    """How a run of the program went."""

    def __init__(self, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, stderr

    @property
    def json(self):
        return json.loads(self.stdout)


class ShellTestCase(workbench.CloudTestCase):
    """Has a home folder, a clouds.yaml, and a cloud with a guest."""

    def setUp(self):
        super().setUp()
        for name in ('cliff', 'osc_lib', 'dockermachine_osc'):
            logging.getLogger(name).setLevel(logging.INFO)
        self.guest = self.useFixture(workbench.Guest())
        self.users_ssh = self.useFixture(workbench.UsersSsh())
        self.home = Path(self.useFixture(fixtures.TempDir()).path)
        for name in [n for n in os.environ if n.startswith(_KNOWN)]:
            self.setenv(name, None)
        self.setenv('HOME', str(self.home))
        self.setenv('SHELL', '/bin/bash')
        self.setenv('OS_CLIENT_CONFIG_FILE', str(self.home / 'clouds.yaml'))
        self.setenv('OS_CLOUD', 'here')
        # The name of the process that runs the tests is no shell.
        self.useFixture(
            fixtures.MonkeyPatch('dockermachine_osc.commands.env._parent', str)
        )
        self.configure()
        self.addCleanup(_forget_clients)
        self.store = store.Store()
        self.files = self.store.scope(AUTH_URL, 'RegionOne', PROJECT)
        self.contexts = contexts.Contexts()
        self.fake.log.clear()

    def setenv(self, name, value):
        self.useFixture(fixtures.EnvironmentVariable(name, value))

    def configure(self, defaults=None, **more):
        """Write clouds.yaml, with defaults for our options."""
        auth = {'auth_url': AUTH_URL, 'username': 'demo', 'password': 'pw'}
        auth |= {'project_id': PROJECT, 'user_domain_id': 'default'}
        cloud = {'auth': auth, 'region_name': 'RegionOne'}
        clouds = {'here': dict(cloud), 'there': dict(cloud)}
        clouds['there']['region_name'] = 'RegionTwo'
        clouds['here'] |= {'docker_machine': defaults} if defaults else {}
        clouds |= more
        text = yaml.safe_dump({'clouds': clouds})
        (self.home / 'clouds.yaml').write_text(text)

    def openstack(self, *argv, terminal=False):
        """Run `openstack docker machine ...`."""
        return self.run_openstack(
            'docker', 'machine', *argv, terminal=terminal
        )

    def run_openstack(self, *argv, terminal=False):
        _forget_clients()
        stdout, stderr = (
            io.StringIO(),
            Terminal() if terminal else io.StringIO(),
        )
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        with (
            fixtures.MonkeyPatch('sys.argv', ['openstack', *argv]),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            try:
                status = shell.OpenStackShell().run(list(argv))
            except SystemExit as end:
                status = end.code
        root.handlers[:] = handlers
        root.setLevel(level)
        return Ran(status, stdout.getvalue(), stderr.getvalue())

    def succeeds(self, *argv, **options):
        ran = self.openstack(*argv, **options)
        self.assertEqual(0, ran.status, ran.stderr)
        return ran

    def fails(self, status, expected, *argv):
        ran = self.openstack(*argv)
        self.assertEqual(status, ran.status, ran.stdout + ran.stderr)
        for words in [expected] if isinstance(expected, str) else expected:
            self.assertIn(words, ran.stderr)
        self.assertNotIn('Traceback', ran.stderr)
        return ran


_KNOWN = ('OS_', 'XDG_', 'DOCKER_', 'NO_PROXY', 'no_proxy')


def _forget_clients():
    """Drop what the last run has left in the class of all client managers."""
    for owner in clientmanager.ClientManager.mro():
        for cache in vars(owner).values():
            if isinstance(cache, osc_clientmanager.ClientCache):
                cache._handle = None
