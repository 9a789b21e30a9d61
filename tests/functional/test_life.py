# SPDX-License-Identifier: Apache-2.0
"""The life of one machine: create, use, restart, reboot, delete."""

from __future__ import annotations

import base64
import pathlib
import stat

from tests.functional import base, devcloud
from tests.functional.workstation import Result

# Of a create, without its polls: two to log in, six questions, and port,
# address, server and record; and here two for the versions of services, which
# are then known for a day, and two for the first group of its rules.
MOST_REQUESTS = 16


class LifeTest(base.FunctionalTest):
    """One machine, from the image with Docker inside, goes through it all."""

    def test_life(self) -> None:
        self.machine = self.name('life')
        self._create()
        self._show_and_list()
        self._run_container()
        self._env_in_a_shell()
        self._as_dockers_plugin()
        self._strangers_are_refused()
        self._dead_engine_in_list()
        self._reboot()
        self._delete()

    # ------------------------------------------------------------------ steps

    def _create(self) -> None:
        log = self.here.home / 'debug.log'
        done = self.here.openstack(
            '--debug',
            '--log-file',
            str(log),
            'docker',
            'machine',
            'create',
            self.machine,
            '--image',
            base.DOCKER_IMAGE,
            '-f',
            'json',
        )
        self.shown = done.json
        self.server = self.shown['id']
        self.url = self.shown['url']
        self.assertEqual(self.machine, self.shown['name'])
        self.assertEqual('running', self.shown['state'])
        self.assertEqual(f'tcp://{self.shown["address"]}:2376', self.url)
        self._said_what_is_used(done)
        self._cost(log.read_text())
        self._no_secrets(log.read_text() + done.err)
        # It was in the image, and has made its key itself.
        self.assertEqual(0, devcloud.ssh_logins(self.server))
        self.assertEqual(1, devcloud.engine_starts(self.server))
        self._no_secrets_in_the_cloud()

    def _said_what_is_used(self, done: Result) -> None:
        lines = done.err.splitlines()
        for start in (
            'image: debian-12-docker (as asked)',
            'flavor: m1.small (the smallest',
            'network: private (',
            'address: a new floating IP from public',
            'open: tcp 22, 2376 from 0.0.0.0/0',
            f'ready: docker --context {self.machine} ps',
        ):
            found = [line for line in lines if line.startswith(start)]
            self.assertEqual(1, len(found), f'{start!r} in\n{done.err}')

    def _cost(self, log: str) -> None:
        requests = _requests(log)
        one = f'/servers/{self.server}'
        polls = [
            r
            for r in requests
            if f'{one}/action' in r or ('GET' in r and one in r)
        ]
        # The first is the question whether the name is free.
        polls += [r for r in requests if '/servers/detail?name=' in r][1:]
        self.assertLessEqual(len(requests) - len(polls), MOST_REQUESTS)

    def _no_secrets(self, log: str) -> None:
        folder = self.here.machine_folder(self.machine)
        for file in ('key.pem', 'ca-key.pem', 'id_ed25519'):
            for line in (folder / file).read_text().splitlines()[1:-1]:
                self.assertNotIn(line, log)
        self.assertNotIn('PRIVATE KEY', log)

    def _no_secrets_in_the_cloud(self) -> None:
        server = devcloud.connect().compute.get_server(self.server)
        self.assertTrue(server.user_data)
        told = (
            base64.b64decode(server.user_data) + repr(server.metadata).encode()
        )
        self.assertNotIn(b'PRIVATE', told)
        logged = devcloud.in_guest(
            self.server,
            *('sh', '-c', 'grep -rl "PRIVATE KEY" "$@" || :', 'sh'),
            *('/var/log', '/run', '/tmp', '/var/lib/cloud'),
        )
        self.assertEqual('', logged)

    def _show_and_list(self) -> None:
        self._private_files()
        shown = self.here.machine('show', self.machine, '-f', 'json')
        self.assertEqual('', shown.err)
        self.assertEqual('ok', shown.json['engine_answer'])
        self.assertEqual(self.shown | {'engine_answer': 'ok'}, shown.json)
        self.assertNotIn('PRIVATE', shown.out)
        listed = self.here.openstack(
            '--debug', 'docker', 'machine', 'list', '-f', 'json'
        )
        asked = [r for r in _requests(listed.err) if '/servers' in r]
        self.assertEqual(1, len(asked), asked)
        row = self._row(listed)
        self.assertEqual('running', row['State'])
        self.assertEqual(self.url, row['URL'])
        self.assertEqual(base.DOCKER_IMAGE, row['Image'])
        self.assertEqual(self.shown['engine_version'], row['Engine'])

    def _private_files(self) -> None:
        folder = self.here.machine_folder(self.machine)
        self.assertEqual(0o700, _mode(folder))
        for file in folder.iterdir():
            self.assertEqual(0o600, _mode(file), file)
        here = {file.name for file in folder.iterdir()}
        self.assertNotIn('server-key.pem', here)
        key = ' '.join(self.shown['host_key'].split()[:2])
        self.assertIn(key, (folder / 'known_hosts').read_text())
        self.assertIn(key, self._host_keys())
        # The system's own ssh gets along with key and known_hosts.
        self.here.run(
            *('ssh', '-F', 'none', '-o', 'BatchMode=yes'),
            *('-o', 'StrictHostKeyChecking=yes', '-o'),
            f'UserKnownHostsFile={folder / "known_hosts"}',
            *('-i', str(folder / 'id_ed25519')),
            f'debian@{self.shown["address"]}',
            'true',
        )

    def _host_keys(self) -> str:
        return devcloud.in_guest(
            self.server, 'sh', '-c', 'cat /etc/ssh/ssh_host_*_key.pub'
        )

    def _row(self, listed: Result) -> dict[str, object]:
        (row,) = [r for r in listed.json if r['Name'] == self.machine]
        return row

    def _run_container(self) -> None:
        self.run_container(self.machine)
        self.here.docker(
            '--context',
            self.machine,
            'run',
            '-d',
            '--init',
            '--name',
            'stays',
            '--restart',
            'always',
            'busybox',
            '/bin/sleep',
            '3600',
        )

    def _env_in_a_shell(self) -> None:
        done = self.here.machine('env', self.machine)
        self.assertEqual('', done.err)
        script = f'{done.out}\ndocker version -f "{{{{.Server.Version}}}}"'
        version = self.here.run('sh', '-euc', script)
        self.assertEqual(self.shown['engine_version'], version.out.strip())
        # And with no cloud there to ask.
        self.assertEqual(done.out, self._env_offline().out)
        unset = self.here.machine('env', '--unset')
        self.assertIn('unset DOCKER_HOST\n', unset.out)

    def _env_offline(self) -> Result:
        """Run env where no socket can reach the cloud."""
        return self.here.run(
            'unshare',
            '--net',
            'openstack',
            '--os-cloud',
            'devcloud',
            'docker',
            'machine',
            'env',
            self.machine,
        )

    def _as_dockers_plugin(self) -> None:
        self.here.run('docker-machine-osc', 'plugin', 'install')
        cloud = {'OS_CLOUD': 'devcloud'}
        env = ('docker', 'machine', 'env', '--shell', 'fish', self.machine)
        told = self.here.run('openstack', *env, env=cloud)
        program = self.here.docker_config / 'cli-plugins' / 'docker-machine'
        for way in (
            ('docker', *env[1:]),
            (str(program.resolve()), *env[2:]),
        ):
            again = self.here.run('unshare', '--net', *way, env=cloud)
            self.assertEqual(told.out, again.out)
        listed = self.here.docker('machine', 'list', '-f', 'json', env=cloud)
        self.assertEqual('running', self._row(listed)['State'])

    def _strangers_are_refused(self) -> None:
        folder = self.here.machine_folder(self.machine)
        ca = ('--tlsverify', '--tlscacert', str(folder / 'ca.pem'))
        other = self.here.home / 'other'
        other.mkdir()
        self.here.run(
            'openssl',
            'req',
            '-x509',
            '-newkey',
            'ec',
            '-pkeyopt',
            'ec_paramgen_curve:P-256',
            '-nodes',
            '-subj',
            '/CN=stranger',
            '-keyout',
            str(other / 'key.pem'),
            '-out',
            str(other / 'cert.pem'),
        )
        self._refused(*ca)
        self._refused(
            *ca,
            '--tlscert',
            str(other / 'cert.pem'),
            '--tlskey',
            str(other / 'key.pem'),
        )
        plain = self.here.docker('-H', self.url, 'version', code=None)
        self.assertNotEqual(0, plain.code)

    def _refused(self, *options: str) -> None:
        done = self.here.docker('-H', self.url, *options, 'ps', code=None)
        self.assertNotEqual(0, done.code, done)
        self.assertRegex(done.err, base.REFUSED)

    def _dead_engine_in_list(self) -> None:
        alive = self._row(self.here.machine('list', '--long', '-f', 'json'))
        self.assertEqual('ok', alive['Answer'])
        self.assertTrue(alive['Keys Here'])
        devcloud.in_guest(
            self.server, 'systemctl', 'stop', 'docker.socket', 'docker'
        )
        dead = self._row(
            self.here.machine('list', '--long', '--timeout', '3', '-f', 'json')
        )
        self.assertIn('No engine listens', str(dead['Answer']))
        devcloud.in_guest(self.server, 'systemctl', 'start', 'docker')
        self._stays()

    def _reboot(self) -> None:
        before = self._booted_at()
        self.here.openstack('server', 'reboot', '--wait', self.machine)
        self.assertNotEqual(before, self._booted_at())
        self._stays()

    def _booted_at(self) -> str:
        """When the guest's first process was started: proc(5), field 22."""
        stat = devcloud.in_guest(self.server, 'cat', '/proc/1/stat')
        return stat.rpartition(')')[2].split()[19]

    def _stays(self) -> None:
        """Wait until the container runs again, asked as any client asks."""

        def running() -> bool:
            done = self.here.docker(
                '--context',
                self.machine,
                'ps',
                '-q',
                '-f',
                'name=stays',
                '-f',
                'status=running',
                code=None,
                timeout=30,
            )
            return done.code == 0 and bool(done.out.strip())

        devcloud.wait_for('the container runs again', running)

    def _delete(self) -> None:
        self.assertIn(self.machine, self.here.contexts())
        self.here.docker('context', 'use', self.machine)
        done = self.here.machine('delete', self.machine)
        self.assertEqual('', done.out)
        self.assertEqual(['default'], list(self.here.contexts()))
        self.assertNothingLeft(self.machine)
        again = self.here.machine('delete', self.machine)
        self.assertIn('does not exist', again.err)


def _requests(log: str) -> list[str]:
    """The requests of keystoneauth in the log of --debug."""
    return [line for line in log.splitlines() if 'REQ: curl' in line]


def _mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
