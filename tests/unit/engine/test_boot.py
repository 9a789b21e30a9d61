# SPDX-License-Identifier: Apache-2.0
"""What runs from cloud-init before anybody has logged in."""

import os
import stat

from oslotest import base

from dockermachine_osc import engine
from tests.unit.engine import hostroot

ID = 'f03e0517-e3d5-4654-a70f-fc7db1e78a11'
BLOB = 'AAAAC3NzaC1lZDI1NTE5AAAAIAPNbn4NzGMMXAMNoQrjF371gH7dsR7lxcYKiG37FP5x'
KEY = f'ssh-ed25519 {BLOB}'
OTHER = KEY.replace('AAAAIAPN', 'AAAAIAPM')
PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
debian:x:1000:1000:Debian:/home/debian:/bin/bash
alice:x:1001:1001::/home/alice:/bin/bash
"""
ROOT_LINE = (
    'no-port-forwarding,command="echo \'Please login as the user \\"debian\\"'
    ' rather than the user \\"root\\".\';exit 142" '
)


class EarlyTest(base.BaseTestCase):
    def early(
        self, host, machine_id=ID, hold=0, options=(), defer=False, **settings
    ):
        text = engine.EngineSettings(machine_id, **settings).render(
            KEY, hold, defer=defer
        )
        host.write('etc/docker-machine/setup.sh', '')
        done = host.call('early', text, *options)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        if 'docker-machine-prepare' in self.commands(host):
            done = host.call('prepare')
            self.assertEqual((0, ''), (done.returncode, done.stderr))

    def commands(self, host):
        return (host.state / 'commands').read_text()

    def test_engine_of_the_image_is_held_back(self):
        host = self.useFixture(hostroot.BootRoot(unit='debian'))
        self.early(host)
        text = host.dropin.read_text()
        for line in (
            'ConditionPathExists=/etc/docker-machine/server-key.pem',
            'ExecStart=',
            '--tlskey=/etc/docker-machine/server-key.pem',
        ):
            self.assertIn(line, text)
        self.assertEqual(0o644, stat.S_IMODE(host.dropin.stat().st_mode))
        self.assertEqual(0o755, stat.S_IMODE(host.dropins.stat().st_mode))
        self.assertFalse((host.run_dir / 'pending').exists())
        self.assertNotIn('docker-machine-install', self.commands(host))
        self.assertIn('docker-machine-report', self.commands(host))

    def test_missing_engine_is_installed_beside_cloud_init(self):
        host = self.useFixture(hostroot.BootRoot())
        self.early(host)
        self.assertTrue((host.run_dir / 'pending').exists())
        self.assertIn('docker-machine-install', self.commands(host))
        self.assertTrue(host.dropin.exists())

    def test_the_user_s_own_data_go_first(self):
        host = self.useFixture(hostroot.BootRoot())
        self.early(host, hold=60)
        self.assertTrue((host.run_dir / 'pending').exists())
        self.assertNotIn('docker-machine-install', self.commands(host))

    def test_an_engine_of_the_user_is_not_held_back(self):
        host = self.useFixture(hostroot.BootRoot())
        self.early(host, source='none')
        self.assertFalse(host.dropin.exists())
        self.assertFalse((host.run_dir / 'pending').exists())

    def test_proxies_are_kept_for_the_installer(self):
        host = self.useFixture(hostroot.BootRoot())
        self.early(host, options=['http-proxy http://p\n'])
        kept = host.home / 'options'
        self.assertEqual('http-proxy http://p\n', kept.read_text())
        self.assertEqual(0o600, stat.S_IMODE(kept.stat().st_mode))
        done = host.function('use_proxies; echo "$http_proxy $HTTP_PROXY"')
        self.assertEqual('http://p http://p\n', done.stdout)

    def test_secret_proxies_are_waited_for(self):
        host = self.useFixture(hostroot.BootRoot())
        host.program('apt-get', hostroot.RECORDER)
        self.early(host, defer=True)
        self.assertFalse((host.run_dir / 'pending').exists())
        self.assertTrue(host.dropin.exists())
        self.assertEqual(0, host.call('install').returncode)
        self.assertNotIn('install', self.commands(host))
        self.assertNotIn('apt-get', self.commands(host))

    def test_options_of_another_machine_go(self):
        host = self.useFixture(hostroot.BootRoot(unit='debian'))
        self.early(host, machine_id='other')
        host.write('etc/docker-machine/options', 'label a=b\n')
        host.write('etc/docker-machine/environment', 'A="b"\n')
        self.early(host)
        self.assertFalse((host.home / 'options').exists())
        self.assertFalse((host.home / 'environment').exists())

    def test_settings_are_private(self):
        host = self.useFixture(hostroot.BootRoot())
        self.early(host)
        mode = (host.home / 'settings').stat().st_mode
        self.assertEqual(0o600, stat.S_IMODE(mode))

    def test_what_another_machine_left_in_the_image_goes(self):
        host = self.useFixture(hostroot.BootRoot(unit='debian'))
        self.early(host, machine_id='other')
        for name in ('ca.pem', 'server.pem', 'server-key.pem'):
            host.write(f'etc/docker-machine/{name}', 'of another')
        host.dropin.write_text('[Service]\nExecStart=\nExecStart=/x\n')
        self.early(host)
        self.assertEqual([], list(host.home.glob('*.pem')))
        self.assertIn('ConditionPathExists', host.dropin.read_text())

    def test_a_machine_that_serves_is_left_as_it_is(self):
        # cloud-init clean, and the next boot is a first one again
        host = self.useFixture(hostroot.BootRoot(unit='debian'))
        self.early(host)
        host.write('etc/docker-machine/server-key.pem', 'secret')
        host.write('etc/docker-machine/applied', '1 2')
        host.dropin.write_text('[Service]\nExecStart=\nExecStart=/x\n')
        self.early(host)
        self.assertIn('ExecStart=/x', host.dropin.read_text())
        self.assertTrue((host.home / 'server-key.pem').exists())

    def test_damaged_settings(self):
        host = self.useFixture(hostroot.BootRoot())
        host.home.mkdir()
        for text in (
            '',
            'port=2376\n',
            f'machine_id={ID}\nport=2376;reboot\n',
            f'machine_id={ID}\nport=\n',
            f'machine_id={ID}\nPATH=/tmp\n',
            f'machine_id={ID}\nversion=$(reboot)\n',
            f"machine_id={ID}\nversion='28'\n",
            'machine_id=../x\n',
        ):
            done = host.call('early', text)
            self.assertEqual(64, done.returncode, text)
            self.assertFalse(host.dropin.exists())


class ReportTest(base.BaseTestCase):
    def host(self, keys, sem_age=10, done=True):
        host = self.useFixture(hostroot.BootRoot())
        host.write('etc/passwd', PASSWD)
        text = engine.EngineSettings(ID).render(KEY + ' comment')
        host.write('etc/docker-machine/settings', text)
        sem = host.write('var/lib/cloud/instance/sem/config_ssh', '')
        for path, line in keys.items():
            file = host.write(f'{path}/.ssh/authorized_keys', line + '\n')
            age = file.stat().st_mtime - sem_age
        os.utime(sem, (age, age))
        host.write('etc/ssh/ssh_host_ed25519_key.pub', OTHER + ' root@x\n')
        host.write('etc/ssh/ssh_host_bad_key.pub', 'ssh-rsa $(reboot)\n')
        host.write('etc/ssh/ssh_host_empty_key.pub', '')
        if done:
            host.write('run/cloud-init/result.json', '{}')
        return host

    def console(self, host):
        self.assertEqual('', host.call('report').stderr)
        return (host.root / 'dev/console').read_text()

    def test_user_with_our_key(self):
        host = self.host(
            {
                'root': ROOT_LINE + KEY,
                'home/alice': OTHER,
                'home/debian': f'# comment\n{OTHER} me\n{KEY} x',
            }
        )
        text = self.console(host)
        facts = engine.read_console(text, ID)
        self.assertEqual('debian', facts.login)
        self.assertEqual((OTHER,), facts.host_keys)
        self.assertNotIn('reboot', text)
        # once as early as can be, once when the console is quiet
        self.assertEqual(2, text.count('login debian end\n'))

    def test_root_only(self):
        host = self.host({'root': KEY})
        facts = engine.read_console(self.console(host), ID)
        self.assertEqual('root', facts.login)

    def test_nobody(self):
        host = self.host({'root': ROOT_LINE + KEY, 'home/alice': OTHER})
        facts = engine.read_console(self.console(host), ID)
        self.assertIsNone(facts.login)
        self.assertEqual("no user has the machine's public key", facts.failure)

    def test_not_before_cloud_init_has_written_the_keys(self):
        host = self.host({'home/debian': KEY}, sem_age=-10)
        facts = engine.read_console(self.console(host), ID)
        self.assertIsNone(facts.login)
        self.assertEqual((), facts.host_keys)
