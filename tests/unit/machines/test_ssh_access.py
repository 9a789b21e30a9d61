# SPDX-License-Identifier: Apache-2.0
"""Machines whose engine stays on its socket, from create to delete."""

import json

import fixtures

from dockermachine_osc import engine, errors, host, record
from tests.unit import workbench
from tests.unit.machines import adopting

VERSION = json.dumps(
    {
        'Version': '28.2.2',
        'ApiVersion': '1.50',
        'Os': 'linux',
        'Arch': 'amd64',
        'KernelVersion': '6.1.0',
    }
)


class Ssh(fixtures.Fixture):
    """The host at the end of the system's ssh.

    :ivar asked: the command lines.
    :ivar results: what the next commands come to; the last one stays.
    """

    def __init__(self):
        self.asked, self.results = [], [host.Result(0, VERSION, '')]

    def _setUp(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'dockermachine_osc.system_ssh.SystemHost', self._connect
            )
        )

    def _connect(self, argv):
        self._argv = argv
        return self

    def run(self, command, timeout=0):
        self.asked.append([*self._argv, command])
        result = self.results[0]
        if len(self.results) > 1:
            del self.results[0]
        if isinstance(result, Exception):
            raise result
        return result


class SshAccessTestCase(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.ssh = self.useFixture(Ssh())
        self.config = self.folder / 'store' / 'ssh_config'

    def create(self, name='web1', **options):
        return super().create(name, access='ssh', **options)

    def url(self, machine):
        return (
            f'ssh://{machine.server.name}.{machine.server.record.id[:8]}'
            '.docker-machine'
        )


class TestCreate(SshAccessTestCase):
    def test_machine(self):
        machine = self.create()
        self.assertEqual('running', machine.state)
        self.assertEqual(self.url(machine), machine.url)
        facts = machine.server.record
        self.assertEqual(('ssh', record.READY), (facts.access, facts.state))
        self.assertEqual('28.2.2', facts.engine_version)
        for field in ('ca', 'server', 'client'):
            self.assertEqual('', getattr(facts, f'{field}_fingerprint'))
            self.assertEqual('', getattr(facts, f'{field}_expires'))

    def test_one_login_and_no_other_question(self):
        self.create()
        self.assertEqual(1, len(self.guest.logins))
        self.assertEqual([], self.ssh.asked)
        ((_, stdin),) = self.guest.parcels
        self.assertIn(b'access=ssh\n', stdin)
        self.assertNotIn(b'server-key.pem\0', stdin)

    def test_only_ssh_is_opened(self):
        self.create(ssh_port=2376)
        self.assertIn(
            'open: tcp 2376 from 0.0.0.0/0 (narrow it with --allow-cidr)',
            self.told.notes,
        )
        self.create('web2')
        opened = [
            rule['port_range_min']
            for group in self.fake.things['security-groups'].values()
            for rule in group['security_group_rules']
            if rule['direction'] == 'ingress'
        ]
        self.assertEqual([22, 2376], sorted(opened))

    def test_local_files(self):
        folder = self.create().folder
        self.assertEqual(
            ['id_ed25519', 'known_hosts', 'record.json'],
            sorted(path.name for path in folder.path.iterdir()),
        )
        text = self.config.read_text()
        self.assertIn(f'UserKnownHostsFile "{folder.path}/known_hosts"', text)
        self.assertIn(f'IdentityFile "{folder.path}/id_ed25519"', text)
        self.assertIn('  User debian\n', text)

    def test_context(self):
        machine = self.create()
        (meta,) = (self.folder / 'docker').rglob('meta.json')
        endpoint = json.loads(meta.read_text())['Endpoints']['docker']
        self.assertEqual(self.url(machine), endpoint['Host'])
        self.assertEqual([], list((self.folder / 'docker').rglob('*.pem')))

    def test_the_users_configuration_of_ssh(self):
        self.create()
        line = self.users_ssh.path.read_text()
        self.assertEqual(f'Include "{self.config}"\n', line)
        (said,) = self.told.warnings
        self.assertIn(line.strip(), said)
        self.create('web2')
        self.assertEqual([said], self.told.warnings)
        self.assertEqual(line, self.users_ssh.path.read_text())
        self.assertEqual(2, self.config.read_text().count('\nHost '))

    def test_it_cannot_be_written(self):
        self.users_ssh.path.parent.write_text('in the way')
        self.assertEqual('running', self.create().state)
        (said,) = self.told.warnings
        self.assertIn(f'first line is: Include "{self.config}"', said)

    def test_nor_can_our_own(self):
        self.config.mkdir(parents=True)
        self.assertEqual('running', self.create().state)
        (said,) = self.told.warnings
        self.assertIn('docker cannot find this machine yet', said)

    def test_failure_leaves_nothing(self):
        self.guest.status = engine.EXIT_INSTALL
        self.guest.lines = ['failed there is no docker command']
        self.assertRaises(errors.EngineFailure, self.create)
        self.assertFalse(self.config.exists())
        self.assertFalse(self.users_ssh.path.exists())

    def test_what_means_nothing(self):
        for options in ({'engine_port': 2377}, {'tls_sans': ('a.example',)}):
            self.assertRefuses(
                '--access ssh excludes', lambda o=options: self.create(**o)
            )
        self.assertRefuses(
            "--access 'telnet' is not known",
            lambda: workbench.MachinesTestCase.create(self, access='telnet'),
        )

    def test_tls_machines_have_no_part_in_it(self):
        workbench.MachinesTestCase.create(self, 'web2')
        self.assertFalse(self.config.exists())
        self.delete('web2')
        self.assertFalse(self.users_ssh.path.exists())
        self.assertEqual([], self.told.warnings)


class TestDelete(SshAccessTestCase):
    def test_the_last_one_takes_the_line_along(self):
        self.users_ssh.path.parent.mkdir()
        self.users_ssh.path.write_text('Host *\n')
        self.create()
        self.create('web2')
        self.delete()
        self.assertIn('Include', self.users_ssh.path.read_text())
        self.assertNotIn('Host web1.', self.config.read_text())
        notes = workbench.Notes()
        self.machines.delete('web2', 300, reporter=notes)
        self.assertIn('is without our line again', notes.notes[0])
        self.assertEqual('Host *\n', self.users_ssh.path.read_text())
        self.assertFalse(self.config.exists())

    def test_gone_from_the_cloud(self):
        self.create()
        for things in ('servers', 'ports', 'floatingips'):
            self.fake.things[things].clear()
        self.assertTrue(self.delete())
        self.assertFalse(self.config.exists())
        self.assertFalse(self.users_ssh.path.exists())


class TestLater(SshAccessTestCase):
    def setUp(self):
        super().setUp()
        self.machine = self.create()

    def test_list_asks_through_ssh(self):
        (machine,) = self.machines.list(5)
        self.assertEqual(workbench.FACTS, machine.engine)
        (argv,) = self.ssh.asked
        known = f'UserKnownHostsFile="{self.machine.folder.path}/known_hosts"'
        self.assertIn(known, argv)
        self.assertIn('StrictHostKeyChecking=yes', argv)
        self.assertEqual(
            "docker version --format '{{json .Server}}'", argv[-1]
        )

    def test_answers_that_are_none(self):
        for result, words in (
            (host.Result(1, '', 'x\nCannot connect'), 'Cannot connect'),
            (host.Result(127, '', ''), 'says nothing'),
            (host.Result(0, 'Welcome!', ''), 'not as an engine'),
            (host.HostKeyChanged('changed'), 'changed'),
        ):
            self.ssh.results = [result]
            (machine,) = self.machines.list(5)
            self.assertIn(words, str(machine.engine))

    def test_without_keys_here(self):
        self.machine.folder.remove()
        (machine,) = self.machines.list(5)
        self.assertIsNone(machine.engine)
        address = machine.server.record.address
        self.assertEqual(f'ssh://debian@{address}', machine.url)

    def test_start_waits(self):
        refused = errors.HostFailure('connection refused')
        none = host.Result(1, '', 'Cannot connect')
        self.ssh.results = [refused, none, *self.ssh.results]
        self.machines.start('web1', 60)
        self.assertEqual(3, len(self.ssh.asked))

    def test_start_waits_no_longer_than_that(self):
        self.ssh.results = [errors.HostFailure('connection refused')]
        error = self.assertRaises(
            errors.HostFailure, self.machines.start, 'web1', 60
        )
        self.assertIn('connection refused', str(error))

    def test_another_host_key_is_not_waited_out(self):
        self.ssh.results = [host.HostKeyChanged('changed')]
        self.assertRaises(host.HostKeyChanged, self.machines.start, 'web1', 60)
        self.assertEqual(1, len(self.ssh.asked))

    def test_provision(self):
        self.assertFalse(self.machines.provision('web1', self.told, 60))
        self.assertEqual(1, len(self.guest.parcels))
        self.ssh.results = [host.Result(1, '', 'Cannot connect')]
        self.assertTrue(self.machines.provision('web1', self.told, 60))
        self.assertIn(b'access=ssh\n', self.guest.parcels[1][1])

    def test_a_new_address_reaches_ssh(self):
        (server,) = self.fake.things['servers'].values()
        server['metadata']['docker-machine:address'] = '192.0.2.99'
        server['addresses']['net'] = [{'version': 4, 'addr': '192.0.2.99'}]
        before = self.machine.server.record.address
        self.machines.show('web1')
        text = self.config.read_text()
        self.assertIn('HostName 192.0.2.99\n', text)
        # The key is still the one that was pinned.
        self.assertIn(f'HostKeyAlias {before}\n', text)

    def test_renamed(self):
        self.machines.rename('web1', 'web2')
        machine = self.machines.get('web2')
        self.assertEqual(self.url(machine), machine.url)
        text = self.config.read_text()
        self.assertIn(f'Host {machine.url.removeprefix("ssh://")}\n', text)
        self.assertIn(f'"{machine.folder.path}/known_hosts"', text)
        self.assertNotIn('Host web1.', text)

    def test_hostile_metadata(self):
        (server,) = self.fake.things['servers'].values()
        for key, value in (
            ('ssh-user', 'x\n  ProxyCommand touch /tmp/x'),
            ('address', '192.0.2.7\n  ProxyCommand x'),
            ('ssh-port', '22\n  ProxyCommand x'),
        ):
            server['metadata'][f'docker-machine:{key}'] = value
            self.machines.show('web1')
            if self.config.exists():
                self.assertNotIn('Proxy', self.config.read_text())

    def test_no_certificates(self):
        self.fake.log.clear()
        for call in (
            lambda: self.machines.certificates('web1', 5),
            lambda: self.machines.renew(
                'web1', frozenset({'client'}), self.told, 60
            ),
        ):
            self.assertRefuses("'web1' has no certificates", call)

    def test_check(self):
        links = self.machines.check('web1', 5)
        self.assertEqual(
            ['server', 'address', 'security group', 'route to SSH', 'login'],
            [link.name for link in links][:5],
        )
        self.assertEqual('docker over SSH', links[-1].name)
        group = links[2]
        self.assertEqual(
            (True, '22 from 0.0.0.0/0'), (group.holds, group.detail)
        )


class TestAdopt(adopting.AdoptingTestCase):
    def setUp(self):
        super().setUp()
        self.host.lines['look'].append('fact member debian')
        self.config = self.folder / 'store' / 'ssh_config'

    def test_changes(self):
        group, *more = self.propose(access='ssh').changes
        self.assertIn('add user debian to group docker: who logs in', group)
        self.assertNotIn('restart', ' '.join(more))
        self.assertNotIn('security group', ' '.join(more))

    def test_nothing_but_the_record(self):
        self.host.lines['look'].remove('fact member debian')
        changes = ' '.join(self.propose(access='ssh').changes)
        self.assertNotIn('group', changes)
        self.assertNotIn('engine', changes)

    def test_engine_that_does_not_run(self):
        self.host.lines['look'].remove('fact state active')
        self.host.lines['look'].append('fact state inactive')
        changes = self.propose(access='ssh').changes
        self.assertIn('start the engine', changes)

    def test_hostile_user(self):
        self.host.lines['look'][-1] = 'fact member x; reboot'
        changes = ' '.join(self.propose(access='ssh').changes)
        self.assertNotIn('reboot', changes)

    def test_adopted_and_left(self):
        groups = list(self.port['security_groups'])
        machine = self.adopt(access='ssh')
        self.assertEqual('ssh', machine.server.record.access)
        self.assertEqual(groups, self.port['security_groups'])
        text = self.config.read_text()
        self.assertNotIn('IdentityFile', text)
        self.assertIn(f'HostName {self.address}\n', text)
        self.delete()
        self.assertEqual('leave', self.host.verbs()[-1])
        self.assertFalse(self.users_ssh.path.exists())

    def test_of_another_access_already(self):
        self.adopt()
        self.fake.log.clear()
        error = self.assertRefused('with --access tls already', access='ssh')
        self.assertIn('delete web1', error.hint)

    def test_behind_a_jump_host(self):
        for option in ('proxyjump bastion', 'proxycommand nc %h %p'):
            self.host.config = f'user debian\nport 22\n{option}\n'
            error = self.assertRefused(option.split(maxsplit=1)[1])
            self.assertIn('adopt --access ssh', error.hint)
            self.assertTrue(self.propose(access='ssh').changes)

    def test_jump_host_that_is_no_need(self):
        self.host.config += 'proxyjump bastion\n'
        self.host.open = True
        self.assertTrue(self.propose().changes)
