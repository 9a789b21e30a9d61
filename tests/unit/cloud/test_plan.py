# SPDX-License-Identifier: Apache-2.0
"""Addresses, ports, quotas, and the rest of what is decided beforehand."""

import uuid

from dockermachine_osc import errors
from tests.unit import workbench
from tests.unit.cloud.planning import PlanTestCase
from tests.unit.fakecloud import OTHER


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
