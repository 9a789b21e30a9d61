# SPDX-License-Identifier: Apache-2.0
"""docker-machine-osc: says what `openstack docker machine env` says."""

import os
import subprocess
import sys
from pathlib import Path

import fixtures
import yaml

from dockermachine_osc import answers, home, identity, light, store
from tests.unit.commands import shell

#: To import any of these takes longer than a prompt may.
HEAVY = (
    *('argparse', 'cliff', 'dataclasses', 'hashlib', 'inspect', 'logging'),
    *('openstack', 'osc_lib', 'paramiko', 'pathlib', 'platformdirs'),
    *('psutil', 'requests', 'subprocess', 'tempfile', 'typing', 'yaml'),
)


class TestAnswer(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        self.setenv('SHELL', '/bin/bash')
        self.useFixture(
            fixtures.MonkeyPatch(
                'dockermachine_osc.light._shell', lambda environ: 'bash'
            )
        )
        self.succeeds('create', 'web1')

    def answer(self, *words):
        return light._answer(list(words), os.environ)

    def assertSame(self, *words):
        """It is known once it was asked, and byte for byte the same."""
        told = self.succeeds(*words).stdout
        self.assertEqual(told, self.answer(*words))

    def test_not_before_it_was_asked(self):
        self.assertIsNone(self.answer('env', 'web1'))

    def test_same(self):
        self.setenv('NO_PROXY', 'a.b')
        for more in ([], ['--no-proxy'], ['--shell', 'fish']):
            self.assertSame('env', *more, 'web1')
            self.assertSame('env', 'web1', *more)
        for name in ('bash', 'cmd', 'csh', 'emacs', 'ksh', 'pwsh', 'zsh'):
            self.assertSame('env', f'--shell={name}', 'web1')

    def test_same_when_unset(self):
        self.setenv('DOCKER_HOST', 'tcp://10.0.0.5:2376')
        self.setenv('NO_PROXY', 'a.b,10.0.0.5')
        self.assertSame('env', '--unset')
        self.assertSame('env', '--unset', '--no-proxy')

    def test_same_over_ssh(self):
        self.succeeds('create', 'db1', '--access', 'ssh')
        self.assertSame('env', 'db1')

    def test_cloud_by_option(self):
        self.setenv('OS_CLOUD', None)
        self.assertIsNone(self.answer('env', '--os-cloud', 'here', 'web1'))
        self.assertSame('env', '--os-cloud', 'here', 'web1')
        self.assertSame('env', '--os-cloud=here', 'web1')
        self.assertIsNone(self.answer('env', '--os-cloud', 'there', 'web1'))

    def assertForgotten(self):
        self.assertIsNone(self.answer('env', 'web1'))

    def test_another_cloud(self):
        self.succeeds('env', 'web1')
        self.setenv('OS_CLOUD', 'there')
        self.assertForgotten()

    def test_another_configuration(self):
        self.succeeds('env', 'web1')
        self.configure({'image': 'debian-13'})
        self.assertForgotten()

    def test_a_configuration_in_the_folder_one_is_in(self):
        self.setenv('OS_CLIENT_CONFIG_FILE', None)
        config = self.home / '.config' / 'openstack'
        config.mkdir(parents=True)
        (self.home / 'clouds.yaml').rename(config / 'clouds.yaml')
        here = self.home / 'work'
        here.mkdir()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(here)
        self.useFixture(
            fixtures.MonkeyPatch(
                'openstack.config.loader.CONFIG_FILES',
                [str(f / 'clouds.yaml') for f in (here, config)],
            )
        )
        self.assertSame('env', 'web1')
        clouds = yaml.safe_load((config / 'clouds.yaml').read_text())
        (here / 'clouds.yaml').write_text(yaml.safe_dump(clouds))
        self.assertForgotten()
        (here / 'clouds.yaml').unlink()
        os.chdir(self.home)
        self.assertIsNotNone(self.answer('env', 'web1'))

    def test_new_certificates(self):
        self.succeeds('env', 'web1')
        folder = self.files.machine('web1')
        folder.write('cert.pem', folder.read('cert.pem'))
        self.assertForgotten()

    def test_deleted(self):
        self.succeeds('env', 'web1')
        self.succeeds('delete', 'web1')
        self.assertForgotten()
        self.assertEqual([], list(self.store.root.glob('answers/*')))

    def test_certificates_that_end_soon_are_warned_of(self):
        self.succeeds('env', 'web1')
        (file,) = self.store.root.glob('answers/*')
        file.write_text(file.read_text().replace('"until": ', '"until": -'))
        self.assertForgotten()

    def test_damaged(self):
        self.succeeds('env', 'web1')
        (file,) = self.store.root.glob('answers/*')
        whole = file.read_bytes()
        for damaged in (b'', b'[]', b'{}', b'\xff', b'null', whole[:-9]):
            file.write_bytes(damaged)
            self.assertForgotten()
        file.write_bytes(whole)
        self.assertIsNotNone(self.answer('env', 'web1'))

    def test_no_secret_is_kept(self):
        self.setenv('OS_PASSWORD', 'hunter2')
        self.setenv('OS_APPLICATION_CREDENTIAL_SECRET', 'hunter2')
        self.succeeds('env', 'web1')
        (file,) = self.store.root.glob('answers/*')
        self.assertNotIn('hunter2', file.read_text())
        self.assertEqual(0o600, file.stat().st_mode & 0o777)

    def test_what_is_not_plain_is_left_to_the_command(self):
        self.succeeds('env', 'web1')
        for words in (
            ['list'],
            ['env'],
            ['env', '--help'],
            ['env', 'web1', 'web2'],
            ['env', 'web1', '--unset'],
            ['env', 'web1', '--shell'],
            ['env', 'web1', '--shell', 'basic'],
            ['env', '../web1'],
            ['env', 'web1', '--no-prox'],
            ['env', '--', 'web1'],
        ):
            self.assertIsNone(self.answer(*words), words)


class TestAgreement(shell.ShellTestCase):
    """What stands in two places for the sake of speed is the same."""

    def test_root(self):
        for values in (
            {},
            {'XDG_DATA_HOME': '/data'},
            {'XDG_DATA_HOME': ' '},
            {home.ROOT_VARIABLE: '~/x'},
            {home.ROOT_VARIABLE: 'x/../y'},
        ):
            for name in ('XDG_DATA_HOME', home.ROOT_VARIABLE):
                self.setenv(name, values.get(name))
            root = home.root(os.environ)
            self.assertEqual(store.Store().root.resolve(), Path(root))

    def test_variables(self):
        names = {*identity._IDENTIFYING, *identity._OLD_KEYS, 'auth_url'}
        wanted = {f'OS_{name.upper()}' for name in names}
        self.assertEqual(set(), wanted - set(answers._TELLING))

    def test_imports(self):
        """Of the whole way of an answer."""
        self.succeeds('create', 'web1')
        self.succeeds('env', '--shell', 'sh', 'web1')
        script = (
            'import sys; before = set(sys.modules);'
            'from dockermachine_osc import light;'
            'sys.argv[1:] = ["env", "--shell", "sh", "web1"]; light.main();'
            'print(*set(sys.modules) - before, file=sys.stderr)'
        )
        ran = subprocess.run(
            [sys.executable, '-c', script],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertIn('export DOCKER_HOST=', ran.stdout)
        self.assertEqual(set(), set(HEAVY) & set(ran.stderr.split()))
