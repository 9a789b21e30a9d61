# SPDX-License-Identifier: Apache-2.0
"""env, as it is typed: no request is ever made."""

import subprocess

from tests.unit.commands import shell

NAMES = ('TLS_VERIFY', 'HOST', 'CERT_PATH', 'MACHINE_NAME')
VARIABLES = [f'DOCKER_{n}' for n in NAMES]


class EnvTestCase(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        shown = self.succeeds('create', 'web1', '-f', 'json').json
        self.address, self.folder = shown['address'], shown['local_files']
        self.fake.log.clear()

    def env(self, *argv):
        ran = self.succeeds('env', *argv)
        self.assertEqual('', ran.stderr)
        self.assertEqual([], self.fake.log)
        return ran.stdout

    def evaluated(self, text, *names, **environ):
        """Evaluate it in a real sh, as eval "$(...)" does."""
        script = f'eval "$1"; for n in {" ".join(names)}; do '
        script += 'eval "echo \\"\\${$n-UNSET}\\""; done'
        done = subprocess.run(
            ['sh', '-c', script, 'sh', text],
            env={'PATH': '/usr/bin:/bin', **environ},
            check=True,
            capture_output=True,
            text=True,
        )
        self.assertEqual('', done.stderr)
        return done.stdout.splitlines()


class TestEnv(EnvTestCase):
    def test_evaluated(self):
        url = f'tcp://{self.address}:2376'
        self.assertEqual(
            ['1', url, self.folder, 'web1'],
            self.evaluated(self.env('web1'), *VARIABLES),
        )

    def test_as_docker_machine_printed_it(self):
        lines = self.env('web1').splitlines()
        self.assertEqual('export DOCKER_TLS_VERIFY="1"', lines[0])
        self.assertEqual(
            [f'export {n}' for n in VARIABLES],
            [line.partition('=')[0] for line in lines[:4]],
        )
        self.assertIn('openstack docker machine env web1', lines[-1])
        self.assertTrue(all(line.startswith('#') for line in lines[4:]))

    def test_certificates_that_end_soon(self):
        (server,) = self.fake.things['servers'].values()
        soon = '2020-01-01T00:00:00Z'
        server['metadata']['docker-machine:client-expires'] = soon
        for command in ('show', 'env', 'config', 'list'):
            names = () if command == 'list' else ('web1',)
            ran = self.succeeds(command, *names)
            self.assertIn('cert renew --client web1', ran.stderr)
            self.assertNotIn('has ended', ran.stdout)
        self.assertEqual('', self.succeeds('url', 'web1').stderr)

    def test_each_shell(self):
        for name, first in (
            ('sh', 'export DOCKER_TLS_VERIFY="1"'),
            ('bash', 'export DOCKER_TLS_VERIFY="1"'),
            ('zsh', 'export DOCKER_TLS_VERIFY="1"'),
            ('fish', 'set -gx DOCKER_TLS_VERIFY "1";'),
            ('tcsh', 'setenv DOCKER_TLS_VERIFY "1";'),
            ('powershell', '$Env:DOCKER_TLS_VERIFY = "1"'),
            ('pwsh', '$Env:DOCKER_TLS_VERIFY = "1"'),
            ('cmd', 'SET DOCKER_TLS_VERIFY=1'),
            ('emacs', '(setenv "DOCKER_TLS_VERIFY" "1")'),
        ):
            text = self.env('web1', '--shell', name)
            self.assertEqual(first, text.splitlines()[0], name)

    def test_shell_of_the_user(self):
        self.setenv('SHELL', '/usr/bin/fish')
        self.assertTrue(self.env('web1').startswith('set -gx'))

    def test_unknown_shell(self):
        self.fails(2, 'invalid choice', 'env', 'web1', '--shell', 'x')

    def test_without_a_token_or_a_password(self):
        self.setenv('OS_PASSWORD', None)
        self.assertIn(self.address, self.env('web1'))

    def test_unset(self):
        text = self.env('--unset')
        found = self.evaluated(text, *VARIABLES, DOCKER_HOST='x')
        self.assertEqual(['UNSET'] * 4, found)

    def test_no_proxy(self):
        for name, before, after in (
            ('NO_PROXY', None, '{}'),
            ('NO_PROXY', 'a,b', 'a,b,{}'),
            ('no_proxy', 'a', 'a,{}'),
            ('NO_PROXY', '*', '*'),
        ):
            self.setenv(name, before)
            text = self.env('web1', '--no-proxy')
            expected = after.format(self.address)
            self.assertEqual([expected], self.evaluated(text, name))
            self.setenv(name, None)

    def test_no_proxy_taken_back(self):
        self.setenv('DOCKER_HOST', f'tcp://{self.address}:2376')
        for before, after in (
            (f'a,{self.address},b', 'a,b'),
            (self.address, 'UNSET'),
            ('a', 'a'),
            ('', 'UNSET'),
        ):
            self.setenv('NO_PROXY', before)
            text = self.env('--unset', '--no-proxy')
            found = self.evaluated(text, 'NO_PROXY', NO_PROXY=before)
            self.assertEqual([after], found)

    def test_no_proxy_taken_back_of_ipv6(self):
        self.setenv('NO_PROXY', 'a,2001:db8::7')
        for host, after in (
            ('tcp://[2001:db8::7]:2376', 'a'),
            ('tcp://[2001', 'a,2001:db8::7'),
        ):
            self.setenv('DOCKER_HOST', host)
            text = self.env('--unset', '--no-proxy')
            found = self.evaluated(text, 'NO_PROXY', NO_PROXY='x')
            self.assertEqual([after], found)

    def test_what_must_be_said(self):
        self.fails(1, 'Which machine?', 'env')
        self.fails(1, '--unset takes no machine', 'env', '--unset', 'web1')

    def test_not_here(self):
        ran = self.fails(1, ["'web2'", 'those that have: web1'], 'env', 'web2')
        self.assertEqual('', ran.stdout)
        self.fails(1, 'name of a machine', 'env', '../web1')
        self.assertEqual([], self.fake.log)

    def test_other_cloud_of_the_same_name(self):
        self.setenv('OS_CLOUD', 'there')
        self.fails(1, "'web1' of cloud 'there'", 'env', 'web1')

    def test_hostile_local_record(self):
        machine = self.files.machine('web1')
        good = machine.load()
        for address in ('$(reboot)', 'x"; reboot; "', '', None, 5):
            machine.save(good | {'address': address})
            ran = self.fails(1, 'no address', 'env', 'web1')
            self.assertEqual('', ran.stdout)

    def test_after_delete(self):
        self.succeeds('delete', 'web1')
        self.fails(1, "'web1'", 'env', 'web1')


class TestWhere(EnvTestCase):
    def test_config(self):
        text = self.succeeds('config', 'web1').stdout
        self.assertEqual([], self.fake.log)
        done = subprocess.run(
            ['sh', '-c', f'set -- {text}'.replace('\n', ' ') + '; echo "$@"'],
            check=True,
            capture_output=True,
            text=True,
        )
        self.assertEqual(
            f'--tlsverify --tlscacert={self.folder}/ca.pem '
            f'--tlscert={self.folder}/cert.pem '
            f'--tlskey={self.folder}/key.pem -H=tcp://{self.address}:2376\n',
            done.stdout,
        )

    def test_active(self):
        self.setenv('DOCKER_HOST', f'tcp://{self.address}:2376')
        self.assertEqual('web1\n', self.succeeds('active').stdout)
        self.setenv('DOCKER_HOST', 'tcp://192.0.2.9:2376')
        self.fails(1, 'No machine is active', 'active')
        self.setenv('DOCKER_HOST', None)
        self.fails(1, 'DOCKER_HOST is unset', 'active')
        self.assertEqual([], self.fake.log)

    def test_one_line_each(self):
        self.succeeds('create', 'web2')
        for command, expected in (
            ('status', 'running'),
            ('ip', self.address),
            ('url', f'tcp://{self.address}:2376'),
        ):
            lines = self.succeeds(command, 'web1', 'web2').stdout.splitlines()
            self.assertEqual((2, expected), (len(lines), lines[0]))
        self.fails(1, "'nope' does not exist", 'ip', 'nope')
