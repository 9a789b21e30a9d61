# SPDX-License-Identifier: Apache-2.0
"""Engines that stay on their sockets: docker goes through SSH."""

from __future__ import annotations

import socket

from tests.functional import base, devcloud, servers
from tests.functional.servers import Server

_USERS = '# mine, without a new line at its end\nHost *\n  ConnectTimeout 20'
_NEW_HOST_KEY = """\
rm /etc/ssh/ssh_host_*
ssh-keygen -q -A
systemctl restart ssh
"""


class CreatedTest(base.FunctionalTest):
    """Two machines, one of them without Docker in its image."""

    def test_created(self) -> None:
        self.config = self.here.configure_ssh(_USERS)
        self.web, self.bare = self.name('sock'), self.name('bare')
        done = self.create(self.web, '--access', 'ssh')
        self.web_id = done.json['id']
        self.assertIn(f'{self.config} begins with a line of ours', done.err)
        self._one_login_and_one_start()
        self._nothing_else_is_open(done.json['address'])
        self._used()
        self._second_machine()
        self._restarted()
        self._another_host_key()
        self._deleted()

    def _one_login_and_one_start(self) -> None:
        self.assertEqual(1, devcloud.ssh_logins(self.web_id))
        self.assertEqual(1, devcloud.engine_starts(self.web_id))

    def _nothing_else_is_open(self, address: str) -> None:
        network = devcloud.connect().network
        (port,) = network.ports(device_id=self.web_id)
        opened = [
            rule.port_range_min
            for group in port.security_group_ids
            for rule in network.security_group_rules(
                security_group_id=group, direction='ingress'
            )
        ]
        self.assertEqual([22], opened)
        with self.assertRaises(OSError):
            socket.create_connection((address, 2376), 3)
        listening = devcloud.in_guest(self.web_id, 'ss', '-Hltn')
        self.assertNotIn(':2376', listening)

    def _used(self) -> None:
        self.run_container(self.web)
        script = (
            f'eval "$(openstack --os-cloud devcloud docker machine env '
            f'{self.web})"; docker ps -aq; env; '
            'openstack --os-cloud devcloud docker machine active'
        )
        # As of a machine with TLS before.
        before = {'DOCKER_TLS_VERIFY': '1', 'DOCKER_CERT_PATH': '/nowhere'}
        out = self.here.run('sh', '-euc', script, env=before).out
        self.assertIn('DOCKER_HOST=ssh://', out)
        self.assertNotIn('DOCKER_TLS_VERIFY', out)
        self.assertNotIn('DOCKER_CERT_PATH', out)
        self.assertEqual(self.web, out.splitlines()[-1])
        links = self.here.machine('check', self.web, '-f', 'json').json
        self.assertEqual('docker over SSH', links[-1]['Link'])
        self.refused('cert', 'show', self.web)

    def _second_machine(self) -> None:
        """Debian 13 has the docker command in a package of its own."""
        before = self.config.read_text()
        done = self.create(
            self.bare, '--access', 'ssh', '--image', 'debian-13'
        )
        self.assertNotIn('a line of ours', done.err)
        self.assertEqual(before, self.config.read_text())
        self.assertEqual(1, devcloud.engine_starts(done.json['id']))
        for name in (self.web, self.bare):
            self.here.docker('--context', name, 'version')
        listed = self.here.machine('list', '--long', '-f', 'json').json
        answers = {m['Name']: m['Answer'] for m in listed}
        self.assertEqual(('ok', 'ok'), (answers[self.web], answers[self.bare]))

    def _restarted(self) -> None:
        self.here.machine('restart', self.bare)
        self.here.docker('--context', self.bare, 'version')

    def _another_host_key(self) -> None:
        devcloud.in_guest(self.web_id, 'sh', '-euc', _NEW_HOST_KEY)
        done = self.here.docker('--context', self.web, 'ps', code=1)
        self.assertIn('Host key verification failed', done.err)

    def _deleted(self) -> None:
        self.here.machine('delete', self.web)
        self.here.docker('--context', self.bare, 'version')
        done = self.here.machine('delete', self.bare)
        self.assertIn('is without our line again', done.err)
        self.assertEqual(_USERS, self.config.read_text())
        for name in (self.web, self.bare):
            self.assertNothingLeft(name)


class JumpHostTest(servers.ServerTest):
    """A server in a network that no router leads to."""

    def test_behind_a_jump_host(self) -> None:
        jump = self.boot('jump', 'debian-12', 'private', 'backend')
        # Of two default routes the one that leads nowhere came last.
        jump.run('ip', 'route', 'del', 'default', 'dev', 'eth1')
        server = self.boot('inner', base.DOCKER_IMAGE, 'backend')
        text = (
            f'Host {server.address}\n  ProxyJump jump\n'
            f'Host jump\n  HostName {jump.address}\n  User debian\n'
            f'  IdentityFile {jump.key}\n'
            '  StrictHostKeyChecking accept-new\n'
        )
        self.config = self.here.configure_ssh(text)
        before = server.host()
        start = server.engine_start()
        self._refused(server, before)
        done = self.adopt(server, '--access', 'ssh')
        self.assertIn('add user debian to group docker', done.err)
        self.assertNotIn('restart', done.err)
        self._used(server)
        self.assertIn(
            'nothing to change', self.adopt(server, '--access', 'ssh').err
        )
        self.here.machine('delete', server.name)
        self.assertEqual(start, server.engine_start())
        self.assertUnchanged(before, server)
        self.assertNotIn('docker', server.run('id', '-nG', 'debian'))
        self.assertEqual(text, self.config.read_text())
        self.assertEqual([], self.here.traces(server.name))

    def _refused(self, server: Server, before: set[str]) -> None:
        said = self.refused(
            *('adopt', server.name, '--ssh-user', 'debian'),
            *('--ssh-key', str(server.key)),
        )
        self.assertIn('through jump, and port 2376 there', said)
        self.assertIn('adopt --access ssh', said)
        self.assertUnchanged(before, server)
        self.assertEqual([], self.here.traces(server.name))

    def _used(self, server: Server) -> None:
        name = server.name
        self.run_container(name)
        self.here.docker('--context', name, 'image', 'rm', 'busybox')
        self.assertEqual(
            'debian\n', self.here.machine('ssh', name, '--', 'whoami').out
        )
        (self.here.home / 'there').write_text('and back\n')
        self.here.machine('scp', 'there', f'{name}:there')
        self.here.machine('scp', f'{name}:there', 'back')
        self.assertEqual('and back\n', (self.here.home / 'back').read_text())
        links = self.here.machine('check', name, '-f', 'json').json
        self.assertEqual({True}, {link['Holds'] for link in links})
        self.assertIn('through jump', links[3]['Detail'])
