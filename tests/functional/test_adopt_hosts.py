# SPDX-License-Identifier: Apache-2.0
"""A server whose daemon.json says what the engine listens on is adopted."""

from __future__ import annotations

from tests.functional import base, servers

_JSON = '/etc/docker/daemon.json'
_HOSTS = """\
{ "live-restore": true,
  "hosts": [
    "fd://",
    "unix:///run/second.sock"
  ], "labels": ["hosts=mine"]
}
"""
# What one does who sets hosts in the file: the package's flag goes.
_DROPIN = """\
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock
"""


class AdoptHostsTest(servers.ServerTest):
    """One server; each step begins where the one before has ended."""

    def test_adopt_hosts(self) -> None:
        self.server = self.boot('hosts')
        self._arrange()
        self._dry_run()
        self._adopted()
        self._again()
        self._renewed()
        self._socket_that_was_masked()
        self._deleted()

    def _arrange(self) -> None:
        server = self.server
        server.write(_JSON, _HOSTS)
        server.write(
            '/etc/systemd/system/docker.service.d/50-own.conf', _DROPIN
        )
        server.shell(
            'systemctl daemon-reload; systemctl restart docker.service'
        )
        server.ssh(
            self.here, 'sudo docker import - busybox', base.busybox_image()
        )
        server.shell(
            'docker run -d --init --name runs-on busybox /bin/sleep 3600'
        )
        self.before = (server.host(), server.engine())

    def _dry_run(self) -> None:
        (changes,) = self.adopt(self.server, '--dry-run').json.values()
        self.assertIn(
            f'add tcp://0.0.0.0:2376 to "hosts" in {_JSON}, whose rest stays '
            'as it is',
            changes,
        )
        self.assertUnchanged(self.before[0], self.server)

    def _adopted(self) -> None:
        server = self.server
        self.adopt(server)
        expected = _HOSTS.replace('.sock"', '.sock", "tcp://0.0.0.0:2376"')
        self.assertEqual(expected, server.run('cat', _JSON))
        self.assertEqual(self.before[1], server.engine())
        listed = self.here.docker(
            '--context', server.name, 'ps', '--format', '{{.Names}}'
        )
        self.assertEqual(['runs-on'], listed.out.split())
        for socket in ('/var/run/docker.sock', '/run/second.sock'):
            server.run('docker', '-H', f'unix://{socket}', 'version')

    def _again(self) -> None:
        start = self.server.engine_start()
        self.assertIn('nothing to change', self.adopt(self.server).err)
        self.here.machine('provision', self.server.name)
        self.assertEqual(start, self.server.engine_start())

    def _renewed(self) -> None:
        start = self.server.engine_start()
        text = self.server.run('cat', _JSON)
        self.here.machine('cert', 'renew', '--ca', self.server.name)
        self.here.docker('--context', self.server.name, 'version')
        self.assertNotEqual(start, self.server.engine_start())
        self.assertEqual(text, self.server.run('cat', _JSON))

    def _socket_that_was_masked(self) -> None:
        """The socket runs, and systemd passes it to no engine any more."""
        self.server.shell(
            'systemctl mask docker.socket; systemctl daemon-reload; '
            'systemctl stop docker.service; systemctl unmask docker.socket; '
            '! systemctl start docker.service'
        )
        self.here.machine('provision', self.server.name)
        self.here.docker('--context', self.server.name, 'version')
        self.server.run('docker', 'version')

    def _deleted(self) -> None:
        """Only what is ours goes out of a file that its owner has edited."""
        edited = self.server.run('cat', _JSON).replace('mine', 'edited')
        self.server.write(_JSON, edited)
        self.here.machine('delete', self.server.name)
        self.assertEqual(
            _HOSTS.replace('mine', 'edited'), self.server.run('cat', _JSON)
        )
        self.server.write(_JSON, _HOSTS)
        self.assertUnchanged(self.before[0], self.server)
        self.server.shell('systemctl restart docker.service')
        self.assertEqual(self.before[1], self.server.engine())
