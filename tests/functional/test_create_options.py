# SPDX-License-Identifier: Apache-2.0
"""The options of create: all together, and those that exclude each other."""

from __future__ import annotations

import ipaddress
import pathlib
import re
import socket
import ssl
import typing

import openstack

from dockermachine_osc.cloud import disks
from dockermachine_osc.request import CreateRequest
from tests.functional import base, devcloud

# SSH elsewhere, before it has been started for the first time.
_SSH_PORT = """\
#cloud-config
bootcmd:
- [sh, -c, echo Port 2222 >/etc/ssh/sshd_config.d/port.conf]
users:
- default
- name: carol
  sudo: ALL=(ALL) NOPASSWD:ALL
  shell: /bin/sh
  ssh_authorized_keys: ['{public_key}']
runcmd:
- touch /var/lib/user-data-ran
"""


class OptionsTest(base.FunctionalTest):
    def key_pair(self, name: str) -> pathlib.Path:
        """Make a key pair in the cloud; gives the private key's file."""
        file = self.here.home / name
        self.here.run(
            'ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(file)
        )
        compute = devcloud.connect('devcloud').compute
        compute.create_keypair(name=name, public_key=public(file))
        self.addCleanup(compute.delete_keypair, name)
        return file

    def server_group(self, name: str) -> typing.Any:
        compute = devcloud.connect('devcloud').compute
        group = compute.create_server_group(
            name=name, policy='soft-anti-affinity'
        )
        self.addCleanup(compute.delete_server_group, group)
        return group

    def our_groups(self, machine: dict[str, typing.Any]) -> list[str]:
        """The names of the security groups of a machine's only port."""
        network = devcloud.connect().network
        (port,) = network.ports(device_id=machine['id'])
        return [
            network.get_security_group(i).name for i in port.security_group_ids
        ]


class AllTogetherTest(OptionsTest):
    def test_all_together(self) -> None:
        name = self.name('all')
        key = self.key_pair(f'{name}-key')
        group = self.server_group(f'{name}-group')
        user_data = self.here.home / 'user-data'
        user_data.write_text(_SSH_PORT.format(public_key=public(key)))
        done = self.create(
            name,
            *('--flavor', 'm1.large', '--image', base.DOCKER_IMAGE),
            *('--network', 'private', '--external-network', 'public'),
            *('--allow-cidr', '198.51.100.0/24'),
            *('--allow-cidr', f'{_gateway("public")}/32'),
            *('--key-name', key.name, '--ssh-key', str(key)),
            *('--ssh-user', 'carol', '--ssh-port', '2222'),
            *('--availability-zone', 'nova', '--config-drive'),
            *('--user-data', str(user_data), '--property', 'colour=red'),
            *('--server-group', group.name, '--hint', 'colour=red'),
            *('--property', 'size=large', '--tag', 'one', '--tag', 'two'),
            *('--engine-port', '2377', '--engine-source', 'image'),
            *('--tls-san', 'docker.example.com', '--tls-san', '192.0.2.9'),
            *('--timeout', '300', '--no-context', '--keep-on-failure'),
        )
        self._as_asked(done.json, key.name)
        self._as_asked_in_the_cloud(done.json)
        self._certificate_names(done.json, name)
        members = devcloud.connect('devcloud').compute.get_server_group(group)
        self.assertEqual([done.json['id']], members.member_ids)
        self.assertEqual(['default'], list(self.here.contexts()))
        self.assertFalse(
            (self.here.machine_folder(name) / 'id_ed25519').exists()
        )
        devcloud.wait_for(
            'the user data have run',
            lambda: (
                'ran' in (devcloud.in_guest(done.json['id'], 'ls', '/var/lib'))
            ),
        )
        env = self.here.machine('env', name).out
        self.here.run('sh', '-euc', f'{env}\ndocker ps')
        self.here.machine('delete', name)
        self.assertNothingLeft(name)
        kept = devcloud.connect('devcloud').compute.find_keypair(key.name)
        self.assertIsNotNone(kept)

    def _as_asked(self, machine: dict[str, typing.Any], key: str) -> None:
        wanted = {
            'flavor': 'm1.large',
            'image': base.DOCKER_IMAGE,
            'key_name': key,
            'ssh_user': 'carol',
            'ssh_port': 2222,
            'availability_zone': 'nova',
            'engine_port': 2377,
            'engine_source': 'image',
            'docker_context': None,
        }
        shown = {field: machine[field] for field in wanted}
        self.assertEqual(wanted, shown)
        self.assertEqual(
            {'docker-machine', 'one', 'two'}, set(machine['tags'])
        )

    def _as_asked_in_the_cloud(self, machine: dict[str, typing.Any]) -> None:
        admin = devcloud.connect()
        server = admin.compute.get_server(machine['id'])
        self.assertEqual('red', server.metadata['colour'])
        self.assertEqual('large', server.metadata['size'])
        self.assertTrue(server.has_config_drive)
        group = admin.network.get_security_group(
            machine['owned']['security_group_id']
        )
        opened = {
            (r['remote_ip_prefix'], r['port_range_min'], r['port_range_max'])
            for r in group.security_group_rules
            if r['direction'] == 'ingress'
        }
        cidrs = ('198.51.100.0/24', f'{_gateway("public")}/32')
        self.assertEqual(
            {(c, p, p) for c in cidrs for p in (2222, 2377)}, opened
        )

    def _certificate_names(
        self, machine: dict[str, typing.Any], name: str
    ) -> None:
        """Assert that each name is in it, as any TLS client checks it."""
        names = [
            *machine['addresses'],
            name,
            'docker.example.com',
            '192.0.2.9',
        ]
        for server_name in names:
            self._handshake(machine, name, server_name)
        self.assertRaises(
            ssl.SSLCertVerificationError,
            self._handshake,
            machine,
            name,
            'elsewhere.example.com',
        )

    def _handshake(
        self, machine: dict[str, typing.Any], name: str, server_name: str
    ) -> None:
        folder = self.here.machine_folder(name)
        context = ssl.create_default_context(cafile=str(folder / 'ca.pem'))
        context.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
        where = (machine['address'], machine['engine_port'])
        with (
            socket.create_connection(where, 10) as plain,
            context.wrap_socket(plain, server_hostname=server_name),
        ):
            pass


class OwnResourcesTest(OptionsTest):
    """What the user brings is used as it is, and is still there afterwards."""

    def test_port_and_agent(self) -> None:
        name = self.name('port')
        key = self.key_pair(f'{name}-key')
        self._into_agent(key)
        network = devcloud.connect('devcloud').network
        group = self._open_group(f'{name}-group')
        port = network.create_port(
            name=f'{name}-port',
            network_id=network.find_network('private').id,
            security_group_ids=[group.id],
        )
        self.addCleanup(network.delete_port, port)
        # Once used, the server must go first.
        self.addCleanup(devcloud.clean, 'devcloud', name)
        machine = self.create(
            name, '--port', port.name, '--key-name', key.name
        ).json
        fixed = port.fixed_ips[0]['ip_address']
        self.assertIn(fixed, machine['addresses'])
        self.assertEqual([group.name], self.our_groups(machine))
        self.here.docker('--context', name, 'ps')
        self.here.machine('delete', name)
        self.assertNothingLeft(name)
        left = network.get_port(port.id)
        self.assertFalse(left.device_id)

    def _into_agent(self, key: pathlib.Path) -> None:
        """Start an agent that holds the key, and take the file away."""
        said = self.here.run('ssh-agent', '-s').out
        found = dict(re.findall(r'(SSH_\w+)=([^;]+);', said))
        self.here.env.update(found)
        self.addCleanup(self.here.run, 'ssh-agent', '-k')
        self.here.run('ssh-add', '-q', str(key))
        key.unlink()

    def _open_group(self, name: str) -> typing.Any:
        network = devcloud.connect('devcloud').network
        group = network.create_security_group(name=name)
        self.addCleanup(network.delete_security_group, group)
        for port in (22, 2376):
            network.create_security_group_rule(
                security_group_id=group.id,
                direction='ingress',
                protocol='tcp',
                port_range_min=port,
                port_range_max=port,
            )
        return group

    def test_floating_ip_and_groups(self) -> None:
        name = self.name('fip')
        network = devcloud.connect('devcloud').network
        group = self._open_group(f'{name}-group')
        other = self._open_group(f'{name}-other')
        address = network.create_ip(
            floating_network_id=network.find_network('public').id
        )
        self.addCleanup(network.delete_ip, address)
        self.addCleanup(devcloud.clean, 'devcloud', name)
        machine = self.create(
            name,
            '--floating-ip',
            address.floating_ip_address,
            '--security-group',
            group.name,
            '--security-group',
            other.id,
        ).json
        self.assertEqual(address.floating_ip_address, machine['address'])
        self.assertEqual(
            {group.name, other.name}, set(self.our_groups(machine))
        )
        self.here.docker('--context', name, 'ps')
        taken = self.refused(
            'create',
            f'{name}-2',
            '--floating-ip',
            address.floating_ip_address,
            '--image',
            base.DOCKER_IMAGE,
        )
        self.assertIn('is in use', taken)
        self.here.machine('delete', name)
        self.assertNothingLeft(name)
        self.assertIsNone(network.get_ip(address.id).port_id)


class VolumesTest(OptionsTest):
    """The cloud has no volume service: what is asked is Nova's to judge."""

    def test_refused_where_there_are_no_volumes(self) -> None:
        name = self.name('volume')
        for option in ('--boot-from-volume', '--data-volume'):
            error = self.refused('create', name, option, '20')
            self.assertIn('no volume service', error)
        self.assertNothingLeft(name)

    def test_nova_takes_what_is_asked(self) -> None:
        request = CreateRequest(
            'volumes', boot_from_volume=20, data_volume=30, volume_type='fast'
        )
        image = devcloud.connect().image.find_image(base.DOCKER_IMAGE)
        devices = disks.mapping(request, image)
        # It knows these, and asks the volume service about the type.
        self.assertNotIn('Invalid input', self._refusal(devices))
        root, data = devices
        for wrong in ({'volume_size': 'x'}, {'volume_typ': 'fast'}):
            refusal = self._refusal([root, data | wrong])
            self.assertIn('Invalid input', refusal)

    def _refusal(self, devices: list[dict[str, typing.Any]]) -> str:
        compute = devcloud.connect('devcloud').compute
        error = self.assertRaises(
            openstack.exceptions.HttpException,
            compute.create_server,
            name=self.name('refused'),
            flavor_id=compute.find_flavor('m1.small').id,
            networks='none',
            block_device_mapping=devices,
        )
        return str(error)


class SeveralNetworksTest(OptionsTest):
    """In the project that no other test uses at this time."""

    def test_several_networks(self) -> None:
        cloud = self.tight_project()
        name = self.name('nets', cloud)
        second = self._second_network(f'{name}-net')
        before = devcloud.holdings(cloud)
        said = self.refused(
            'create', name, '--image', base.DOCKER_IMAGE, cloud=cloud
        )
        self.assertIn('Which network? These could serve:', said)
        self.assertRegex(said, f'{second.name} +{second.id}')
        self.assertRegex(said, 'tight-net +[0-9a-f-]{36}')
        self.assertIn('--network', said)
        self.assertEqual(before, devcloud.holdings(cloud))
        self.addCleanup(devcloud.clean, cloud, name)
        machine = self.create(name, '--network', second.id, cloud=cloud).json
        (port,) = devcloud.connect().network.ports(device_id=machine['id'])
        self.assertEqual(second.id, port.network_id)
        self.here.docker('--context', name, 'ps')

    def _second_network(self, name: str) -> typing.Any:
        network = devcloud.connect('devcloud-tight').network
        made = network.create_network(name=name)
        self.addCleanup(network.delete_network, made)
        subnet = network.create_subnet(
            name=f'{name}-subnet',
            network_id=made.id,
            ip_version=4,
            # 10.x is the devcloud's own; one of these for each port base.
            cidr=f'192.168.{devcloud.PORT // 5 % 256}.0/24',
            is_dhcp_enabled=False,
        )
        router = network.find_router('tight-router')
        network.add_interface_to_router(router, subnet_id=subnet.id)
        self.addCleanup(
            network.remove_interface_from_router, router, subnet_id=subnet.id
        )
        return made


def public(file: pathlib.Path) -> str:
    """The public key beside a private key's file."""
    return pathlib.Path(f'{file}.pub').read_text().strip()


def _gateway(network: str) -> ipaddress.IPv4Address:
    """Whom guests see when this host connects to them."""
    subnet = devcloud.connect().network.find_subnet(f'{network}-subnet')
    return ipaddress.IPv4Address(subnet.gateway_ip)
