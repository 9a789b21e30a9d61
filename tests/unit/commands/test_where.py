# SPDX-License-Identifier: Apache-2.0
"""ip, url, status, config and active, as they are typed."""

import shlex
import subprocess

from tests.unit.commands import shell


class WhereTestCase(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        self.succeeds('create', 'web1')
        self.succeeds('create', 'web2')
        self.addresses = {
            name: self.files.machine(name).load()['address']
            for name in ('web1', 'web2')
        }
        self.fake.log.clear()

    def url(self, name):
        return f'tcp://{self.addresses[name]}:2376'


class TestOneLine(WhereTestCase):
    def test_in_the_order_of_the_names(self):
        for command, lines in (
            ('ip', [self.addresses['web2'], self.addresses['web1']]),
            ('url', [self.url('web2'), self.url('web1')]),
            ('status', ['running', 'running']),
        ):
            ran = self.succeeds(command, 'web2', 'web1')
            self.assertEqual(lines, ran.stdout.splitlines())
            self.assertEqual('', ran.stderr)

    def test_from_any_workstation(self):
        for name in ('web1', 'web2'):
            self.files.machine(name).remove()
        ran = self.succeeds('url', 'web1')
        self.assertEqual(self.url('web1') + '\n', ran.stdout)

    def test_one_is_missing(self):
        ran = self.fails(1, "Machine 'nope' does not exist", 'ip', 'nope')
        self.assertEqual('', ran.stdout)

    def test_no_address_yet(self):
        for server in self.fake.things['servers'].values():
            del server['metadata']['docker-machine:address']
        for command in ('ip', 'url'):
            self.fails(1, 'has no address yet', command, 'web1')

    def test_status_of_one_that_is_off(self):
        for server in self.fake.things['servers'].values():
            server['status'] = 'SHUTOFF'
        self.assertEqual('stopped\n', self.succeeds('status', 'web1').stdout)

    def test_no_name(self):
        for command in ('ip', 'url', 'status', 'config'):
            self.fails(2, 'required', command)


class TestConfig(WhereTestCase):
    def test_as_docker_machine_printed_it(self):
        folder = self.files.machine('web1').path
        self.assertEqual(
            [
                '--tlsverify',
                f'--tlscacert="{folder}/ca.pem"',
                f'--tlscert="{folder}/cert.pem"',
                f'--tlskey="{folder}/key.pem"',
                f'-H={self.url("web1")}',
            ],
            self.succeeds('config', 'web1').stdout.splitlines(),
        )

    def test_asks_nobody(self):
        self.succeeds('config', 'web1')
        self.assertEqual([], self.fake.log)

    def test_words_of_a_shell(self):
        """In $(...) a shell splits it into the five options."""
        ran = self.succeeds('config', 'web1')
        script = f"printf '%s\\n' $(cat <<'END'\n{ran.stdout}END\n)"
        done = subprocess.run(
            ['/bin/sh', '-c', script],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(ran.stdout, done.stdout)
        self.assertEqual(5, len(shlex.split(ran.stdout)))

    def test_keys_that_are_elsewhere(self):
        self.files.machine('web2').remove()
        ran = self.fails(1, ["Machine 'web2'", 'have: web1'], 'config', 'web2')
        self.assertEqual('', ran.stdout)


class TestActive(WhereTestCase):
    def active(self, host):
        self.setenv('DOCKER_HOST', host)
        return self.openstack('active')

    def test_active(self):
        for name in ('web1', 'web2'):
            ran = self.active(self.url(name))
            self.assertEqual(
                (0, f'{name}\n', ''), (ran.status, ran.stdout, ran.stderr)
            )
        self.assertEqual([], self.fake.log)

    def test_none(self):
        for host, words in (
            (None, 'DOCKER_HOST is unset'),
            ('', 'DOCKER_HOST is unset'),
            ('tcp://192.0.2.1:2376', 'tcp://192.0.2.1:2376 is none here'),
        ):
            ran = self.active(host)
            self.assertEqual((1, ''), (ran.status, ran.stdout))
            self.assertIn(words, ran.stderr)
            self.assertIn('openstack docker machine env', ran.stderr)

    def test_damaged_record_of_another(self):
        (self.files.machine('web1').path / 'machine.json').write_text('{')
        self.assertEqual('web2\n', self.active(self.url('web2')).stdout)

    def test_never_used_here(self):
        self.setenv('HOME', str(self.home / 'other'))
        ran = self.active(self.url('web1'))
        self.assertEqual(1, ran.status)
