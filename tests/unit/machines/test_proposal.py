# SPDX-License-Identifier: Apache-2.0
"""What is seen of a server before it is adopted, and what is refused."""

from pathlib import Path

from dockermachine_osc import errors, host, record
from tests.unit.machines import adopting


class TestServer(adopting.AdoptingTestCase):
    def test_by_name_id_and_address(self):
        fixed = self.port['fixed_ips'][0]['ip_address']
        for wanted, address in (
            ('web1', self.address),
            (self.server['id'], self.address),
            (self.address, self.address),
            (fixed, fixed),
        ):
            proposal = self.propose(wanted)
            self.assertEqual(self.server['id'], proposal.server.id)
            self.assertEqual(address, proposal.way.address)

    def test_none(self):
        self.assertRefused(['nope', 'openstack server list'], 'nope')

    def test_two_of_a_name(self):
        other = self.fake.add_server('web1')
        self.assertRefused([other['id'], self.server['id'], 'the id'])

    def test_off(self):
        self.server['status'] = 'SHUTOFF'
        self.assertRefused(['is SHUTOFF', 'openstack server start'])

    def test_no_name_of_a_machine(self):
        self.server['name'] = 'web_1'
        self.assertRefused('openstack server set --name', 'web_1')

    def test_no_address(self):
        self.fake.add_server('bare')
        self.assertRefused('has no address', 'bare')

    def test_machine_of_another_workstation(self):
        self.foreign_machine('theirs', origin=record.ADOPTED)
        self.assertRefused('not on this workstation', 'theirs')

    def test_machine_that_was_created(self):
        """Its record would be lost, and with it what delete has to do."""
        self.create('made')
        before = self.fake.holds()
        error = self.assertRaises(errors.InvalidRequest, self.propose, 'made')
        self.assertIn('openstack docker machine provision made', str(error))
        self.assertHolds(before)

    def test_name_of_another_machine(self):
        self.foreign_machine('web1')
        wanted = self.server['id']
        self.assertRefused(["name 'web1'", 'set --name'], wanted)

    def test_files_of_another_machine_are_safe(self):
        """A machine that was renamed still needs its keys."""
        self.create('made')
        (server,) = [
            s for s in self.fake.things['servers'].values() if s != self.server
        ]
        server['name'] = 'renamed'
        self.server['name'] = 'made'
        self.fake.log.clear()
        self.assertRefused("'renamed'", 'made')

    def test_files_of_a_machine_that_is_gone(self):
        """They make way when something is changed, not before."""
        self.create('made')
        for key, server in list(self.fake.things['servers'].items()):
            if server['name'] == 'made':
                del self.fake.things['servers'][key]
        self.server['name'] = 'made'
        folder = self.files.machine('made')
        before = folder.read('ca.pem')
        self.propose('made')
        self.assertEqual(before, folder.read('ca.pem'))
        self.adopt('made')
        self.assertNotEqual(before, folder.read('ca.pem'))
        self.assertTrue(self.contexts.exists('made'))


class TestWay(adopting.AdoptingTestCase):
    def argv(self):
        (_, argv), *_ = self.host.visits
        return ' '.join(argv)

    def test_left_to_ssh(self):
        self.host.config = 'user carol\nport 2222\n'
        way = self.propose().way
        self.assertEqual(('carol', 2222), (way.user, way.port))

    def test_said(self):
        key = self.folder / 'key'
        key.touch()
        self.propose(ssh_user='debian', ssh_key=key, ssh_port=2200)
        self.assertIn(f'-i {key}', self.argv())

    def test_key_that_is_not_there(self):
        self.assertRefused('no such file', ssh_key=Path('/nope'))

    def test_no_options_in_disguise(self):
        self.assertRefused("begins with '-'", '-oProxyCommand=x')
        self.assertRefused("begins with '-'", ssh_user='-oProxyCommand=x')

    def test_keys_of_the_console_are_known(self):
        self.assertEqual((adopting.KEY,), self.propose().way.host_keys)
        self.assertIn('known_hosts', self.argv())
        self.assertIn('StrictHostKeyChecking=yes', self.argv())

    def test_ssh_fails(self):
        self.host.failures['look'] = host.HostKeyChanged('Not trusted')
        self.assertRefused('Not trusted')


class TestChanges(adopting.AdoptingTestCase):
    def test_engine_with_containers(self):
        drop_in, restart, group, metadata = self.propose().changes
        self.assertIn('drop-in', drop_in)
        self.assertIn('2 running container(s) stop', restart)
        self.assertIn('tcp 2376 from 0.0.0.0/0', group)
        self.assertIn('metadata', metadata)

    def test_live_restore(self):
        self.host.lines['look'][-1] = 'fact live-restore true'
        self.assertIn('run on', ' '.join(self.propose().changes))

    def test_no_containers(self):
        self.host.lines['look'][-2] = 'fact containers 0'
        self.assertIn('restart the engine once', self.propose().changes)

    def test_no_engine(self):
        self.host.lines['look'] = adopting.NO_ENGINE
        first, *others = self.propose().changes
        self.assertEqual('install Docker Engine (apt)', first)
        self.assertNotIn('restart', ' '.join(others))

    def test_port_that_is_open(self):
        self.host.open = True
        self.assertNotIn('group', ' '.join(self.propose().changes))

    def test_networks_and_port_as_asked(self):
        said = ' '.join(
            self.propose(allow_cidrs=('192.0.2.0/24',), engine_port=1).changes
        )
        self.assertIn('tcp 1 from 192.0.2.0/24', said)

    def test_nothing_is_written(self):
        before = self.fake.holds()
        self.propose()
        self.assertHolds(before)
        self.assertEqual([], self.local())
        self.assertEqual([], self.fake.mutations())

    def test_conflict(self):
        lines = self.host.lines['look']
        lines += ['hint take it out', 'failed daemon.json sets "hosts"']
        self.host.statuses['look'] = 71
        self.assertRefused(
            ['cannot be adopted', 'sets "hosts"', 'take it out']
        )

    def test_no_engine_to_be_had(self):
        lines = [*adopting.NO_ENGINE[:-1], 'fact method unsupported']
        self.host.lines['look'] = [*lines, "failed 'nix' has no engine"]
        self.host.statuses['look'] = 69
        self.assertRefused(['cannot be adopted', 'no engine'])

    def test_sudo_asks_for_a_password(self):
        self.host.lines['look'] = []
        self.host.statuses['look'] = 77
        self.assertRefused('password')

    def test_hostile_facts(self):
        self.host.lines['look'] += [
            'fact containers many',
            'fact hostkey ssh-rsa x y\x1b[2J',
            'fact',
        ]
        proposal = self.propose()
        self.assertIsNone(proposal.findings.containers)
        self.assertEqual((adopting.KEY,), proposal.findings.host_keys)
