# SPDX-License-Identifier: Apache-2.0
"""Machines that docker reaches through SSH, as commands show them."""

from dockermachine_osc import shells
from tests.unit.commands import test_env

#: How each shell forgets a variable.
UNSET = {
    'fish': 'set -e DOCKER_TLS_VERIFY;',
    'tcsh': 'unsetenv DOCKER_TLS_VERIFY;',
    'csh': 'unsetenv DOCKER_TLS_VERIFY;',
    'powershell': 'Remove-Item Env:\\DOCKER_TLS_VERIFY',
    'pwsh': 'Remove-Item Env:\\DOCKER_TLS_VERIFY',
    'cmd': 'SET DOCKER_TLS_VERIFY=',
    'emacs': '(setenv "DOCKER_TLS_VERIFY" nil)',
}


class SshAccessTestCase(test_env.EnvTestCase):
    def setUp(self):
        super().setUp()
        ran = self.succeeds('create', 'db1', '--access', 'ssh', '-f', 'json')
        self.shown, self.said = ran.json, ran.stderr
        self.url = f'ssh://db1.{self.shown["machine_id"][:8]}.docker-machine'
        self.fake.log.clear()


class TestCreate(SshAccessTestCase):
    def test_shown(self):
        self.assertEqual('ssh', self.shown['access'])
        self.assertEqual(self.url, self.shown['url'])
        self.assertIsNone(self.shown['engine_port'])
        self.assertEqual('', self.shown['server_expires'])

    def test_said(self):
        self.assertIn('open: tcp 22 from', self.said)
        self.assertIn(f'{self.users_ssh.path} begins with a line', self.said)
        self.assertIn('ready: docker --context db1 ps', self.said)

    def test_default_of_the_cloud(self):
        self.configure(
            {'access': 'ssh', 'engine_port': 2377, 'tls_san': 'a.example'}
        )
        shown = self.succeeds('create', 'db2', '-f', 'json').json
        self.assertEqual('ssh', shown['access'])
        argv = ('create', 'db3', '--access', 'tls', '-f', 'json')
        shown = self.succeeds(*argv).json
        self.assertEqual(
            ('tls', 2377), (shown['access'], shown['engine_port'])
        )
        self.fails(
            1, 'excludes --engine-port', 'create', 'db4', '--engine-port', '99'
        )

    def test_default_that_is_unknown(self):
        self.configure({'access': 'telnet'})
        self.fails(1, "'telnet' is not known", 'create', 'db2')

    def test_delete_says_that_the_line_is_gone(self):
        said = self.succeeds('delete', 'db1').stderr
        self.assertIn('is without our line again', said)


class TestEnv(SshAccessTestCase):
    def test_evaluated_over_another_machine(self):
        text = self.env('web1') + self.env('db1')
        self.assertEqual(
            ['UNSET', self.url, 'UNSET', 'db1'],
            self.evaluated(text, *test_env.VARIABLES),
        )
        text = self.env('db1') + self.env('web1')
        self.assertEqual(
            ['1', f'tcp://{self.address}:2376', self.folder, 'web1'],
            self.evaluated(text, *test_env.VARIABLES),
        )

    def test_each_shell(self):
        for name in shells.SHELLS:
            lines = self.env('db1', '--shell', name).splitlines()
            unset = UNSET.get(name, 'unset DOCKER_TLS_VERIFY;')
            self.assertEqual(unset, lines[0], name)
            self.assertIn('DOCKER_HOST', lines[1])
            self.assertIn(self.url, lines[1])
            self.assertIn('DOCKER_CERT_PATH', lines[2])
            self.assertIn('DOCKER_MACHINE_NAME', lines[3])

    def test_no_proxy_there_and_back(self):
        text = self.env('db1', '--no-proxy')
        (host,) = self.evaluated(text, 'NO_PROXY')
        self.assertEqual(self.url, f'ssh://{host}')
        self.setenv('DOCKER_HOST', self.url)
        self.setenv('NO_PROXY', host)
        text = self.env('--unset', '--no-proxy')
        self.assertEqual(
            ['UNSET'], self.evaluated(text, 'NO_PROXY', NO_PROXY=host)
        )


class TestWhere(SshAccessTestCase):
    def test_config_url_and_active(self):
        for argv, expected in (
            (('config', 'db1'), f'-H={self.url}\n'),
            (('url', 'db1'), f'{self.url}\n'),
        ):
            self.assertEqual(expected, self.succeeds(*argv).stdout)
        self.setenv('DOCKER_HOST', self.url)
        self.assertEqual('db1\n', self.succeeds('active').stdout)

    def test_certificates(self):
        self.fails(1, "'db1' has no certificates", 'cert', 'show', 'db1')
        self.fails(
            1,
            "Failed to renew machine 'db1': Machine 'db1' has no",
            *('cert', 'renew', '--client', 'db1'),
        )
