# SPDX-License-Identifier: Apache-2.0
"""Volumes, server groups and hints: chosen, refused, and asked of Nova."""

from dockermachine_osc import errors
from tests.unit import workbench
from tests.unit.cloud.planning import PlanTestCase


class TestVolumePlan(PlanTestCase):
    def test_types_are_named_or_listed(self):
        self.fake.add('volume_types', name='fast')
        self.plan(boot_from_volume=20, volume_type='fast')
        self.refuses(
            ["Volume type 'slow'", 'fast'],
            errors.NotFound,
            data_volume=20,
            volume_type='slow',
        )

    def test_too_small_for_the_image(self):
        self.refuses('needs 5 GiB', boot_from_volume=4)
        self.plan(boot_from_volume=5)

    def test_quota(self):
        self.fake.volume_limits = (2, 150)
        self.refuses(
            [
                'volumes: 2 needed, 1 of 2 in use',
                'GiB of volumes: 70 needed, 100 of 150 in use',
            ],
            errors.QuotaExceeded,
            boot_from_volume=20,
            data_volume=50,
        )

    def test_no_limit(self):
        self.fake.volume_limits = (-1, -1)
        self.plan(data_volume=5000)

    def test_no_volume_service(self):
        self.fake.volume_service = False
        self.refuses('no volume service', boot_from_volume=20)
        self.refuses('no volume service', data_volume=20)
        self.plan()

    def test_nobody_is_asked_who_is_not_needed(self):
        self.plan()
        self.assertNotIn('volume', ' '.join(self.fake.log))
        self.assertNotIn('os-server-groups', ' '.join(self.fake.log))

    def test_a_flavor_without_a_disk_will_do(self):
        self.fake.things['flavors'].clear()
        diskless = self.fake.add_flavor('diskless', disk=0)
        self.assertChose(diskless, 'flavor', boot_from_volume=20)
        self.refuses('--flavor', errors.NotFound, data_volume=20)

    def test_the_flavors_disk_does_not_matter(self):
        self.fake.add_flavor('flat', disk=1)
        self.refuses('too small', flavor='flat')
        self.plan(flavor='flat', boot_from_volume=20)

    def test_server_group(self):
        group = self.fake.add('server_groups', name='apart')
        for wanted in ('apart', group['id']):
            plan = self.plan(server_group=wanted)
            self.assertEqual(group['id'], plan.server_group)
        self.refuses(
            ["Server group 'none'", group['id']],
            errors.NotFound,
            server_group='none',
        )

    def test_what_contradicts_itself(self):
        for words, options in (
            ('--volume-type', {'volume_type': 'fast'}),
            ('the same', {'server_group': 'a', 'hints': {'group': ['b']}}),
        ):
            with self.subTest(**options):
                request = workbench.CreateRequest('web1', **options)
                self.assertRefuses(words, request.check)


class TestVolumesAsked(workbench.MachinesTestCase):
    def body(self, **options):
        self.create(**options)
        return self.fake.booted[-1]

    def test_boot_from_volume(self):
        self.fake.add('volume_types', name='fast')
        body = self.body(boot_from_volume=20, volume_type='fast')
        (root,) = body['block_device_mapping_v2']
        (image,) = self.fake.things['images']
        self.assertEqual(
            {
                'boot_index': 0,
                'uuid': image,
                'source_type': 'image',
                'destination_type': 'volume',
                'volume_size': 20,
                'volume_type': 'fast',
                'delete_on_termination': True,
            },
            root,
        )

    def test_data_volume(self):
        root, data = self.body(data_volume=50)['block_device_mapping_v2']
        self.assertEqual('local', root['destination_type'])
        self.assertNotIn('volume_size', root)
        self.assertEqual(
            {
                'boot_index': -1,
                'source_type': 'blank',
                'destination_type': 'volume',
                'volume_size': 50,
                'delete_on_termination': True,
            },
            data,
        )
        ((_, stdin),) = self.guest.parcels
        self.assertIn(b'\ndata_disk=50\n', stdin)

    def test_none(self):
        self.assertNotIn('block_device_mapping_v2', self.body())
        self.assertIsNone(self.fake.hints)

    def test_hints(self):
        group = self.fake.add('server_groups', name='apart')
        self.create(
            server_group='apart',
            hints={'same_host': ['a', 'b'], 'query': ['x']},
        )
        self.assertEqual(
            {
                'same_host': ['a', 'b'],
                'query': 'x',
                'group': group['id'],
            },
            self.fake.hints,
        )
