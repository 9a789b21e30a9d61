# SPDX-License-Identifier: Apache-2.0
"""A create from end to end."""

import base64
import json
import re
import ssl

import yaml

from dockermachine_osc import errors, pki, record
from dockermachine_osc.cloud import groups
from tests.unit import workbench

#: What a create changes in the cloud, in its order.
IN_ORDER = (
    'POST network /v2.0/security-groups',
    'POST network /v2.0/security-group-rules',
    'POST network /v2.0/ports',
    'POST compute /v2.1/servers',
    'PUT network /v2.0/floatingips/.*',
    'POST compute /v2.1/servers/.*/metadata',
)
#: And beside the making of the group and the port.
BESIDE = ('POST network /v2.0/floatingips',)
CHANGES = IN_ORDER + BESIDE


class TestCreate(workbench.MachinesTestCase):
    def server(self, name='web1'):
        servers = self.fake.things['servers'].values()
        return next(s for s in servers if s['name'] == name)

    def test_zero_options(self):
        machine = self.create()
        done = self.fake.mutations()
        for wanted in IN_ORDER, BESIDE:
            found = [
                x for x in done if any(re.fullmatch(p, x) for p in wanted)
            ]
            self.assertEqual(len(wanted), len(found))
            for pattern, line in zip(wanted, found, strict=True):
                self.assertRegex(line, f'^{pattern}$')
        self.assertEqual(len(CHANGES), len(done))
        # The certificate names the address.
        server = done.index('POST compute /v2.1/servers')
        self.assertIn('POST network /v2.0/floatingips', done[:server])
        self.assertEqual('running', machine.state)
        address = next(iter(self.fake.things['floatingips'].values()))
        url = f'tcp://{address["floating_ip_address"]}:2376'
        self.assertEqual(url, machine.url)
        self.assertEqual('web1', machine.context)

    def test_what_the_record_says(self):
        facts = self.create().server.record
        (group,) = self.fake.things['security-groups']
        (address,) = self.fake.things['floatingips'].values()
        self.assertEqual((), facts.problems)
        self.assertEqual('ready', facts.state)
        self.assertEqual('28.2.2', facts.engine_version)
        self.assertEqual('debian', facts.ssh_user)
        self.assertEqual(workbench.ED25519, facts.host_key)
        self.assertEqual('debian-12', facts.image)
        self.assertEqual(group, facts.security_group_id)
        self.assertEqual(address['id'], facts.floating_ip_id)
        self.assertEqual(address['port_id'], facts.port_id)
        for who in ('ca', 'server', 'client'):
            self.assertEqual(64, len(getattr(facts, f'{who}_fingerprint')))
            self.assertTrue(getattr(facts, f'{who}_expires'))

    def test_the_server_is_marked_from_its_first_moment(self):
        self.create()
        (body,) = self.fake.booted
        self.assertEqual([record.TAG], body['tags'])
        self.assertTrue(record.is_machine(body['metadata']))
        marks = {
            thing['description']
            for kind in ('ports', 'floatingips')
            for thing in self.fake.things[kind].values()
            if thing['description']
        }
        machine_id = self.server()['metadata']['docker-machine:id']
        self.assertEqual({record.mark(machine_id, 'web1')}, marks)

    def test_the_group_opens_what_is_needed_and_nothing_else(self):
        self.create(ssh_port=2222, engine_port=12376)
        (group,) = self.fake.things['security-groups'].values()
        opened = {
            (r['protocol'], r['port_range_min'], r['remote_ip_prefix'])
            for r in group['security_group_rules']
            if r['direction'] == 'ingress'
        }
        self.assertEqual(
            {('tcp', p, '0.0.0.0/0') for p in (2222, 12376)}, opened
        )

    def test_local_files_and_context(self):
        machine = self.create()
        names = {p.name for p in machine.folder.path.iterdir()}
        needed = {'ca.pem', 'cert.pem', 'key.pem', 'known_hosts'}
        self.assertEqual(set(), needed - names)
        known = (machine.folder.path / 'known_hosts').read_text()
        self.assertEqual(
            f'{machine.server.record.address} {workbench.ED25519}\n', known
        )
        context = ssl.create_default_context(
            cafile=machine.folder.path / 'ca.pem'
        )
        context.load_cert_chain(
            machine.folder.path / 'cert.pem', machine.folder.path / 'key.pem'
        )
        self.assertEqual(machine.server.record.id, self.contexts.owner('web1'))

    def test_no_secret_leaves_but_over_ssh(self):
        machine = self.create()
        (body,) = self.fake.booted
        shown = json.dumps([body, self.fake.holds()]).encode()
        shown += base64.b64decode(body['user_data'])
        ((command, stdin),) = self.guest.parcels
        for secret in machine.folder.path.iterdir():
            data = secret.read_bytes()
            if b'PRIVATE KEY' in data:
                line = data.splitlines()[1]
                self.assertNotIn(line, shown + command.encode() + stdin)
        # The server's own key is handed over, and kept nowhere here.
        self.assertIn(b'PRIVATE KEY', stdin)
        self.assertNotIn(
            'server-key.pem', [p.name for p in self.folder.rglob('*')]
        )

    def test_one_login_with_the_keys_of_the_console(self):
        machine = self.create()
        ((address, port, login, keys),) = self.guest.logins
        self.assertEqual((machine.server.record.address, 22), (address, port))
        self.assertEqual((workbench.ED25519,), keys)
        self.assertEqual('debian', login.user)
        self.assertFalse(login.agent)
        self.assertIn('PRIVATE KEY', login.key.read_text())

    def test_user_data_lets_that_key_in(self):
        self.create()
        data = base64.b64decode(self.fake.booted[0]['user_data'])
        self.assertTrue(yaml.safe_load(data))
        ((_, _, login, _),) = self.guest.logins
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_ssh_private_key(login.key.read_bytes(), None)
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH,
            serialization.PublicFormat.OpenSSH,
        )
        self.assertIn(public, data)

    def test_notes_and_steps(self):
        self.create()
        said = '\n'.join(self.told.notes)
        for words in ('debian-12', 'm1.small', 'private', 'public', '2376'):
            self.assertIn(words, said)
        self.assertIn('Installing Docker', self.told.steps)
        self.assertEqual([], self.told.warnings)

    def test_second_machine_shares_the_group(self):
        self.create('web1')
        self.create('web2')
        self.assertEqual(1, len(self.fake.things['security-groups']))
        self.assertEqual(2, len(self.fake.things['floatingips']))

    def test_half_made_group_is_completed(self):
        rules = groups.Rules.of(['0.0.0.0/0'], [22, 2376])
        there = self.fake.add_group(
            rules.group_name,
            f'{groups.DESCRIPTION_PREFIX}x',
            # Neutron shows an open rule in either form.
            [
                {'direction': 'ingress', 'protocol': 'tcp'}
                | {'port_range_min': 22, 'remote_ip_prefix': None}
                | {'ethertype': 'IPv4'}
            ],
        )
        self.create()
        ports = [r['port_range_min'] for r in there['security_group_rules']]
        self.assertEqual([22, 2376], ports)
        self.assertEqual(1, len(self.fake.things['security-groups']))

    def test_group_of_the_same_name_that_is_not_ours(self):
        rules = groups.Rules.of(['0.0.0.0/0'], [22, 2376])
        other = self.fake.add_group(rules.group_name, 'mine')
        facts = self.create().server.record
        self.assertNotEqual(other['id'], facts.security_group_id)

    def test_group_goes_while_it_is_being_used(self):
        self.create('web1')
        (group,) = self.fake.things['security-groups']

        def others_delete():
            self.fake.things['ports'] = {
                k: p
                for k, p in self.fake.things['ports'].items()
                if group not in p['security_groups']
            }
            del self.fake.things['security-groups'][group]

        self.fake.on('POST network /v2.0/ports', others_delete)
        facts = self.create('web2').server.record
        self.assertNotEqual(group, facts.security_group_id)
        self.assertIn(
            facts.security_group_id, self.fake.things['security-groups']
        )

    def test_group_goes_again_and_again(self):
        def refuse():
            self.fake.things['security-groups'].clear()
            self.fake.on('POST network /v2.0/ports', refuse)

        self.fake.on('POST network /v2.0/ports', refuse)
        error = self.assertRaises(errors.CloudFailure, self.create)
        self.assertIn('does not exist', str(error))
        tries = [m for m in self.fake.mutations() if m.endswith('/ports')]
        self.assertEqual(6, len(tries))

    def test_somebody_adds_the_same_rules_at_this_moment(self):
        def others_add():
            (group,) = self.fake.things['security-groups'].values()
            group['security_group_rules'] += [
                {'direction': 'ingress', 'protocol': 'tcp'}
                | {
                    'ethertype': 'IPv4',
                    'port_range_min': p,
                    'remote_ip_prefix': '0.0.0.0/0',
                }
                for p in (22, 2376)
            ]

        self.fake.on('POST network /v2.0/security-group-rules', others_add)
        self.assertEqual('running', self.create().state)

    def test_no_floating_ip(self):
        machine = self.create(no_floating_ip=True)
        self.assertEqual({}, self.fake.things['floatingips'])
        port = self.fake.things['ports'][machine.server.record.port_id]
        fixed = port['fixed_ips'][0]['ip_address']
        self.assertEqual(fixed, machine.server.record.address)

    def test_floating_ip_of_the_user(self):
        mine = self.fake.add_floating_ip(self.public)
        address = mine['floating_ip_address']
        facts = self.create(floating_ip=address).server.record
        self.assertEqual(address, facts.address)
        self.assertEqual(mine['port_id'], facts.port_id)
        self.assertEqual('', mine['description'])

    def test_port_of_the_user(self):
        mine = self.fake.add_port(self.private, name='p')
        facts = self.create(port='p').server.record
        self.assertEqual(mine['id'], facts.port_id)
        self.assertEqual('', facts.security_group_id)
        self.assertEqual({}, self.fake.things['security-groups'])

    def test_groups_of_the_user(self):
        groups_ = [self.fake.add_group(n)['id'] for n in ('a', 'b')]
        facts = self.create(security_groups=('a', groups_[1])).server.record
        port = self.fake.things['ports'][facts.port_id]
        self.assertEqual(groups_, port['security_groups'])

    def test_key_pair_of_the_user(self):
        pair = pki.new_ssh_key('mine')
        file = self.folder / 'mine'
        file.write_bytes(pair.private)
        self.fake.add_keypair('mine', pair.public)
        self.create(key_name='mine', ssh_key=file)
        self.assertEqual('mine', self.fake.booted[0]['key_name'])
        ((_, _, login, _),) = self.guest.logins
        self.assertEqual((file, True), (login.key, login.agent))
        self.assertNotIn('id_', ' '.join(self.local()))
        data = base64.b64decode(self.fake.booted[0]['user_data']).decode()
        self.assertIn(pair.public.split()[1], data)

    def test_further_options_reach_nova(self):
        self.create(
            availability_zone='nova',
            config_drive=True,
            properties={'team': 'blue'},
            tags=('a', 'b'),
            user_data=b'#!/bin/sh\ntrue\n',
        )
        (body,) = self.fake.booted
        self.assertEqual('nova', body['availability_zone'])
        self.assertTrue(body['config_drive'])
        self.assertEqual('blue', body['metadata']['team'])
        self.assertEqual([record.TAG, 'a', 'b'], body['tags'])
        data = base64.b64decode(body['user_data'])
        self.assertIn(b'/bin/sh', data)

    def test_silent_console(self):
        self.fake.console = ''
        self.create()
        ((*_, keys),) = self.guest.logins
        self.assertEqual((), keys)
        self.assertIn('trusted', self.told.warnings[0])

    def test_cloud_without_console(self):
        self.fake.refuse('POST compute .*/action', 403)
        self.create()
        ((_, _, login, keys),) = self.guest.logins
        self.assertEqual((), keys)
        self.assertEqual('debian', login.user)
        self.assertIn('trusted', self.told.warnings[0])

    def test_passing_faults_while_waiting(self):
        self.fake.refuse('GET compute /v2.1/servers/0', 502)
        self.fake.refuse('POST compute .*/action', 500)
        self.assertEqual('running', self.create().state)

    def test_context_that_is_something_elses(self):
        self.contexts.write('web1', 'tcp://1.2.3.4:2376', '', 'other')
        machine = self.create()
        self.assertEqual('defaults-web1', machine.context)
        self.assertIn('defaults-web1', self.told.warnings[0])
        self.assertEqual('other', self.contexts.owner('web1'))

    def test_no_context(self):
        self.assertEqual('', self.create(context=False).context)
        self.assertFalse(self.contexts.exists('web1'))

    def test_context_cannot_be_written(self):
        self.contexts.config_dir.write_text('in the way')
        machine = self.create()
        self.assertEqual(('running', ''), (machine.state, machine.context))
        self.assertIn('No Docker context', self.told.warnings[-1])

    def test_files_left_by_a_machine_that_is_gone(self):
        machine = self.create()
        old = machine.server.record.id
        for kind in ('servers', 'floatingips'):
            self.fake.things[kind].clear()
        self.contexts.remove('web1', old)
        again = self.create()
        self.assertNotEqual(old, again.server.record.id)
        self.assertIn('was left by', '\n'.join(self.told.notes))

    def test_files_of_a_machine_that_was_renamed(self):
        self.create()
        self.server()['name'] = 'web9'
        self.fake.log.clear()
        before = self.local()
        self.assertRefuses('web9', self.create, error=errors.NameTaken)
        self.assertEqual(before, self.local())
