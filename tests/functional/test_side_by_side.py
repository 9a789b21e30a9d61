# SPDX-License-Identifier: Apache-2.0
"""Two people at one name, and many machines at once.

In a project of its own, so that all it holds can be counted. How often and
how many can be set, for longer runs than CI's:

- ``SIDE_BY_SIDE_ROUNDS``: how often each pair runs against each other.
- ``SIDE_BY_SIDE_MACHINES``: how many machines are created at once.
"""

from __future__ import annotations

import os
import pathlib
import secrets
import ssl
import typing
import urllib.request
import uuid

from tests.functional import base, devcloud, servers
from tests.functional.workstation import Result, Workstation

ROUNDS = int(os.environ.get('SIDE_BY_SIDE_ROUNDS') or 2)
MACHINES = int(os.environ.get('SIDE_BY_SIDE_MACHINES') or 8)


class OwnProjectTest(base.FunctionalTest):
    """Has a project with a network, and two workstations of its members."""

    def setUp(self) -> None:
        super().setUp()
        self._password = secrets.token_hex(8)
        self._name = f'crowd-{uuid.uuid4().hex[:6]}'
        self.project = self._project()
        self._network()
        self.configure(self.here)
        self.there = self.workstation()
        self.configure(self.there)
        self.empty = self.holdings()

    def configure(self, workstation: Workstation) -> None:
        """Have a workstation work in the project."""
        auth = {
            'auth_url': devcloud.connect().config.get_auth_args()['auth_url'],
            'username': self._name,
            'project_name': self._name,
            'user_domain_name': 'Default',
            'project_domain_name': 'Default',
        }
        workstation.configure('devcloud', self._password, auth=auth)

    def _project(self) -> str:
        admin = devcloud.connect()
        identity = admin.identity
        project = identity.create_project(name=self._name, domain_id='default')
        self.addCleanup(identity.delete_project, project)
        user = identity.create_user(
            name=self._name, password=self._password, domain_id='default'
        )
        self.addCleanup(identity.delete_user, user)
        role = identity.find_role('member')
        identity.assign_project_role_to_user(project, user, role)
        admin.compute.update_quota_set(
            project.id, instances=40, cores=80, ram=163840
        )
        return str(project.id)

    def _network(self) -> None:
        network = devcloud.connect().network
        mine = {'project_id': self.project}
        made = network.create_network(name='crowd', **mine)
        self.addCleanup(network.delete_network, made)
        # Not what another test, or another devcloud, has.
        block = f'192.168.{(devcloud.PORT // 5 + 129) % 256}'
        subnet = network.create_subnet(
            network_id=made.id,
            ip_version=4,
            cidr=f'{block}.0/24',
            gateway_ip=f'{block}.1',
            is_dhcp_enabled=False,
            **mine,
        )
        public = network.find_network('public')
        router = network.create_router(
            name='crowd',
            external_gateway_info={'network_id': public.id},
            **mine,
        )
        self.addCleanup(network.delete_router, router)
        network.add_interface_to_router(router, subnet_id=subnet.id)
        self.addCleanup(
            network.remove_interface_from_router, router, subnet_id=subnet.id
        )
        self.addCleanup(self._clean)

    def _clean(self) -> None:
        """Remove what a test that has failed may have left."""
        admin = devcloud.connect()
        compute, network = admin.compute, admin.network
        mine = {'project_id': self.project}
        found = list(compute.servers(all_projects=True, **mine))
        for server in found:
            compute.delete_server(server)
        for server in found:
            compute.wait_for_delete(server, interval=0.3, wait=180)
        for address in list(network.ips(**mine)):
            network.delete_ip(address)
        for port in list(network.ports(**mine)):
            if not port.device_owner:
                network.delete_port(port)
        for group in list(network.security_groups(**mine)):
            network.delete_security_group(group)

    def holdings(self) -> dict[str, list[str]]:
        """What the project holds, as the administrator sees it."""
        admin = devcloud.connect()
        compute, network = admin.compute, admin.network
        mine = {'project_id': self.project}
        kinds: dict[str, typing.Iterable[typing.Any]] = {
            'server': compute.servers(all_projects=True, **mine),
            'port': network.ports(**mine),
            'floating IP': network.ips(**mine),
            'security group': network.security_groups(**mine),
        }
        return {
            kind: sorted(f'{t.id} {t.name}' for t in things)
            for kind, things in kinds.items()
        }

    def counts(self) -> dict[str, int]:
        """How many of each kind there are beyond those of an empty project."""
        return {
            kind: len(there) - len(self.empty[kind])
            for kind, there in self.holdings().items()
        }

    def both(self, *command: str) -> tuple[Result, Result]:
        """Run a command on both workstations at once."""
        running = [w.start(*command) for w in (self.here, self.there)]
        for program in running:
            self.addCleanup(program.kill)
        here, there = (program.wait() for program in running)
        for done in here, there:
            self.assertNotIn('Traceback', done.err)
        return here, there

    def assertAsBefore(self, name: str) -> None:
        """Assert that no trace of a machine is left anywhere."""
        self.assertEqual(self.empty, self.holdings())
        for workstation in self.here, self.there:
            self.assertEqual([], workstation.traces(name))


class TwoAtOnceTest(OwnProjectTest):
    def test_create_and_delete(self) -> None:
        for number in range(ROUNDS):
            name = f'twin{number}'
            self._create(name)
            for done in self.both('delete', name):
                self.assertEqual(0, done.code, done)
            self.assertAsBefore(name)

    def _create(self, name: str) -> None:
        """One has it, and can work with it; the other was told so."""
        image = ('--image', base.DOCKER_IMAGE)
        done = self.both('create', name, *image, '-f', 'json')
        codes = [result.code for result in done]
        self.assertEqual([0, 1], sorted(codes), done)
        won, lost = codes.index(0), codes.index(1)
        self.assertIn(f"'{name}'", done[lost].err)
        self.assertRegex(done[lost].err, 'Somebody else|exists already')
        self.assertEqual('', done[lost].out)
        one = {'server': 1, 'port': 1, 'floating IP': 1, 'security group': 1}
        self.assertEqual(one, self.counts())
        workstations = self.here, self.there
        self.assertEqual([], workstations[lost].traces(name))
        workstations[won].docker('--context', name, 'version')

    def test_create_against_delete(self) -> None:
        """Whichever comes later: there is a machine, or nothing."""
        for number in range(ROUNDS):
            name = f'torn{number}'
            creating = self.here.start(
                'create', name, '--image', base.DOCKER_IMAGE
            )
            self.addCleanup(creating.kill)
            if number % 2:
                devcloud.wait_for('a port', lambda: self.counts()['port'])
            else:
                devcloud.wait_for('a server', lambda: self.counts()['server'])
            self.there.machine('delete', name)
            created = creating.wait()
            self.assertNotIn('Traceback', created.err)
            if not created.code:
                # It may have been ready just when it was deleted.
                if self.counts()['server']:
                    self.here.docker('--context', name, 'version')
                self.here.machine('delete', name)
            self.assertAsBefore(name)


class ManyAtOnceTest(OwnProjectTest):
    """From processes that have one store, of which nothing exists yet."""

    def test_many(self) -> None:
        names = [f'crowd{number}' for number in range(MACHINES)]
        self._all(
            'create', names, '--image', base.DOCKER_IMAGE, '--timeout', '900'
        )
        listed = self.here.machine('list', '--long', '-f', 'json').json
        self.assertEqual(sorted(names), sorted(m['Name'] for m in listed))
        self.assertEqual({'running'}, {m['State'] for m in listed})
        counts = self.counts()
        groups = counts.pop('security group')
        self.assertEqual({MACHINES}, {*counts.values()})
        self.assertLessEqual(groups, MACHINES)
        addresses = {self._proven(name) for name in names}
        self.assertEqual(MACHINES, len(addresses))
        self.assertLessEqual({*names}, {*self.here.contexts()})
        self._all('delete', names)
        for name in names:
            self.assertAsBefore(name)

    def _all(self, verb: str, names: list[str], *options: str) -> None:
        running = [self.here.start(verb, name, *options) for name in names]
        for program in running:
            self.addCleanup(program.kill)
        for done in [program.wait(1800) for program in running]:
            self.assertEqual(0, done.code, done)
            self.assertNotIn('Traceback', done.err)

    def _proven(self, name: str) -> str:
        """Have an answer with a machine's own certificate; its address."""
        folder = self.here.machine_folder(name)
        url = self.here.machine('url', name).out.strip()
        ping = url.replace('tcp://', 'https://') + '/_ping'
        self.assertEqual(b'OK', _asked(ping, folder))
        return url


def _asked(url: str, folder: pathlib.Path) -> bytes:
    """Ask an engine as a Docker client does, with the keys in a folder.

    :raises ssl.SSLError: if key and certificate are not of one pair, or one
        of the two sides does not trust the other.
    """
    context = ssl.create_default_context(cafile=folder / 'ca.pem')
    context.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
    handler = urllib.request.HTTPSHandler(context=context)
    with urllib.request.build_opener(handler).open(url, timeout=30) as answer:
        return bytes(answer.read())


class AdoptTest(servers.ServerTest):
    """Two workstations adopt one server, and let it go, at once."""

    def test_adopt_and_delete(self) -> None:
        server = self.boot('torn')
        before, groups = server.host(), server.groups()
        there = self.workstation()
        for _ in range(ROUNDS):
            done = self._both(there, server)
            codes = [result.code for result in done]
            self.assertEqual([0, 1], sorted(codes), done)
            won, lost = codes.index(0), codes.index(1)
            self.assertRegex(done[lost].err, 'somebody else|machine already')
            workstations = self.here, there
            self.assertEqual([], workstations[lost].traces(server.name))
            workstations[won].docker('--context', server.name, 'version')
            workstations[won].machine('delete', server.name)
            self.assertUnchanged(before, server)
            self.assertEqual(groups, server.groups())
            for workstation in workstations:
                self.assertEqual([], workstation.traces(server.name))

    def _both(
        self, there: Workstation, server: servers.Server
    ) -> tuple[Result, ...]:
        running = []
        command = ('adopt', server.name, '--ssh-user', 'debian')
        key = ('--ssh-key', str(server.key), '-f', 'json')
        for workstation in self.here, there:
            running.append(workstation.start(*command, *key))
            self.addCleanup(running[-1].kill)
        return tuple(program.wait() for program in running)
