# SPDX-License-Identifier: Apache-2.0
"""Which image, flavor and network are chosen, and which are refused."""

import uuid

from dockermachine_osc import errors
from tests.unit.cloud.planning import PlanTestCase
from tests.unit.fakecloud import OTHER


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
