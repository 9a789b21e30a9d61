# SPDX-License-Identifier: Apache-2.0
"""Delete: all that a machine owns, nothing else, from wherever."""

from __future__ import annotations

from tests.functional import base, devcloud


class WholeProjectTest(base.FunctionalTest):
    """Before and after, the administrator finds the project holding the same.

    In the project with the tight quotas, that no other test uses now.
    """

    def test_from_another_workstation(self) -> None:
        cloud = self.tight_project()
        before = devcloud.holdings(cloud)
        name = self.name('whole', cloud)
        machine = self.create(name, cloud=cloud).json
        grown = devcloud.holdings(cloud)
        for kind in ('servers', 'ports', 'floating IPs', 'security groups'):
            self.assertEqual(1, len(grown[kind] - before[kind]), kind)
        self.assertEqual(before['key pairs'], grown['key pairs'])
        self._no_room_for_a_second(cloud)
        elsewhere = self.workstation()
        listed = elsewhere.machine(
            'list', '--long', '-f', 'json', cloud=cloud
        ).json
        (row,) = [r for r in listed if r['Name'] == name]
        self.assertFalse(row['Keys Here'])
        elsewhere.machine('delete', machine['id'], cloud=cloud)
        self.assertEqual(before, devcloud.holdings(cloud))
        # The keys are still where it was made, until told.
        self.assertNotEqual([], self.here.traces(name))
        self.here.machine('delete', name, cloud=cloud)
        self.assertNothingLeft(name, cloud)

    def _no_room_for_a_second(self, cloud: str) -> None:
        name = self.name('second', cloud)
        said = self.refused('create', name, cloud=cloud)
        self.assertIn('instances: 1 needed, 1 of 1 in use', said)
        self.assertIn('floating IPs: 1 needed, 1 of 1 in use', said)
        self.assertNothingLeft(name, cloud)


class SeveralTest(base.FunctionalTest):
    """Several names at once; servers that never boot are enough for that."""

    def test_several_with_unknown_and_foreign_ones(self) -> None:
        image = self.broken_image()
        one, two = self.name('one'), self.name('two')
        for name in (one, two):
            self.refused('create', name, '--image', image, '--keep-on-failure')
        foreign = self._foreign(image)
        done = self.here.machine(
            'delete', one, foreign, 'never-there', two, code=1
        )
        self.assertEqual('', done.out)
        self.assertIn(f"Failed to delete machine '{foreign}': ", done.err)
        self.assertIn('is not a machine of this tool', done.err)
        self.assertIn(
            "Machine 'never-there' does not exist: nothing to do", done.err
        )
        self.assertIn('1 of 4 machines failed to delete.', done.err)
        self.assertNothingLeft(one)
        self.assertNothingLeft(two)
        compute = devcloud.connect('devcloud').compute
        self.assertIsNotNone(compute.find_server(foreign))

    def _foreign(self, image: str) -> str:
        name = self.name('foreign')
        compute = devcloud.connect('devcloud').compute
        network = devcloud.connect('devcloud').network
        compute.create_server(
            name=name,
            image_id=image,
            flavor_id=compute.find_flavor('m1.small').id,
            networks=[{'uuid': network.find_network('backend').id}],
        )
        return name

    def test_none_is_wrong_usage(self) -> None:
        done = self.here.machine('delete', code=2)
        self.assertIn('usage: openstack docker machine delete', done.err)
