# SPDX-License-Identifier: Apache-2.0
"""What is chosen, and what is refused before anything is made."""

import uuid

from dockermachine_osc import errors
from dockermachine_osc.request import CreateRequest
from tests.unit import workbench
from tests.unit.fakecloud import OTHER


class PlanTestCase(workbench.CloudTestCase):
    def plan(self, **options):
        return self.cloud.plan(CreateRequest('web1', **options))

    def refuses(self, expected, error=errors.InvalidRequest, **options):
        return self.assertRefuses(
            expected,
            lambda: self.plan(**options),
            error=error,
        )

    def assertChose(self, expected, kind, **options):
        choice = getattr(self.plan(**options), kind)
        self.assertEqual(expected['id'], choice.resource.id)
        return choice.why

    def assertNotes(self, *expected, **options):
        notes = '\n'.join(self.plan(**options).notes())
        for words in expected:
            self.assertIn(words, notes)


class TestImage(PlanTestCase):
    def test_the_only_one(self):
        self.assertIn('only', self.assertChose(self.image, 'image'))

    def test_the_newest_of_one_distribution(self):
        newest = self.fake.add_image('debian-13', os_version='13')
        self.fake.add_image('debian-9', os_version='9')
        why = self.assertChose(newest, 'image')
        self.assertIn('newest Debian', why)

    def test_versions_are_numbers(self):
        self.fake.things['images'].clear()
        newest = self.fake.add_image('u', 'ubuntu', os_version='24.10')
        for version in ('24.04', '9.10', '', 'rolling'):
            self.fake.add_image(version, 'ubuntu', os_version=version)
        self.assertChose(newest, 'image')

    def test_what_cannot_serve_is_no_choice(self):
        self.fake.add_image('cirros', None)
        self.fake.add_image('plan9', 'plan9')
        self.fake.add_image('queued', status='queued', os_version='13')
        self.fake.add_image('hidden', os_hidden=True, os_version='13')
        self.fake.add_image('other', project=OTHER, shared=False)
        self.assertChose(self.image, 'image')

    def test_several_distributions(self):
        other = self.fake.add_image('ubuntu', 'ubuntu', os_version='24.04')
        self.refuses(
            [self.image['id'], other['id'], 'ubuntu 24.04', '--image'],
            errors.Ambiguous,
        )

    def test_two_of_the_newest(self):
        other = self.fake.add_image('debian-12-docker', os_version='12')
        self.refuses([self.image['id'], other['id']], errors.Ambiguous)

    def test_none_can_serve(self):
        self.image['os_distro'] = None
        self.refuses(['No image', 'os_distro', '--image'])

    def test_by_name_and_id(self):
        other = self.fake.add_image('ubuntu', 'ubuntu')
        for wanted in (other['name'], other['id']):
            why = self.assertChose(other, 'image', image=wanted)
            self.assertEqual('as asked', why)

    def test_one_that_nobody_knows_may_be_named(self):
        other = self.fake.add_image('own', None)
        self.assertChose(other, 'image', image='own')
        self.assertEqual('', self.plan(image='own').login_user)

    def test_ambiguous_name(self):
        ids = [self.fake.add_image('twice')['id'] for _ in range(2)]
        self.refuses(ids, errors.Ambiguous, image='twice')

    def test_not_there(self):
        for wanted in ('nope', str(uuid.uuid4())):
            self.refuses(
                [f"'{wanted}'", self.image['id']],
                errors.NotFound,
                image=wanted,
            )

    def test_not_bootable(self):
        self.fake.add_image('queued', status='queued')
        self.fake.add_image('win', os_type='windows')
        self.refuses(['queued', 'not active'], image='queued')
        self.refuses('Windows', image='win')

    def test_control_characters_do_not_reach_the_terminal(self):
        self.fake.add_image('\x1b[2Jevil', 'ubuntu', os_version='\r\n1')
        error = self.refuses('evil', errors.Ambiguous)
        self.assertNotIn('\x1b', str(error))
        self.assertNotIn('\r', str(error))

    def test_many(self):
        for number in range(50):
            self.fake.add_image(f'u{number}', 'ubuntu')
        error = self.refuses('and 31 more', errors.Ambiguous)
        self.assertLess(len(str(error).splitlines()), 30)

    def test_login_user(self):
        for distro, told, expected in (
            ('debian', None, 'debian'),
            ('ubuntu', 'admin', 'admin'),
            ('rhel', None, 'cloud-user'),
            ('debian', 'x; rm -rf /', 'debian'),
            ('debian', '-oProxyCommand=x', 'debian'),
        ):
            self.image |= {'os_distro': distro, 'os_admin_user': told}
            self.assertEqual(expected, self.plan().login_user)
        self.assertEqual('me', self.plan(ssh_user='me').login_user)


class TestFlavor(PlanTestCase):
    def test_the_smallest_that_fits(self):
        self.fake.add_flavor('m1.tiny', ram=512, disk=1)
        self.fake.add_flavor('m1.large', ram=8192, disk=80)
        why = self.assertChose(self.flavor, 'flavor')
        self.assertIn('1024 MiB', why)

    def test_the_image_asks_for_more(self):
        large = self.fake.add_flavor('m1.large', ram=8192, disk=80)
        self.image |= {'min_ram': 4096}
        self.assertChose(large, 'flavor')
        self.image |= {'min_ram': 0, 'min_disk': 40}
        self.assertChose(large, 'flavor')

    def test_disabled_is_no_choice(self):
        self.fake.add_flavor(
            'off', ram=1024, **{'OS-FLV-DISABLED:disabled': 1}
        )
        self.assertChose(self.flavor, 'flavor')

    def test_none_fits(self):
        self.flavor['ram'] = 512
        self.refuses(
            ['1024 MiB', self.flavor['id'], '--flavor'], errors.NotFound
        )

    def test_by_name_and_id(self):
        tiny = self.fake.add_flavor('m1.tiny', ram=512, disk=5)
        for wanted in (tiny['name'], tiny['id']):
            self.assertChose(tiny, 'flavor', flavor=wanted)

    def test_below_the_images_minimum(self):
        self.fake.add_flavor('m1.nano', ram=64, disk=1)
        self.refuses(
            ['m1.nano', 'debian-12', '256 MiB', 'has 64', '5 GiB', 'has 1'],
            flavor='m1.nano',
        )

    def test_disk_of_nought_is_as_large_as_the_image(self):
        zero = self.fake.add_flavor('zero', disk=0)
        self.assertChose(zero, 'flavor', flavor='zero')

    def test_not_there(self):
        self.refuses(
            ["'nope'", 'm1.small', '2048 MiB'], errors.NotFound, flavor='nope'
        )

    def test_ambiguous_name(self):
        other = self.fake.add_flavor('m1.small')
        self.refuses(
            [self.flavor['id'], other['id']],
            errors.Ambiguous,
            flavor='m1.small',
        )

    def test_name_that_is_anothers_id(self):
        other = self.fake.add_flavor('other')
        self.fake.add_flavor(other['id'])
        self.assertChose(other, 'flavor', flavor=other['id'])


class TestNetwork(PlanTestCase):
    def test_the_only_one_with_a_way_out(self):
        self.fake.add_network('backend')
        why = self.assertChose(self.private, 'network')
        self.assertIn('way out', why)
        self.assertNotes('network: private', 'floating IP from public')

    def test_several(self):
        other = self.fake.add_network('second')
        self.fake.add_router(self.public, other)
        self.refuses(
            [self.private['id'], other['id'], '--network'], errors.Ambiguous
        )
        self.assertChose(other, 'network', network='second')

    def test_ambiguous_name(self):
        other = self.fake.add_network('private')
        self.refuses(
            [self.private['id'], other['id']],
            errors.Ambiguous,
            network='private',
        )
        network = self.private['id']
        self.assertChose(self.private, 'network', network=network)

    def test_not_there(self):
        self.refuses(
            ["'nope'", self.private['id']], errors.NotFound, network='nope'
        )

    def test_no_way_out(self):
        backend = self.fake.add_network('backend')
        self.refuses(
            ['backend', 'no router', backend['subnets'][0], 'no-floating'],
            network='backend',
        )
        self.assertChose(
            backend, 'network', network='backend', no_floating_ip=True
        )

    def test_router_without_gateway_is_no_way_out(self):
        inner = self.fake.add_network('inner')
        self.fake.add_router(None, inner)
        self.refuses('no router', network='inner')
        self.assertChose(self.private, 'network')

    def test_shared_network_of_others(self):
        """Its router is out of sight: only Neutron can tell."""
        shared = self.fake.add_network('shared', shared=True, project=OTHER)
        self.assertChose(shared, 'network', network='shared')
        self.assertNotes('floating IP from public', network='shared')
        self.assertChose(self.private, 'network')

    def test_without_subnet_is_no_choice(self):
        bare = self.fake.add_network('bare', subnets=[])
        self.fake.add_router(self.public, bare)
        self.assertChose(self.private, 'network')

    def test_network_of_another_project_is_no_choice_of_an_admin(self):
        self.fake.admin = True
        foreign = self.fake.add_network('foreign', project=OTHER)
        self.fake.add_router(self.public, foreign, project=OTHER)
        self.assertChose(self.private, 'network')

    def test_no_floating_ip(self):
        self.assertChose(self.private, 'network', no_floating_ip=True)
        self.assertIsNone(self.plan(no_floating_ip=True).external)
        other = self.fake.add_network('backend')
        self.refuses(
            [self.private['id'], other['id']],
            errors.Ambiguous,
            no_floating_ip=True,
        )

    def test_cloud_without_routers(self):
        for kind in ('routers', 'ports'):
            self.fake.things[kind].clear()
        del self.fake.things['networks'][self.public['id']]
        plan = self.plan()
        self.assertEqual(self.private['id'], plan.network.resource.id)
        self.assertIsNone(plan.external)
        self.assertNotes('without a floating IP')

    def test_provider_network_that_is_shared_and_external(self):
        for kind in ('routers', 'ports', 'networks'):
            self.fake.things[kind].clear()
        shared = self.fake.add_network(
            'provider', external=True, shared=True, project=OTHER
        )
        plan = self.plan()
        self.assertEqual(shared['id'], plan.network.resource.id)
        self.assertIsNone(plan.external)

    def test_no_network(self):
        for kind in ('routers', 'ports', 'networks'):
            self.fake.things[kind].clear()
        self.refuses('no network', errors.NotFound)

    def test_only_networks_without_a_way_out(self):
        self.fake.things['ports'].clear()
        self.refuses(
            ['router', self.private['id']],
            errors.NotFound,
            external_network='public',
        )


class TestAddress(PlanTestCase):
    def setUp(self):
        super().setUp()
        self.second = self.fake.add_network(
            'public2', external=True, project=OTHER
        )

    def test_the_one_that_the_network_leads_to(self):
        self.assertEqual(self.public['id'], self.plan().external.id)

    def test_several(self):
        self.fake.add_router(self.second, self.private)
        self.refuses(
            [self.public['id'], self.second['id'], '--external-network'],
            errors.Ambiguous,
        )
        plan = self.plan(external_network='public2')
        self.assertEqual(self.second['id'], plan.external.id)

    def test_external_network_decides_the_network(self):
        other = self.fake.add_network('other')
        self.fake.add_router(self.second, other)
        self.assertChose(other, 'network', external_network='public2')

    def test_ambiguous_name(self):
        twin = self.fake.add_network('public', external=True, project=OTHER)
        self.refuses(
            [self.public['id'], twin['id']],
            errors.Ambiguous,
            external_network='public',
        )

    def test_not_external(self):
        self.refuses(
            ["'private'", self.public['id']],
            errors.NotFound,
            external_network='private',
        )

    def test_external_network_that_the_network_does_not_lead_to(self):
        self.refuses(
            'no router', external_network='public2', network='private'
        )

    def test_floating_ip_of_the_user(self):
        mine = self.fake.add_floating_ip(self.public)
        address = mine['floating_ip_address']
        plan = self.plan(floating_ip=address)
        self.assertEqual(mine['id'], plan.floating_ip.id)
        self.assertIsNone(plan.external)
        self.assertNotes(f'{address}, as asked', floating_ip=address)

    def test_floating_ip_decides_the_network(self):
        other = self.fake.add_network('other')
        self.fake.add_router(self.second, other)
        mine = self.fake.add_floating_ip(self.second)
        self.assertChose(
            other, 'network', floating_ip=mine['floating_ip_address']
        )

    def test_floating_ip_in_use(self):
        port = self.fake.add_port(self.private)
        mine = self.fake.add_floating_ip(self.public, port_id=port['id'])
        self.refuses(
            ['in use', port['id']], floating_ip=mine['floating_ip_address']
        )

    def test_floating_ip_that_is_not_ours(self):
        theirs = self.fake.add_floating_ip(self.public, project=OTHER)
        self.fake.admin = True
        for address in ('192.0.2.99', theirs['floating_ip_address']):
            self.refuses(address, errors.NotFound, floating_ip=address)


class TestPort(PlanTestCase):
    def test_by_name_and_id(self):
        port = self.fake.add_port(self.private, name='p')
        for wanted in ('p', port['id']):
            plan = self.plan(port=wanted)
            self.assertEqual(port['id'], plan.port.id)
            self.assertEqual(self.public['id'], plan.external.id)
            self.assertEqual((None, None), (plan.network, plan.rules))

    def test_in_use(self):
        self.fake.add_port(self.private, name='p', device_id='some-server')
        self.refuses(['in use', 'some-server'], port='p')

    def test_not_there(self):
        for wanted in ('nope', str(uuid.uuid4())):
            self.refuses(wanted, errors.NotFound, port=wanted)

    def test_ambiguous(self):
        ids = [
            self.fake.add_port(self.private, name='p')['id'] for _ in range(2)
        ]
        self.refuses(ids, errors.Ambiguous, port='p')

    def test_on_a_network_without_a_way_out(self):
        backend = self.fake.add_network('backend')
        self.fake.add_port(backend, name='p')
        self.assertIsNone(self.plan(port='p').external)


class TestQuota(PlanTestCase):
    def test_each(self):
        for limits, name, limit, expected in (
            ('limits', 'instances', 0, 'instances: 1 needed, 0 of 0 in use'),
            ('limits', 'cores', 0, 'cores: 1 needed'),
            ('limits', 'ram', 2000, 'MiB of RAM: 2048 needed, 0 of 2000'),
            ('quota', 'port', 1, 'ports: 1 needed, 1 of 1 in use'),
            ('quota', 'floatingip', 0, 'floating IPs: 1 needed'),
            ('quota', 'security_group', 0, 'security groups: 1 needed'),
            ('quota', 'security_group_rule', 3, 'rules: 4 needed, 0 of 3'),
        ):
            before = dict(getattr(self.fake, limits))
            getattr(self.fake, limits)[name] = limit
            self.refuses(expected, errors.QuotaExceeded)
            setattr(self.fake, limits, before)

    def test_all_at_once(self):
        self.fake.limits |= {'instances': 0, 'cores': 0}
        self.fake.quota |= {'port': 0}
        self.refuses(
            ['instances', 'cores', 'ports', '--flavor'], errors.QuotaExceeded
        )

    def test_exactly_enough(self):
        self.fake.limits |= {'instances': 1, 'cores': 1, 'ram': 2048}
        self.fake.quota |= {'port': 2, 'floatingip': 1}
        self.fake.quota |= {'security_group': 1, 'security_group_rule': 4}
        self.plan()

    def test_no_limit(self):
        self.fake.limits = dict.fromkeys(self.fake.limits, -1)
        self.fake.quota = dict.fromkeys(self.fake.quota, -1)
        self.plan()

    def test_what_is_not_made_needs_no_room(self):
        self.fake.quota = dict.fromkeys(self.fake.quota, 0)
        self.fake.add_port(self.private, name='p')
        self.plan(port='p', no_floating_ip=True)

    def test_cloud_that_does_not_tell(self):
        for path in ('compute .*/limits', 'network .*/quotas'):
            for status in (403, 404):
                self.fake.refuse(f'GET {path}', status)
                self.plan()

    def test_cloud_that_fails_to_tell(self):
        self.fake.refuse('GET network .*/quotas', 500, 'Boom')
        self.refuses('Boom', errors.CloudFailure)


class TestOtherOptions(PlanTestCase):
    def test_name_of_a_machine(self):
        server = self.foreign_server({'docker-machine:id': 'f' * 32})
        self.refuses(
            ['Machine', server['id'], 'machine delete'], errors.NameTaken
        )

    def test_name_of_another_server(self):
        server = self.foreign_server({})
        self.refuses(
            ['Server', server['id'], 'not a machine'], errors.NameTaken
        )

    def foreign_server(self, metadata):
        self.fake.add_server('web11')
        return self.fake.add_server('web1', metadata)

    def test_names_that_only_resemble(self):
        for name in ('web11', 'aweb1', 'WEB1'):
            self.fake.add_server(name)
        self.plan()

    def test_key_pair(self):
        self.fake.add_keypair('mine', workbench.ED25519)
        plan = self.plan(key_name='mine')
        self.assertEqual(workbench.ED25519, plan.public_key)
        self.assertEqual('', self.plan().public_key)

    def test_key_pair_that_is_not_there(self):
        self.refuses(
            ["'nope'", 'keypair list'], errors.NotFound, key_name='nope'
        )

    def test_zone(self):
        self.plan(availability_zone='nova')
        self.plan(availability_zone='nova:host1')
        self.fake.zones.append(
            {'zoneName': 'down', 'zoneState': {'available': False}}
        )
        for wanted in ('nope', 'down'):
            self.refuses(
                [f"'{wanted}'", 'There is: nova'],
                errors.NotFound,
                availability_zone=wanted,
            )

    def test_security_groups(self):
        first = self.fake.add_group('a')
        second = self.fake.add_group('b')
        plan = self.plan(security_groups=('a', second['id']))
        ids = [g.id for g in plan.named_groups]
        self.assertEqual([first['id'], second['id']], ids)
        self.assertIsNone(plan.rules)

    def test_security_groups_that_are_not_ours_or_unclear(self):
        theirs = self.fake.add_group('theirs', project=OTHER)
        self.fake.admin = True
        self.fake.add_group('mine')
        for wanted in ('nope', 'theirs', theirs['id']):
            self.refuses(
                wanted, errors.NotFound, security_groups=('mine', wanted)
            )
        ids = [self.fake.add_group('twice')['id'] for _ in range(2)]
        self.refuses(ids, errors.Ambiguous, security_groups=('twice',))

    def test_rules(self):
        plan = self.plan(
            allow_cidrs=('192.0.2.7', '10.0.0.0/8', '192.0.2.7/32'),
            ssh_port=2222,
        )
        self.assertEqual(('10.0.0.0/8', '192.0.2.7/32'), plan.rules.cidrs)
        self.assertEqual((2222, 2376), plan.rules.ports)
        self.assertNotes('open: tcp 22, 2376 from 0.0.0.0/0', '--allow-cidr')
        self.assertNotes(
            'open: tcp 22, 2376 from 10.0.0.0/8', allow_cidrs=('10.0.0.0/8',)
        )

    def test_one_name_for_one_set_of_rules(self):
        one = self.plan(allow_cidrs=('10.0.0.0/8', '192.0.2.0/24')).rules
        two = self.plan(allow_cidrs=('192.0.2.0/24', '10.0.0.0/8')).rules
        other = self.plan(allow_cidrs=('10.0.0.0/8',)).rules
        self.assertEqual(one.group_name, two.group_name)
        self.assertNotEqual(one.group_name, other.group_name)


class TestApiFailure(PlanTestCase):
    def test_each_question(self):
        for path in (
            'compute /v2.1/flavors',
            'compute /v2.1/servers',
            'network /v2.0/networks',
            'network /v2.0/routers',
            'network /v2.0/ports',
            'network /v2.0/security-groups',
            'image /v2/images',
        ):
            self.fake.refuse(f'GET {path}', 500, 'Boom')
            self.refuses(['Cannot ', 'Boom'], errors.CloudFailure)

    def test_no_answer(self):
        self.fake.lose_answer('GET network /v2.0/networks')
        error = self.refuses('list networks', errors.CloudFailure)
        self.assertEqual((0, True), (error.status, error.passing))

    def test_not_allowed(self):
        self.fake.refuse('GET network /v2.0/networks', 403, 'Policy')
        error = self.refuses(
            ['Policy', 'role assignment'], errors.CloudFailure
        )
        self.assertEqual((403, False), (error.status, error.passing))

    def test_how_it_asks(self):
        self.plan()
        for line in self.fake.log:
            self.assertLessEqual(self.fake.log.count(line), 2, line)
        self.assertLess(len(self.fake.log), 16, self.fake.log)
