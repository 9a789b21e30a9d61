# SPDX-License-Identifier: Apache-2.0
"""create, as it is typed."""

import json
import logging

from dockermachine_osc import errors, pki
from tests.unit import workbench
from tests.unit.commands import shell


class TestCreate(shell.ShellTestCase):
    def body(self):
        (body,) = self.fake.booted
        return body

    def test_zero_options(self):
        ran = self.succeeds('create', 'web1')
        self.assertIn('| name ', ran.stdout)
        self.assertIn('running', ran.stdout)
        self.assertIn('image: debian-12 (the only', ran.stderr)
        self.assertTrue(ran.stderr.endswith('docker --context web1 ps\n'))
        self.assertEqual(1, len(self.fake.things['servers']))

    def test_json_is_typed_and_alone_on_stdout(self):
        shown = self.succeeds('create', 'web1', '-f', 'json').json
        self.assertEqual(2376, shown['engine_port'])
        self.assertEqual(['docker-machine'], shown['tags'])
        self.assertIsInstance(shown['addresses'], list)
        self.assertIsInstance(shown['owned'], dict)
        self.assertIsNone(shown['key_name'])
        self.assertEqual('web1', shown['docker_context'])
        text = json.dumps(shown)
        self.assertNotIn('PRIVATE', text)

    def test_debug_shows_no_secret(self):
        self.setenv('TOKEN', 'value-1')
        logging.getLogger('dockermachine_osc').setLevel(logging.DEBUG)
        proxy = '--http-proxy=http://me:value-2@192.0.2.9:3128'
        ran = self.run_openstack(
            *('--debug', 'docker', 'machine', 'create', 'web1'),
            *('--engine-env', 'TOKEN', '--engine-env', 'OTHER=value-3', proxy),
        )
        self.assertEqual(0, ran.status, ran.stderr)
        told = [x for x in ran.stderr.splitlines() if 'Namespace(' in x]
        self.assertIn("'TOKEN': '***'", ''.join(told))
        for line in told:
            self.assertNotIn('value-', line)
        self.assertNotIn('value-1', ran.stderr)

    def test_quiet(self):
        ran = self.run_openstack('-q', 'docker', 'machine', 'create', 'web1')
        self.assertEqual((0, ''), (ran.status, ran.stderr))

    def test_terminal_shows_steps_in_place(self):
        ran = self.succeeds('create', 'web1', terminal=True)
        self.assertIn('Creating the server ...', ran.stderr)
        self.assertIn('\r\x1b[K', ran.stderr)
        self.assertIn('\x1b[Kready: docker --context web1 ps\n', ran.stderr)
        self.assertTrue(ran.stderr.endswith('\x1b[K'))

    def test_no_escapes_where_there_is_no_terminal(self):
        ran = self.succeeds('create', 'web1')
        self.assertNotIn('\x1b', ran.stderr)
        self.assertNotIn('Creating the server', ran.stderr)

    def test_all_options(self):
        network = self.fake.add_network('net2')
        self.fake.add_router(self.public, network)
        pair = pki.new_ssh_key('mine')
        key = self.home / 'key'
        key.write_bytes(pair.private)
        self.fake.add_keypair('mine', pair.public)
        data = self.home / 'data'
        data.write_text('#!/bin/sh\n')
        self.succeeds(
            *('create', 'web1', '--flavor', 'm1.small', '--image'),
            *('debian-12', '--network', 'net2', '--key-name', 'mine'),
            *('--ssh-key', '~/key', '--ssh-user', 'me', '--ssh-port', '2222'),
            *('--availability-zone', 'nova', '--user-data', str(data)),
            *('--config-drive', '--property', 'a=b', '--property', 'c=d'),
            *('--tag', 't1', '--tag', 't2', '--external-network', 'public'),
            *('--allow-cidr', '10.0.0.0/8', '--allow-cidr', '192.0.2.0/24'),
            *('--tls-san', 'web1.example.org', '--engine-port', '12376'),
            *('--engine-source', 'docker', '--engine-version', '28'),
            *('--timeout', '900', '--no-context', '--keep-on-failure'),
        )
        body = self.body()
        self.assertEqual(['docker-machine', 't1', 't2'], body['tags'])
        self.assertEqual(
            ('b', 'd'), (body['metadata']['a'], body['metadata']['c'])
        )
        self.assertEqual('mine', body['key_name'])
        ((_, port, login, _),) = self.guest.logins
        self.assertEqual((2222, 'me', key), (port, login.user, login.key))
        (group,) = self.fake.things['security-groups'].values()
        opened = {
            (r['port_range_min'], r['remote_ip_prefix'])
            for r in group['security_group_rules']
            if r['direction'] == 'ingress'
        }
        self.assertEqual(
            {
                (p, c)
                for p in (2222, 12376)
                for c in ('10.0.0.0/8', '192.0.2.0/24')
            },
            opened,
        )
        self.assertFalse(self.contexts.exists('web1'))
        certificate = self.handed_over('server.pem')
        self.assertIn('web1.example.org', pki.facts(certificate).names)

    def handed_over(self, name):
        import io
        import tarfile

        ((_, stdin),) = self.guest.parcels
        with tarfile.open(fileobj=io.BytesIO(stdin)) as archive:
            return archive.extractfile(name).read()

    def test_refused_with_the_choices(self):
        other = self.fake.add_image('ubuntu', 'ubuntu')
        ran = self.fails(
            1, ['Which image?', other['id'], '--image'], 'create', 'web1'
        )
        self.assertEqual('', ran.stdout)
        self.assertEqual([], self.fake.mutations())

    def test_options_that_are_none(self):
        for words, *options in (
            ("'x' is not a port", '--engine-port', 'x'),
            ("'0' is not a port", '--ssh-port', '0'),
            ("'70000' is not a port", '--ssh-port', '70000'),
            ('not a time', '--timeout', 'soon'),
            ('not a time', '--timeout', '-1'),
            ('not a time', '--timeout', 'nan'),
            ('unrecognized', '--no-such-option'),
            ('is not of the form', '--nic', 'net-name=n'),
            ('is not of the form', '--nic', 'net-id=n,net-id=m'),
            ('is not of the form', '--nic', 'net-id='),
            ("'none' is refused: a machine is reached", '--nic', 'none'),
            ("'auto' is refused: leave --nic out", '--nic', 'auto'),
            ('use --nic for more', '--network', 'net-id=n'),
            ('use --nic for more', '--port', 'a,b'),
            ("'5' is neither 4 nor 6", '--ip-version', '5'),
            ('not allowed with', '--config-drive', '--no-config-drive'),
            ('not allowed with', '--floating-ip', 'x', '--no-floating-ip'),
        ):
            self.fails(2, words, 'create', 'web1', *options)
        self.fails(2, 'name', 'create')
        self.assertEqual([], self.fake.mutations())

    def test_values_that_cannot_be(self):
        for words, *options in (
            ('--allow-cidr', '--allow-cidr', '192.0.2.7/24'),
            ('--tag', '--tag', 'a/b'),
            ('No such file', '--user-data', '/nope'),
            ('no such file', '--key-name', 'x', '--ssh-key', '/nope'),
            ("tool's own", '--property', 'docker-machine:id=x'),
        ):
            ran = self.fails(1, words, 'create', 'web1', *options)
            self.assertEqual('', ran.stdout)
        self.assertEqual([], self.fake.mutations())

    def test_failure_is_told_and_taken_back(self):
        before = self.fake.holds()
        self.guest.failures['connect'] = errors.HostFailure('No way', 'Try X')
        ran = self.fails(
            1,
            ["Machine 'web1' was not created", 'No way', 'Removed again'],
            'create',
            'web1',
        )
        self.assertIn('\nTry X\n', ran.stderr)
        self.assertEqual('', ran.stdout)
        self.assertHolds(before)

    def test_interrupted(self):
        def interrupt():
            raise KeyboardInterrupt

        before = self.fake.holds()
        self.fake.on('POST compute /v2.1/servers$', interrupt)
        ran = self.openstack('create', 'web1')
        self.assertEqual(130, ran.status)
        self.assertIn('Removed again', ran.stderr)
        self.assertHolds(before)

    def test_terminated(self):
        import os
        import signal

        def terminate():
            os.kill(os.getpid(), signal.SIGTERM)

        before = self.fake.holds()
        handler = signal.getsignal(signal.SIGTERM)
        self.fake.on('POST compute /v2.1/servers$', terminate, after=True)
        ran = self.openstack('create', 'web1')
        self.assertEqual(143, ran.status)
        self.assertIn('Removed again', ran.stderr)
        self.assertHolds(before)
        self.assertEqual(handler, signal.getsignal(signal.SIGTERM))


class TestDefaults(shell.ShellTestCase):
    """docker_machine: in clouds.yaml."""

    def test_are_used(self):
        self.fake.add_image('other', 'ubuntu')
        self.fake.add_flavor('m1.large', ram=8192, disk=80)
        self.configure(
            {
                'image': 'debian-12',
                'flavor': 'm1.large',
                'engine_port': 12376,
                'allow_cidr': ['10.0.0.0/8', '192.0.2.0/24'],
                'tag': 'one',
                'property': {'team': 'blue', 'level': 5},
                'context': False,
                'config_drive': 'yes',
                'timeout': 900,
            }
        )
        shown = self.succeeds('create', 'web1', '-f', 'json').json
        self.assertEqual('m1.large', shown['flavor'])
        self.assertEqual(12376, shown['engine_port'])
        self.assertIsNone(shown['docker_context'])
        (body,) = self.fake.booted
        self.assertEqual(['docker-machine', 'one'], body['tags'])
        self.assertEqual('blue', body['metadata']['team'])
        self.assertEqual('5', body['metadata']['level'])
        self.assertTrue(body['config_drive'])
        (group,) = self.fake.things['security-groups'].values()
        self.assertEqual(2 + 4, len(group['security_group_rules']))

    def test_the_command_line_wins(self):
        self.fake.add_flavor('m1.large', ram=8192, disk=80)
        self.configure(
            {
                'flavor': 'm1.large',
                'config_drive': True,
                'context': False,
                'property': {'team': 'blue', 'site': 'x'},
                'tag': ['one'],
            }
        )
        options = '--flavor m1.small --no-config-drive --context --tag two'
        shown = self.succeeds(
            *('create', 'web1', *options.split()),
            *('--property', 'team=red', '-f', 'json'),
        ).json
        self.assertEqual('m1.small', shown['flavor'])
        self.assertEqual('web1', shown['docker_context'])
        (body,) = self.fake.booted
        self.assertEqual('red', body['metadata']['team'])
        self.assertEqual('x', body['metadata']['site'])
        self.assertEqual(['docker-machine', 'two'], body['tags'])
        self.assertFalse(body.get('config_drive'))

    def test_what_is_said_makes_others_meaningless(self):
        self.fake.add_port(self.private, name='p')
        self.fake.add_group('g')
        self.fake.add_network('back', subnets=[])
        address = self.fake.add_floating_ip(self.public)
        fip = address['floating_ip_address']
        for number, (defaults, *options) in enumerate(
            (
                ({'network': 'nope', 'allow_cidr': 'nope'}, '--port', 'p'),
                ({'security_group': 'nope'}, '--port', 'p'),
                ({'allow_cidr': 'nope'}, '--security-group', 'g'),
                ({'security_group': 'x'}, '--allow-cidr', '10.0.0.0/8'),
                ({'no_floating_ip': True}, '--floating-ip', fip),
                ({'external_network': 'nope'}, '--floating-ip', fip),
                ({'external_network': 'nope'}, '--no-floating-ip'),
                ({'no_floating_ip': True}, '--external-network', 'public'),
                ({'engine_version': '1'}, '--engine-source', 'image'),
                ({'external_network': 'public'}, '--ip-version', '4'),
                ({'ip_version': 6}, '--floating-ip', fip),
                ({'ip_version': '6'}, '--ip-version', '4'),
                (
                    *({'network': 'nope'}, '--nic', 'net-id=private,tag=x'),
                    *('--nic', 'net-id=back', '--no-floating-ip'),
                ),
            )
        ):
            self.configure(defaults)
            self.succeeds('create', f'web{number}', *options)
            self.succeeds('delete', f'web{number}')

    def test_unknown(self):
        self.configure({'flavour': 'm1.small'})
        self.fails(
            1, ["'flavour' is not known", 'flavor', 'image'], 'create', 'web1'
        )

    def test_not_understood(self):
        for defaults, words in (
            ('m1.small', 'not a mapping'),
            (['m1.small'], 'not a mapping'),
            ({'ssh_port': 'x'}, "ssh_port: 'x' is not a port"),
            ({'timeout': 'soon'}, 'timeout: '),
            ({'context': 'perhaps'}, 'context: '),
            ({'property': 'x'}, 'property: not a mapping'),
        ):
            self.configure(defaults)
            self.fails(1, ['clouds.yaml', words], 'create', 'web1')
        self.assertEqual([], self.fake.mutations())

    def test_other_commands_do_not_care(self):
        self.configure({'flavour': 'x'})
        self.succeeds('list')

    def test_only_of_the_cloud_that_is_named(self):
        self.configure({'flavor': 'nope'})
        self.fails(1, "'nope'", 'create', 'web1')
        self.setenv('OS_CLOUD', 'there')
        self.fails(1, ['endpoint', 'RegionTwo'], 'create', 'web1')

    def test_key_and_files(self):
        pair = pki.new_ssh_key('mine')
        (self.home / 'key').write_bytes(pair.private)
        self.fake.add_keypair('mine', pair.public)
        self.configure({'key_name': 'mine', 'ssh_key': '~/key'})
        self.succeeds('create', 'web1')
        ((_, _, login, _),) = self.guest.logins
        self.assertEqual(self.home / 'key', login.key)
        self.assertEqual(workbench.ED25519, self.guest.key_line)
