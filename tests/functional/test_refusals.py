# SPDX-License-Identifier: Apache-2.0
"""What cannot work is refused before anything is made, with the choices."""

from __future__ import annotations

import typing
import uuid

from tests.functional import base, devcloud

_ID = '[0-9a-f-]{36}'


class RefusalTest(base.FunctionalTest):
    """Everything that is refused here would have made this machine."""

    def setUp(self) -> None:
        super().setUp()
        self.machine = self.name('refused')
        self.demo = devcloud.connect('devcloud')

    def create_refused(self, *options: str, cloud: str = 'devcloud') -> str:
        said = self.refused('create', self.machine, *options, cloud=cloud)
        self.assertNothingLeft(self.machine, cloud)
        return said

    def wrong_usage(self, *options: str) -> str:
        """Run what argparse refuses, with exit code 2."""
        done = self.here.machine('create', self.machine, *options, code=2)
        self.assertEqual('', done.out)
        return done.err


class NamesTest(RefusalTest):
    """Wrong names of each kind are answered by what there is."""

    def test_flavor(self) -> None:
        said = self.create_refused('--flavor', 'huge')
        self.assertIn("Flavor 'huge' does not exist. There is:", said)
        self.assertRegex(said, r'm1\.small  2?\d* *1 VCPU, 2048 MiB, 20 GiB')

    def test_flavor_below_the_minimum_of_the_image(self) -> None:
        said = self.create_refused(
            '--flavor', 'm1.tiny', '--image', 'debian-12'
        )
        self.assertIn("Flavor 'm1.tiny' is too small for image", said)
        self.assertIn('5 GiB of disk, it has 1', said)

    def test_image(self) -> None:
        said = self.create_refused('--image', 'windows-11')
        self.assertIn("Image 'windows-11' does not exist", said)

    def test_network(self) -> None:
        said = self.create_refused('--network', 'nowhere')
        self.assertIn("Network 'nowhere' does not exist. There is:", said)
        self.assertRegex(said, f'private +{_ID}')

    def test_network_without_a_way_out(self) -> None:
        said = self.create_refused('--network', 'backend')
        self.assertIn("'backend' has no router to the external", said)
        self.assertIn('--no-floating-ip', said)

    def test_external_network(self) -> None:
        said = self.create_refused('--external-network', 'private')
        self.assertIn("External network 'private' does not exist", said)
        self.assertRegex(said, f'public +{_ID}')

    def test_key_pair(self) -> None:
        said = self.create_refused('--key-name', 'lost')
        self.assertIn("Key pair 'lost' does not exist", said)

    def test_security_group(self) -> None:
        said = self.create_refused('--security-group', 'lost')
        self.assertIn("Security group 'lost' does not exist. There", said)

    def test_port(self) -> None:
        said = self.create_refused('--port', 'lost')
        self.assertIn("Port 'lost' does not exist", said)

    def test_floating_ip(self) -> None:
        said = self.create_refused('--floating-ip', '203.0.113.9')
        self.assertIn('Floating IP 203.0.113.9 is not allocated', said)


class AmbiguousTest(RefusalTest):
    """A name that several bear is refused with their ids."""

    def test_image(self) -> None:
        name = f'twin-{uuid.uuid4().hex[:6]}'
        ids = [self._image(name) for _ in range(2)]
        said = self.create_refused('--image', name)
        self.assertIn(f"2 images are named '{name}':", said)
        for image_id in ids:
            self.assertIn(image_id, said)
        self.assertIn('Give the id instead of the name', said)

    def _image(self, name: str) -> str:
        made = self.demo.image.create_image(
            name,
            data=b'nothing',
            disk_format='raw',
            container_format='bare',
            wait=True,
        )
        self.addCleanup(self.demo.image.delete_image, made)
        return str(made.id)

    def test_network(self) -> None:
        name = f'twin-{uuid.uuid4().hex[:6]}'
        ids = [self._network(name) for _ in range(2)]
        said = self.create_refused('--network', name)
        self.assertIn(f"2 networks are named '{name}':", said)
        for network_id in ids:
            self.assertIn(network_id, said)

    def _network(self, name: str) -> str:
        made = self.demo.network.create_network(name=name)
        self.addCleanup(self.demo.network.delete_network, made)
        return str(made.id)


class RequestTest(RefusalTest):
    """Contradictions and nonsense, without asking the cloud."""

    def test_exit_code_2_for_wrong_usage(self) -> None:
        for options in (
            ('--network', 'private', '--nic', 'none'),
            ('--floating-ip', '192.0.2.1', '--no-floating-ip'),
            ('--engine-port', '70000'),
        ):
            said = self.wrong_usage(*options)
            self.assertIn('usage: openstack docker machine create', said)

    def test_contradictions(self) -> None:
        for options, words in (
            (('--allow-cidr', '10.0.0.1/8'), 'host bits set'),
            (
                ('--security-group', 'x', '--allow-cidr', '10.0.0.0/8'),
                '--security-group excludes --allow-cidr',
            ),
            (('--engine-source', 'snap'), "'snap' is not known"),
            (
                ('--user-data', '/nowhere/at-all'),
                '--user-data /nowhere/at-all: No such file',
            ),
        ):
            self.assertIn(words, self.create_refused(*options))

    def test_name(self) -> None:
        said = self.refused('create', 'no_such.name-')
        self.assertIn('cannot be the name of a machine', said)

    def test_unknown_default(self) -> None:
        self.here.configure('devcloud', docker_machine={'flavour': 'x'})
        said = self.create_refused()
        self.assertIn("clouds.yaml: 'flavour' is not known", said)
        self.assertIn('flavor', said)

    def test_nothing_to_show(self) -> None:
        for command in (('show', self.machine), ('env', self.machine)):
            said = self.refused(*command)
            self.assertIn(self.machine, said)
            self.assertIn('openstack docker machine list', said)


class QuotaTest(RefusalTest):
    """In the project with tight quotas."""

    def test_quota(self) -> None:
        cloud = self.tight_project()
        network = devcloud.connect(cloud).network
        address = network.create_ip(
            floating_network_id=network.find_network('public').id
        )
        self.addCleanup(network.delete_ip, address)
        before = devcloud.holdings(cloud)
        said = self.refused(
            'create', self.machine, '--flavor', 'm1.large', cloud=cloud
        )
        for words in (
            'quota has no room for this machine',
            'cores: 4 needed, 0 of 2 in use',
            'MiB of RAM: 8192 needed, 0 of 4096 in use',
            'floating IPs: 1 needed, 1 of 1 in use',
        ):
            self.assertIn(words, said)
        self.assertEqual(before, devcloud.holdings(cloud))


class NotAMachineTest(RefusalTest):
    """A server that others made keeps its name, and its life."""

    def test_server_that_is_no_machine(self) -> None:
        server = self._server()
        said = self.refused('create', self.machine)
        self.assertIn(f"Server '{self.machine}' exists already", said)
        self.assertIn(server.id, said)
        for name in (self.machine, server.id):
            done = self.here.machine('delete', name, code=None)
            self.assertNotIn('Traceback', done.err)
            self._refused_or_unknown(name, done)
        self.assertEqual(server.id, self.demo.compute.get_server(server.id).id)

    def _refused_or_unknown(self, name: str, done: typing.Any) -> None:
        if name == self.machine:
            self.assertEqual(1, done.code)
            self.assertIn('is not a machine of this tool', done.err)
        else:
            self.assertIn('does not exist', done.err)

    def _server(self) -> typing.Any:
        """The cheapest there is: nothing of it ever boots."""
        compute, network = self.demo.compute, self.demo.network
        port = network.create_port(
            name=f'{self.machine}-port',
            network_id=network.find_network('backend').id,
        )
        self.addCleanup(network.delete_port, port, ignore_missing=True)
        self.addCleanup(devcloud.clean, 'devcloud', self.machine)
        return compute.create_server(
            name=self.machine,
            image_id=self.broken_image(),
            flavor_id=compute.find_flavor('m1.small').id,
            networks=[{'port': port.id}],
        )
