# SPDX-License-Identifier: Apache-2.0
"""What ssh itself makes of our configuration, and of the user's with it."""

import dataclasses
import os
import pwd
import subprocess
from pathlib import Path

import fixtures
from oslotest import base

from dockermachine_osc import errors, sshconfig

ENTRY = sshconfig.Entry(
    'web1.0123abcd.docker-machine',
    '192.0.2.7',
    22,
    'debian',
    Path('/store/web1/known_hosts'),
    '192.0.2.7',
    Path('/store/web1/id_ed25519'),
)
USERS = b'# mine\r\nHost *\n  User other\n  Port 99\n\xff\xfe no newline'


def resolve(config, alias=ENTRY.alias):
    """Give what ssh would do, by the options of ssh_config in lower case."""
    done = subprocess.run(
        ['ssh', '-F', str(config), '-G', alias],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(' ')
        found.setdefault(key, []).append(value)
    return found


class SshConfigTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.top = Path(self.useFixture(fixtures.TempDir()).path)
        self.users = self.top / '.ssh' / 'config'
        self.root = self.top / 'data'
        self.root.mkdir(mode=0o700)
        self.config = sshconfig.SshConfig(self.root, self.users)

    def have(self, text, mode=0o600):
        self.users.parent.mkdir(mode=0o700, exist_ok=True)
        self.users.write_bytes(text)
        self.users.chmod(mode)

    def entry(self, **changes):
        return dataclasses.replace(ENTRY, **changes)


class TestRender(SshConfigTestCase):
    def resolved(self, *entries, alias=ENTRY.alias, more=''):
        path = self.top / 'rendered'
        path.write_text(sshconfig.render(entries) + more)
        return resolve(path, alias)

    def test_what_ssh_makes_of_it(self):
        found = self.resolved(ENTRY, more='Host *\n  User other\n  Port 99\n')
        for option, value in {
            'hostname': '192.0.2.7',
            'port': '22',
            'user': 'debian',
            'identityfile': '/store/web1/id_ed25519',
            'identitiesonly': 'yes',
            'userknownhostsfile': '/store/web1/known_hosts',
            'globalknownhostsfile': '/dev/null',
            'stricthostkeychecking': 'true',
            'hostkeyalias': '192.0.2.7',
        }.items():
            self.assertEqual([value], found[option], option)

    def test_each_machine_by_its_own_name(self):
        other = self.entry(
            alias='web1.89abcdef.docker-machine', address='192.0.2.8'
        )
        for entry in (ENTRY, other):
            found = self.resolved(ENTRY, other, alias=entry.alias)
            self.assertEqual([entry.address], found['hostname'])

    def test_other_hosts_are_left_alone(self):
        path = self.top / 'empty'
        path.write_text('')
        for host in ('192.0.2.7', 'web1', 'x.docker-machine'):
            self.assertEqual(
                resolve(path, host), self.resolved(ENTRY, alias=host)
            )

    def test_without_user_and_key(self):
        found = self.resolved(
            self.entry(user='', key=None), more='Host *\n  User other\n'
        )
        self.assertEqual(['other'], found['user'])
        self.assertEqual(['no'], found['identitiesonly'])

    def test_what_the_user_has_set_for_the_address_holds(self):
        found = self.resolved(
            ENTRY,
            more='Host 192.0.2.*\n  ProxyJump bastion\n  User nobody\n'
            '  HostKeyAlias theirs\n  StrictHostKeyChecking no\n'
            '  UserKnownHostsFile /theirs\n',
        )
        self.assertEqual(['bastion'], found['proxyjump'])
        self.assertEqual(['debian'], found['user'])
        self.assertEqual(['192.0.2.7'], found['hostkeyalias'])
        self.assertEqual(['true'], found['stricthostkeychecking'])
        self.assertEqual(
            ['/store/web1/known_hosts'], found['userknownhostsfile']
        )

    def test_ipv6_and_another_port(self):
        found = self.resolved(
            self.entry(
                address='2001:db8::7', port=2222, known_as='[2001:db8::7]:2222'
            )
        )
        self.assertEqual(['2001:db8::7'], found['hostname'])
        self.assertEqual(['2222'], found['port'])
        self.assertEqual(['[2001:db8::7]:2222'], found['hostkeyalias'])

    def test_paths(self):
        for name in ('a b', "o'neil", 'a"b', 'a\\b', '100%', '%h', '$x', 'ü#'):
            path = Path('/home') / name / 'known_hosts'
            found = self.resolved(self.entry(known_hosts=path, key=path))
            self.assertEqual([str(path)], found['userknownhostsfile'])
            # A token in this one is resolved later.
            (key,) = found['identityfile']
            self.assertEqual(str(path), key.replace('%%', '%'))

    def test_hostile_values(self):
        for changes in (
            {'address': '192.0.2.7\nProxyCommand touch /tmp/x'},
            {'address': '-oProxyCommand=x'},
            {'address': 'example.com'},
            {'address': 'fe80::1%eth0'},
            {'address': ''},
            {'port': 0},
            {'port': 65536},
            {'user': 'a\n  ProxyCommand x'},
            {'user': '-oProxyCommand=x'},
            {'user': 'a b'},
            {'user': 'x' * 33},
            {'alias': '*'},
            {'alias': 'a b'},
            {'alias': '-x'},
            {'alias': 'a\nHost *'},
            {'known_as': '192.0.2.7\n  ProxyCommand x'},
            {'known_as': '|1|abc|def'},
            {'known_as': ''},
            {'known_hosts': Path('/a\n  ProxyCommand x')},
            {'known_hosts': Path('/a/${HOME}')},
            {'key': Path('/a\n  ProxyCommand x')},
            {'key': Path('/a/${HOME}')},
        ):
            error = self.assertRaises(
                errors.StoreFailure, sshconfig.render, [self.entry(**changes)]
            )
            self.assertIn('cannot stand in a configuration', str(error))
            self.assertTrue(error.message.isprintable())


class TestUpdate(SshConfigTestCase):
    def test_the_users_file_is_as_it_was_afterwards(self):
        for text, mode in (
            (USERS, 0o600),
            (b'Host a\n', 0o644),
            (b'\n', 0o400),
            (None, 0),
        ):
            if text is not None:
                self.have(text, mode)
            said = self.config.update([ENTRY])
            self.assertIn(f'{self.users} begins with a line of ours', said)
            after = self.users.read_bytes()
            self.assertEqual(
                f'{self.config.line}\n'.encode() + (text or b''), after
            )
            self.assertEqual(mode or 0o600, self.users.stat().st_mode & 0o777)
            self.assertEqual('', self.config.update([ENTRY]))
            self.assertEqual(after, self.users.read_bytes())
            said = self.config.update([])
            self.assertIn(f'{self.users} is without our line', said)
            if text is None:
                self.assertFalse(self.users.exists())
            else:
                self.assertEqual(text, self.users.read_bytes())
                self.assertEqual(mode, self.users.stat().st_mode & 0o777)
                self.users.unlink()
            self.assertFalse(self.config.path.exists())
            self.assertEqual('', self.config.update([]))

    def test_ssh_finds_it_whatever_the_folder_is_called(self):
        for name in (
            'a b',
            'a"b',
            "it's",
            'a\\b',
            '100%d',
            '[x]*?',
            '${HOME}',
        ):
            root = self.top / name
            root.mkdir()
            config = sshconfig.SshConfig(root, self.users)
            config.update([ENTRY])
            self.assertEqual(['192.0.2.7'], resolve(self.users)['hostname'])
            config.update([])
            self.assertFalse(self.users.exists())

    def test_it_comes_before_what_the_user_says_of_all_hosts(self):
        self.have(b'Host *\n  HostName elsewhere.example\n  User other\n')
        self.config.update([ENTRY])
        found = resolve(self.users)
        self.assertEqual(['192.0.2.7'], found['hostname'])
        self.assertEqual(['debian'], found['user'])

    def written(self):
        """Tell when the user's file was written last; reading it is fine."""
        status = self.users.stat()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns

    def test_only_our_file_changes_with_further_machines(self):
        other = self.entry(alias='web2.89abcdef.docker-machine')
        self.have(USERS)
        self.config.update([ENTRY])
        before = self.written()
        self.assertEqual('', self.config.update([ENTRY, other]))
        self.assertIn(other.alias, self.config.path.read_text())
        self.assertEqual('', self.config.update([other]))
        self.assertNotIn(ENTRY.alias, self.config.path.read_text())
        self.assertEqual(before, self.written())
        self.assertEqual(0o600, self.config.path.stat().st_mode & 0o777)

    def test_a_user_who_includes_it_already(self):
        for text in (
            f'Include {self.root}/*\nHost *\n  User x\n',
            f'Host *.docker-machine\n  Include "{self.root}/ssh_config"\n',
            f'Match all\n  Include {self.top}/x {self.root}/ssh_config\n',
        ):
            self.have(text.encode())
            self.assertEqual('', self.config.update([ENTRY]))
            self.assertEqual(text, self.users.read_text())
            self.assertEqual('', self.config.update([]))
            self.assertEqual(text, self.users.read_text())

    def test_an_include_of_no_use(self):
        text = f'Host elsewhere\n  Include {self.root}/ssh_config\n'
        self.have(text.encode())
        self.assertIn('begins with a line', self.config.update([ENTRY]))
        self.assertEqual(['192.0.2.7'], resolve(self.users)['hostname'])
        self.config.update([])
        self.assertEqual(text, self.users.read_text())

    def test_moved_by_the_user(self):
        self.have(b'Host a\n  User b\n')
        self.config.update([ENTRY])
        text = f'Host a\n  User b\n\nMatch all\n{self.config.line}\n# end\n'
        self.users.write_text(text)
        self.assertEqual('', self.config.update([ENTRY]))
        self.config.update([])
        self.assertEqual(
            'Host a\n  User b\n\nMatch all\n# end\n', self.users.read_text()
        )

    def test_a_link(self):
        self.have(b'')
        self.users.unlink()
        real = self.top / 'dotfiles'
        for text in (b'Host a\n', b''):
            real.write_bytes(text)
            self.users.symlink_to(real)
            self.config.update([ENTRY])
            self.assertTrue(self.users.is_symlink())
            self.assertIn(self.config.line.encode(), real.read_bytes())
            self.config.update([])
            self.assertTrue(self.users.is_symlink())
            self.assertEqual(text, real.read_bytes())
            self.users.unlink()

    def test_cannot_be_written(self):
        for make in (self._a_folder, self._a_link_to_nowhere, self._a_file):
            make()
            said = self.config.update([ENTRY])
            self.assertIn(f'{self.users} cannot be written', said)
            self.assertIn(f'first line is: {self.config.line}', said)
            self.assertIn(ENTRY.alias, self.config.path.read_text())
            self.config.update([])
            self._clear()

    def _a_folder(self):
        self.users.mkdir(parents=True)

    def _a_link_to_nowhere(self):
        self.users.parent.mkdir()
        self.users.symlink_to(self.top / 'gone' / 'config')

    def _a_file(self):
        self.users.parent.write_text('in the way')

    def _clear(self):
        if self.users.is_symlink():
            self.users.unlink()
        elif self.users.exists():
            self.users.rmdir()
        if self.users.parent.is_dir():
            self.users.parent.rmdir()
        else:
            self.users.parent.unlink()

    def test_somebody_elses(self):
        self.have(USERS)
        self.useFixture(
            fixtures.MonkeyPatch('os.geteuid', lambda: os.getuid() + 1)
        )
        self.assertIn(
            'it belongs to another user', self.config.update([ENTRY])
        )
        self.assertEqual(USERS, self.users.read_bytes())

    def test_our_own_file_cannot_be_written(self):
        self.config.path.mkdir()
        error = self.assertRaises(
            errors.StoreFailure, self.config.update, [ENTRY]
        )
        self.assertIn(str(self.config.path), str(error))
        self.assertFalse(self.users.exists())


class TestUsersFile(base.BaseTestCase):
    def test_not_by_home(self):
        self.useFixture(fixtures.EnvironmentVariable('HOME', '/elsewhere'))
        home = pwd.getpwuid(os.getuid()).pw_dir
        self.assertEqual(Path(home, '.ssh/config'), sshconfig.users_file())

    def test_no_such_user(self):
        self.useFixture(fixtures.MonkeyPatch('os.getuid', lambda: 4_000_000))
        self.assertRaises(errors.StoreFailure, sshconfig.users_file)
