# SPDX-License-Identifier: Apache-2.0
"""The commands for a machine that is there, as they are typed."""

import fixtures

from dockermachine_osc import engine
from tests.unit import workbench
from tests.unit.commands import shell


class UpkeepTestCase(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        for name in ('ask', 'shown_certificate'):
            path = f'dockermachine_osc.engine.{name}'
            self.useFixture(fixtures.MonkeyPatch(path, self.refuse))
        self.succeeds('create', 'web1')
        (self.server,) = self.fake.things['servers'].values()

    def refuse(self, *arguments):
        raise engine.EngineTimeout('Nobody answers')

    def answer(self, *arguments):
        return workbench.FACTS


class TestPower(UpkeepTestCase):
    def test_stop_and_start(self):
        self.assertEqual('', self.succeeds('stop', 'web1').stderr)
        self.assertEqual('SHUTOFF', self.server['status'])
        ran = self.succeeds('stop', 'web1')
        self.assertIn('stopped already', ran.stderr)
        self.assertEqual('stopped\n', self.succeeds('status', 'web1').stdout)
        self.succeeds('start', 'web1')
        self.assertEqual('ACTIVE', self.server['status'])
        ran = self.succeeds('start', 'web1')
        self.assertIn('running already', ran.stderr)

    def test_restart(self):
        self.succeeds('restart', 'web1')
        self.succeeds('restart', '--hard', 'web1')
        reboots = [a for a in self.fake.actions if a[0] == 'reboot']
        self.assertEqual(['SOFT', 'HARD'], [a['type'] for _, a in reboots])

    def test_goes_on_after_a_failure(self):
        self.fails(
            1,
            ["Failed to stop machine 'nope'", '1 of 2 machines failed'],
            *('stop', 'nope', 'web1'),
        )
        self.assertEqual('SHUTOFF', self.server['status'])


class TestCertificates(UpkeepTestCase):
    def test_show(self):
        rows = self.succeeds('cert', 'show', 'web1', '-f', 'json').json
        self.assertEqual(['ca', 'client'], [r['Certificate'] for r in rows])
        for row in rows:
            self.assertGreater(row['Days Left'], 300)
            self.assertEqual(64, len(row['SHA256']))

    def test_renew(self):
        before = self.succeeds('cert', 'show', 'web1', '-f', 'json').json
        self.succeeds('cert', 'renew', '--client', 'web1')
        after = self.succeeds('cert', 'show', 'web1', '-f', 'json').json
        self.assertEqual(before[0], after[0])
        self.assertNotEqual(before[1]['SHA256'], after[1]['SHA256'])

    def test_renew_of_what(self):
        self.fails(1, '--client, --server, or --ca', 'cert', 'renew', 'web1')


class TestContext(UpkeepTestCase):
    def test_delete_and_create(self):
        self.succeeds('context', 'delete', 'web1')
        self.assertFalse(self.contexts.exists('web1'))
        ran = self.succeeds('context', 'delete', 'web1')
        self.assertIn('has no Docker context', ran.stderr)
        ran = self.succeeds('context', 'create', 'web1', '--name', 'other')
        self.assertIn('docker --context other ps', ran.stderr)
        self.assertTrue(self.contexts.exists('other'))


class TestProvisionAndCheck(UpkeepTestCase):
    def test_provision(self):
        self.assertEqual('', self.succeeds('provision', 'web1').stderr)
        self.assertEqual(2, len(self.guest.parcels))

    def test_check_ends_with_one_if_a_link_is_broken(self):
        self.server['status'] = 'SHUTOFF'
        ran = self.openstack('check', 'web1', '-f', 'json')
        self.assertEqual(1, ran.status, ran.stderr)
        first, *others = ran.json
        self.assertEqual(('server', False), (first['Link'], first['Holds']))
        self.assertEqual({None}, {row['Holds'] for row in others})


class TestUpgrade(UpkeepTestCase):
    def setUp(self):
        super().setUp()
        self.guest.lines = [
            'fact package docker.io',
            'fact package-before 27-1',
            'fact package-after 28.2.2-1',
            'fact before 27.0.1',
            'fact restarted yes',
            'ready 28.2.2',
        ]

    def test_table(self):
        ran = self.succeeds('upgrade', 'web1', '-f', 'json')
        self.assertEqual(
            {
                'Name': 'web1',
                'Before': '27.0.1',
                'After': '28.2.2',
                'Package': 'docker.io',
                'Package Before': '27-1',
                'Package After': '28.2.2-1',
                'Restarted': True,
            },
            ran.json[0],
        )

    def test_one_of_two_fails(self):
        ran = self.openstack('upgrade', 'nope', 'web1', '-f', 'json')
        self.assertEqual(1, ran.status)
        self.assertEqual(['web1'], [row['Name'] for row in ran.json])
        self.assertIn("Failed to upgrade machine 'nope'", ran.stderr)
        self.assertIn('1 of 2 machines failed', ran.stderr)

    def test_all_fail(self):
        ran = self.fails(
            1, 'no version', 'upgrade', 'web1', '--engine-version', 'x'
        )
        self.assertEqual('', ran.stdout)


class TestSsh(UpkeepTestCase):
    """The programs are played by a script that tells how it was called."""

    def setUp(self):
        super().setUp()
        self.fake.log.clear()
        self.bin = self.home / 'bin'
        self.bin.mkdir()
        self.told = self.home / 'told'
        for name in ('ssh', 'scp', 'sshfs', 'fusermount'):
            script = self.bin / name
            script.write_text(
                f'#!/bin/sh\nfor a in "$0" "$@"; do echo "$a"; done '
                f'>{self.told}\nexit 7\n'
            )
            script.chmod(0o755)
        self.setenv('PATH', f'{self.bin}:/usr/bin:/bin')

    def calls(self, *argv):
        ran = self.openstack(*argv)
        self.assertEqual(7, ran.status, ran.stderr)
        self.assertEqual([], self.fake.log)
        program, *arguments = self.told.read_text().splitlines()
        self.assertTrue(program.startswith(str(self.bin)), program)
        return arguments

    def test_ssh(self):
        arguments = self.calls('ssh', 'web1', '--', 'ls', '-v', '--version')
        self.assertEqual(['--', 'ls', '-v', '--version'], arguments[-4:])
        folder = self.files.machine('web1').path
        said = ' '.join(arguments)
        for words in (
            'StrictHostKeyChecking=yes',
            f'UserKnownHostsFile="{folder}/known_hosts"',
            f'IdentityFile="{folder}/id_ed25519"',
            '-l debian',
            '-p 22',
        ):
            self.assertIn(words, said)

    def test_login_as_another(self):
        self.assertIn('root', self.calls('ssh', '--login', 'root', 'web1'))

    def test_scp(self):
        *_, source, destination = self.calls(
            'scp', '-r', 'web1:/etc/hosts', './x:y'
        )
        self.assertRegex(source, r'^scp://debian@[0-9.]+:22//etc/hosts$')
        self.assertEqual('./x:y', destination)

    def test_mount(self):
        *_, source, mountpoint = self.calls('mount', 'web1:data', '/mnt')
        self.assertRegex(source, r'^debian@[0-9.]+:data$')
        self.assertEqual('/mnt', mountpoint)
        self.assertEqual(
            ['-u', '--', '/mnt'], self.calls('mount', '--unmount', '/mnt')
        )

    def test_what_names_no_machine(self):
        self.fails(1, 'on a machine', 'scp', './a', './b')
        self.fails(1, 'names no machine', 'mount', '/data', '/mnt')
        self.fails(1, "'nope'", 'ssh', 'nope')

    def test_program_that_is_not_there(self):
        self.setenv('PATH', str(self.home))
        self.fails(1, 'openssh-client', 'ssh', 'web1')
