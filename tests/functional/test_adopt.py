# SPDX-License-Identifier: Apache-2.0
"""Servers that run already become machines, and are let go again."""

from __future__ import annotations

import json

from tests.functional import base, devcloud, servers
from tests.functional.servers import Server

_DAEMON_JSON = {
    'registry-mirrors': ['https://mirror.example.com'],
    'labels': ['owner=alice'],
    'live-restore': True,
    'log-driver': 'json-file',
}
_HOSTS = """\
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// -H unix:///run/second.sock \\
    --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
"""
_FOREIGN_TLS = """\
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:2376 --tlsverify \\
    --tlscacert=/etc/theirs/ca.pem --tlscert=/etc/theirs/cert.pem \\
    --tlskey=/etc/theirs/key.pem
"""
_CONTAINERS = """\
for policy in always no; do
    docker run -d --init --name restart-$policy --restart $policy busybox \\
        /bin/sleep 3600
done
docker volume create data
"""
_CONF = '/etc/systemd/system/docker.service.d/50-own.conf'
_JSON = '/etc/docker/daemon.json'
_OURS = '/etc/systemd/system/docker.service.d/zz-docker-machine.conf'


class NoDockerTest(servers.ServerTest):
    """A server without Docker gets it, and loses it again."""

    def test_no_docker(self) -> None:
        server = self.boot('bare', 'debian-12')
        before = server.host()
        groups = server.groups()
        self._dry_run(server, before)
        self._adopted(server, before)
        self._again(server)
        self._deleted(server, before, groups)

    def _dry_run(self, server: Server, before: set[str]) -> None:
        done = self.adopt(server, '--dry-run')
        (changes,) = done.json.values()
        self.assertIn('install Docker Engine (apt)', changes)
        self.assertNotIn('restart', ' '.join(changes))
        self.assertUnchanged(before, server)
        self.assertEqual([], self.here.traces(server.name))
        self.assertNotIn(server.name, self.here.machine('list').out)

    def _adopted(self, server: Server, before: set[str]) -> None:
        groups = server.groups()
        done = self.adopt(server)
        self.assertIn(f'{server.name}: install Docker Engine', done.err)
        self.assertEqual(len(groups) + 1, len(server.groups()))
        self.assertEqual(server.id, done.json['id'])
        self.assertEqual('running', done.json['state'])
        self.run_container(server.name)
        # Packages came; none went or has another version now, and the name
        # of the host is the same.
        self.assertNotIn('gone', servers.differences(before, server.host()))

    def _again(self, server: Server) -> None:
        start = server.engine_start()
        logins = devcloud.ssh_logins(server.id)
        done = self.adopt(server)
        self.assertIn('nothing to change', done.err)
        self.assertEqual(start, server.engine_start())
        # It has looked, and no more.
        self.assertEqual(logins + 1, devcloud.ssh_logins(server.id))

    def _deleted(
        self,
        server: Server,
        before: set[str],
        groups: list[str],
    ) -> None:
        server.shell('docker rmi -f $(docker images -q)')
        self.here.machine('delete', server.name)
        self.assertUnchanged(before, server)
        self.assertEqual([], self.here.traces(server.name))
        self._a_server_like_any_other(server)
        self.assertEqual(groups, server.groups())

    def _a_server_like_any_other(self, server: Server) -> None:
        found = devcloud.connect().compute.get_server(server.id)
        self.assertEqual('ACTIVE', found.status)
        self.assertEqual({}, found.metadata)
        self.assertEqual([], found.tags)


class DockerThereTest(servers.ServerTest):
    """A server with Docker, settings, and a container that has to run on."""

    def test_docker_there(self) -> None:
        self.server = self.boot('full')
        self._arrange()
        self._daemon_json_with_hosts()
        self._tls_of_another_ca()
        # The way out that both told of: they are taken out again.
        self.server.write(_CONF, _HOSTS)
        self._restart(_DAEMON_JSON)
        self._adopted()
        self._again()
        self._deleted()
        self._with_server()

    def _arrange(self) -> None:
        server = self.server
        self._restart(_DAEMON_JSON)
        server.ssh(
            self.here,
            'sudo docker import - busybox',
            base.busybox_image(),
        )
        server.shell(_CONTAINERS)

    def _restart(self, settings: dict[str, object]) -> None:
        self.server.write(_JSON, json.dumps(settings))
        self.server.shell(
            'systemctl daemon-reload; systemctl reset-failed docker.service;'
            'systemctl restart docker.service'
        )

    def _refused(self) -> str:
        before = self.server.host()
        start = self.server.engine_start()
        said = self.refused(
            *('adopt', self.server.name, '--ssh-user', 'debian'),
            *('--ssh-key', str(self.server.key)),
        )
        self.assertUnchanged(before, self.server)
        self.assertEqual(start, self.server.engine_start())
        self.assertEqual([], self.here.traces(self.server.name))
        self.assertIn('cannot be adopted', said)
        return said

    def _daemon_json_with_hosts(self) -> None:
        # As those do who set hosts there: Debian's unit names one, too.
        self.server.write(_CONF, '[Service]\nExecStart=\nExecStart=dockerd\n')
        listener = 'tcp://127.0.0.1:2375'
        self._restart({**_DAEMON_JSON, 'hosts': ['fd://', listener]})
        said = self._refused()
        self.assertIn(f'{listener} already: "hosts" in {_JSON}', said)
        self.assertIn('take that out first', said)
        self.server.run('rm', _CONF)
        self._restart(_DAEMON_JSON)

    def _tls_of_another_ca(self) -> None:
        self.server.shell(
            'mkdir -p /etc/theirs; cd /etc/theirs; openssl req -x509 -newkey '
            'ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=theirs '
            '-keyout key.pem -out cert.pem 2>/dev/null; cp cert.pem ca.pem'
        )
        self.server.write(_CONF, _FOREIGN_TLS)
        self._restart(_DAEMON_JSON)
        said = self._refused()
        self.assertIn('on TLS already, with other certificates', said)
        self.assertIn(_CONF, said)
        self.assertIn('take the --tls options out', said)
        self.server.run('rm', _CONF)

    def _adopted(self) -> None:
        server = self.server
        self.before = (server.host(), server.engine())
        start = server.engine_start()
        done = self.adopt(server)
        self.assertIn(
            'restart the engine once; 2 running container(s)', done.err
        )
        self.assertIn('run on: live-restore is set', done.err)
        self.assertNotEqual(start, server.engine_start())
        self.assertEqual(self.before[1], server.engine())
        differences = servers.differences(self.before[0], server.host())
        (ours,) = differences.pop('come')
        self.assertTrue(ours.endswith(_OURS.removeprefix('/etc/')), ours)
        self.assertEqual({}, differences)
        listed = self.here.docker(
            '--context', server.name, 'ps', '--format', '{{.Names}}'
        )
        self.assertEqual(
            {'restart-always', 'restart-no'}, set(listed.out.split())
        )
        second = server.run(
            'docker', '-H', 'unix:///run/second.sock', 'version', '-f', 'x'
        )
        self.assertEqual('x\n', second)

    def _again(self) -> None:
        start = self.server.engine_start()
        self.assertIn('nothing to change', self.adopt(self.server).err)
        self.assertEqual(start, self.server.engine_start())

    def _deleted(self) -> None:
        server = self.server
        self.here.machine('delete', server.name)
        self.assertUnchanged(self.before[0], server)
        self.assertEqual(self.before[1], server.engine())
        closed = self.here.docker(
            '-H', f'tcp://{server.address}:2376', 'version', code=None
        )
        self.assertNotEqual(0, closed.code)
        self.assertEqual([], self.here.traces(server.name))

    def _with_server(self) -> None:
        """By address, with the user's configuration of ssh, nothing said."""
        self.here.configure_ssh(
            f'Host {self.server.address}\n  User debian\n'
            f'  IdentityFile {self.server.key}\n'
        )
        self.here.machine('adopt', self.server.address, '--no-context')
        self.assertEqual(['default'], list(self.here.contexts()))
        self._leave_host()
        self.here.machine('delete', '--with-server', self.server.name)
        self.assertNothingLeft(self.server.name)

    def _leave_host(self) -> None:
        """What stands on a host of a machine forgotten is no obstacle."""
        name = self.server.name
        self.here.machine('delete', '--leave-host', name)
        server = devcloud.connect().compute.get_server(self.server.id)
        self.assertEqual({}, server.metadata)
        self.assertEqual([], self.here.traces(name))
        self.here.machine('adopt', self.server.address)
        self.here.docker('--context', name, 'ps')
