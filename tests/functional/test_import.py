# SPDX-License-Identifier: Apache-2.0
"""Machines of Docker Machine are taken over, and it keeps what it had."""

from __future__ import annotations

import pathlib
import typing
import uuid

from tests import docker_machine
from tests.functional import base, devcloud, servers
from tests.functional.servers import Server

#: As 64 hexadecimal digits that Docker Machine chooses.
_RANDOM = 'c0ffee' * 10 + 'beef'
_CONTAINER = (
    'docker run -d --init --name steady busybox /bin/sleep 3600 >/dev/null'
)


class ImportTest(servers.ServerTest):
    """Two machines share a CA: one of driver openstack, one of generic."""

    open_ports = (22, 2376)
    key_type = ('-t', 'rsa', '-b', '2048', '-m', 'PEM')

    def key_pair(self, name: str) -> str:
        return f'{name}-{_RANDOM}'

    def test_import(self) -> None:
        self.tree = docker_machine.Tree(
            self.here.home / '.docker' / 'machine', docker_machine.Authority()
        )
        self.web, self.db = self.boot('web'), self.boot('db')
        self._as_docker_machine_has_them()
        self._others()
        self.before = {s: s.host() for s in (self.web, self.db)}
        self.starts = self._starts()
        self.originals = self.tree.contents()
        self._adopt_names_the_way()
        self._dry_run()
        self._imported()
        self._again()
        self._provision()
        self._renew_ca_of_one()
        self._renew_server_of_the_other()
        self._deleted()
        self._refused()
        self._renewed_at_once()
        self._with_server()
        self.assertEqual(self.originals, self.tree.contents())

    # ------------------------------------------------------------- arrange

    def _as_docker_machine_has_them(self) -> None:
        for server, driver in ((self.web, 'openstack'), (self.db, 'generic')):
            pair = self.tree.authority.server(server.name, [server.address])
            for name, content in (
                ('ca', self.tree.authority.pair.certificate),
                ('server', pair.certificate),
                ('server-key', pair.key),
            ):
                path = f'{docker_machine.REMOTE}/{name}.pem'
                server.write(path, content.decode())
            text = docker_machine.drop_in(driver, more='--label owner=alice ')
            server.write(docker_machine.DROP_IN, text)
            # Where the packages of Docker itself have it.
            server.shell(
                'test -e /usr/bin/dockerd || '
                'ln -s /usr/sbin/dockerd /usr/bin/dockerd; '
                'systemctl daemon-reload; systemctl restart docker.service'
            )
            server.ssh(
                self.here,
                'sudo docker import - busybox',
                base.busybox_image(),
            )
            server.shell(_CONTAINER)

    def _others(self) -> None:
        """Put entries and leftovers there beside the two machines."""
        where = {'IPAddress': self.web.address, 'SSHUser': 'debian'}
        self.tree.add(
            self.web.name,
            'openstack',
            self.web.key.read_bytes(),
            MachineId=self.web.id,
            KeyPairName=self.key_pair(self.web.name),
            FloatingIpPool='public',
            AuthUrl=devcloud.connect('devcloud').config.get_auth_args()[
                'auth_url'
            ],
            **where,
        )
        where['IPAddress'] = self.db.address
        self.tree.add('old-db', 'generic', self.db.key.read_bytes(), **where)
        gone = {'MachineId': str(uuid.uuid4())}
        far = {'AuthUrl': 'https://far.example.com:5000/v3', **gone}
        self.tree.add('gone', 'openstack', **gone)
        self.tree.add('far', 'openstack', **far)
        self.tree.add('box', 'virtualbox')
        connection = devcloud.connect('devcloud')
        self.stale = f'stale-{uuid.uuid4().hex}{uuid.uuid4().hex}'
        connection.compute.create_keypair(name=self.stale)
        self.addCleanup(connection.compute.delete_keypair, self.stale)
        external = connection.network.find_network('public')
        idle = connection.network.create_ip(floating_network_id=external.id)
        self.addCleanup(connection.network.delete_ip, idle.id)
        self.idle = idle.floating_ip_address

    def _starts(self) -> dict[str, str]:
        return {s.name: s.engine_start() for s in (self.web, self.db)}

    def _import(
        self, *options: str, code: int = 0
    ) -> dict[str, dict[str, typing.Any]]:
        done = self.here.machine('import', *options, '-f', 'json', code=code)
        self.assertNotIn('Traceback', done.err)
        self.assertNotIn('swordfish', done.out + done.err)
        return {row['Name']: row for row in done.json}

    def _verdicts(
        self, rows: dict[str, dict[str, typing.Any]]
    ) -> tuple[str, str]:
        return rows[self.web.name]['Verdict'], rows['old-db']['Verdict']

    def _original(self, server: Server, code: int | None = 0) -> int:
        """Ask an engine with what Docker Machine has."""
        certs = self.tree.root / 'certs'
        return self.here.docker(
            *('--tlsverify', '--tlscacert', str(certs / 'ca.pem')),
            *('--tlscert', str(certs / 'cert.pem')),
            *('--tlskey', str(certs / 'key.pem')),
            *('-H', f'tcp://{server.address}:2376', 'version'),
            code=code,
        ).code

    def _ours(self, server: Server) -> None:
        """Ask an engine by our context; its container has run on."""
        listed = self.here.docker(
            '--context', server.name, 'ps', '-a', '--format', '{{.Names}}'
        )
        self.assertEqual('steady\n', listed.out)

    # -------------------------------------------------------------- import

    def _adopt_names_the_way(self) -> None:
        said = self.refused(
            *('adopt', self.web.name, '--ssh-user', 'debian'),
            *('--ssh-key', str(self.web.key)),
        )
        self.assertIn('on TLS already, by Docker Machine', said)
        self.assertIn('openstack docker machine import', said)

    def _dry_run(self) -> None:
        rows = self._import('--dry-run')
        self.assertEqual(('importable',) * 2, self._verdicts(rows))
        for name, why in (
            ('gone', 'is gone, or in another project'),
            ('far', 'on another cloud: far.example.com'),
            ('box', "driver 'virtualbox'"),
        ):
            self.assertEqual('skipped', rows[name]['Verdict'])
            self.assertIn(why, rows[name]['Why'])
        self.assertIn(f"named '{self.db.name}'", rows['old-db']['Why'])
        self.assertEqual('key pair', rows[self.stale]['Kind'])
        self.assertEqual(
            f'openstack keypair delete {self.stale}', rows[self.stale]['Next']
        )
        self.assertEqual('floating IP', rows[self.idle]['Kind'])
        self.assertNotIn(self.key_pair(self.web.name), rows)
        self.assertNotIn(self.web.address, rows)
        self._nothing_happened()

    def _nothing_happened(self) -> None:
        for server in (self.web, self.db):
            self.assertUnchanged(self.before[server], server)
            found = devcloud.connect().compute.get_server(server.id)
            self.assertEqual(({}, []), (found.metadata, found.tags))
            self.assertEqual([], self.here.traces(server.name))
        self.assertEqual(self.starts, self._starts())

    def _imported(self) -> None:
        rows = self._import()
        self.assertEqual(('imported',) * 2, self._verdicts(rows))
        self.assertEqual(self.starts, self._starts())
        for server in (self.web, self.db):
            self.assertUnchanged(self.before[server], server)
            self._ours(server)
            found = devcloud.connect().compute.get_server(server.id)
            self.assertEqual(
                'imported', found.metadata['docker-machine:origin']
            )
            for file in self.here.machine_folder(server.name).iterdir():
                self.assertEqual(0o600, file.stat().st_mode & 0o777, file)
        done = self.here.machine('ssh', self.web.name, '--', 'id', '-un')
        self.assertEqual('debian\n', done.out)
        self.here.machine('check', self.db.name)

    def _again(self) -> None:
        rows = self._import()
        self.assertEqual(('already',) * 2, self._verdicts(rows))
        self.assertEqual(self.starts, self._starts())

    def _provision(self) -> None:
        self.here.machine('provision', self.web.name)
        self.assertUnchanged(self.before[self.web], self.web)
        self.assertEqual(self.starts, self._starts())

    # ---------------------------------------------------------------- renew

    def _renew_ca_of_one(self) -> None:
        self.here.machine('cert', 'renew', '--ca', self.web.name)
        starts = self._starts()
        self.assertNotEqual(self.starts[self.web.name], starts[self.web.name])
        self.assertEqual(self.starts[self.db.name], starts[self.db.name])
        self.here.docker('--context', self.web.name, 'version')
        self._ours(self.db)
        self._original(self.db)
        self.assertNotEqual(0, self._original(self.web, code=None))
        labels = self.here.docker(
            *('--context', self.web.name, 'info', '-f', '{{.Labels}}')
        )
        self.assertIn('owner=alice', labels.out)
        self.assertIn('provider=openstack', labels.out)

    def _renew_server_of_the_other(self) -> None:
        self.here.machine('cert', 'renew', '--server', self.db.name)
        self.here.docker('--context', self.db.name, 'version')
        # It is of their CA still.
        self._original(self.db)

    # --------------------------------------------------------------- delete

    def _deleted(self) -> None:
        self.here.machine('delete', self.web.name, self.db.name)
        for server in (self.web, self.db):
            self.assertUnchanged(self.before[server], server)
            self._original(server)
            found = devcloud.connect().compute.get_server(server.id)
            self.assertEqual('ACTIVE', found.status)
            self.assertEqual(({}, []), (found.metadata, found.tags))
            self.assertEqual([], self.here.traces(server.name))
        self.assertEqual(self.originals, self.tree.contents())

    def _refused(self) -> None:
        """A key that others can read; and an engine of another CA."""
        self.starts = self._starts()
        key = self._file('old-db', 'id_rsa')
        key.chmod(0o644)
        client = self._file(self.web.name, 'cert.pem')
        good = client.read_bytes()
        client.write_bytes(docker_machine.Authority().client().certificate)
        rows = self._import(code=1)
        self.assertEqual(('refused',) * 2, self._verdicts(rows))
        self.assertIn(f'chmod 600 {key}', rows['old-db']['Next'])
        self.assertIn('do not belong together', rows[self.web.name]['Why'])
        self.assertIn('--renew-certificates', rows[self.web.name]['Next'])
        self._nothing_happened()
        key.chmod(0o600)
        client.write_bytes(good)

    def _file(self, machine: str, name: str) -> pathlib.Path:
        return self.tree.root / 'machines' / machine / name

    def _renewed_at_once(self) -> None:
        rows = self._import('--renew-certificates', self.web.name)
        self.assertEqual([self.web.name], list(rows))
        self.assertEqual('imported', rows[self.web.name]['Verdict'])
        self.here.docker('--context', self.web.name, 'version')
        self.assertNotEqual(0, self._original(self.web, code=None))
        self._original(self.db)

    def _with_server(self) -> None:
        done = self.here.machine('delete', '--with-server', self.web.name)
        pair = self.key_pair(self.web.name)
        self.assertIn(f'openstack keypair delete {pair}', done.err)
        self.assertIn(
            f'openstack floating ip delete {self.web.address}', done.err
        )
        self.assertNothingLeft(self.web.name)
        compute = devcloud.connect('devcloud').compute
        self.assertIsNotNone(compute.find_keypair(pair))
        rows = self._import('--dry-run')
        self.assertEqual('key pair', rows[pair]['Kind'])
        self.assertEqual('skipped', rows[self.web.name]['Verdict'])
