# SPDX-License-Identifier: Apache-2.0
"""The engine's options: at create, at adopt, with set, and through proxies."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import threading
import typing
import uuid
from collections.abc import Iterator

from dockermachine_osc import pki
from tests.functional import base, devcloud, servers
from tests.functional.workstation import Result

_EVIL = 'a b\'c"d\\e$HOME`id`%h;ü'
_MIRROR = 'https://mirror.example.com/'
_POST_SCRIPT = """\
#!/bin/sh
id -un >/root/post-script
docker info -f '{{.Name}}' >>/root/post-script || exit
: p0st-s3cret
"""
_READ = '/etc /run /var/log /var/lib/cloud'
_CERTS = '/etc/docker/certs.d'
# Stands in for a registry: knows its certificate, and no image.
_REGISTRY = """\
import http.server, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == '/v2/' else 404)
        self.send_header('Content-Length', '0')
        self.end_headers()
    do_HEAD = do_GET
server = http.server.ThreadingHTTPServer(('', 5000), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('/root/registry.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
# A forward proxy that notes what it is asked for; with a password on 3129.
_PROXY = """\
import base64, http.client, http.server, select, socket, threading
WANTED = 'Basic ' + base64.b64encode(b'alice:s3cr%t').decode()
class Handler(http.server.BaseHTTPRequestHandler):
    def refused(self):
        if self.server.server_port == 3128:
            return False
        if self.headers.get('Proxy-Authorization') == WANTED:
            return False
        self.send_response(407)
        self.send_header('Proxy-Authenticate', 'Basic realm="x"')
        self.send_header('Content-Length', '0')
        self.end_headers()
        return True
    def note(self):
        with open('/root/proxied', 'a') as file:
            file.write(f'{self.server.server_port} {self.path}\\n')
    def do_GET(self):
        if self.refused():
            return
        self.note()
        host, _, path = self.path.split('//', 1)[1].partition('/')
        there = http.client.HTTPConnection(host, timeout=60)
        headers = {k: v for k, v in self.headers.items()
                   if not k.lower().startswith('proxy-')}
        there.request('GET', '/' + path, headers=headers)
        answer = there.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ('transfer-encoding', 'connection',
                                   'content-length'):
                self.send_header(key, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_CONNECT(self):
        if self.refused():
            return
        self.note()
        host, port = self.path.rsplit(':', 1)
        there = socket.create_connection((host, int(port)), 60)
        self.send_response(200)
        self.end_headers()
        pair = {self.connection: there, there: self.connection}
        while True:
            for end in select.select(list(pair), [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                pair[end].sendall(data)
for port in (3128, 3129):
    server = http.server.ThreadingHTTPServer(('', port), Handler)
    threading.Thread(target=server.serve_forever).start()
"""
_PASSWORD = 's3cr%25t'


class OptionsTest(base.FunctionalTest):
    def info(self, name: str) -> dict[str, typing.Any]:
        """What the engine says of itself."""
        done = self.here.docker('--context', name, 'info', '-f', '{{json .}}')
        found: dict[str, typing.Any] = json.loads(done.out)
        return found

    def assertSecret(
        self, secret: str, machine: dict[str, typing.Any]
    ) -> None:
        """Assert that a text is in nothing that others can read."""
        compute = devcloud.connect().compute
        server = compute.get_server(machine['id'])
        console = compute.get_server_console_output(machine['id'])
        self.assertNotIn(secret, repr(server.to_dict()))
        self.assertNotIn(secret, repr(console))
        user_data = base64.b64decode(server.user_data)
        self.assertNotIn(secret, user_data.decode())
        # Of the files there, only what root alone may read has it.
        files = devcloud.in_guest(
            machine['id'],
            *('sh', '-c', f'grep -rlF -e "$1" {_READ} 2>/dev/null; :'),
            *('sh', secret),
        )
        for file in files.split():
            mode = devcloud.in_guest(machine['id'], 'stat', '-c', '%a', file)
            self.assertEqual('600', mode.strip(), file)

    @contextlib.contextmanager
    def never_in_argv(self, secret: str) -> Iterator[None]:
        """Assert that no process of any server has it on its command line.

        The servers' processes are also processes of this machine: that is
        proven by the installation of Docker, which has to be seen.
        """
        done, seen, found = threading.Event(), set(), set()

        def watch() -> None:
            while not done.wait(0.05):
                for file in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
                    with contextlib.suppress(OSError):
                        line = file.read_bytes()
                        seen.add(b'docker.io' in line)
                        if secret.encode() in line:
                            found.add(line)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        self.assertEqual(set(), found)
        self.assertIn(True, seen)

    def group(self, name: str, *ports: int) -> str:
        """Make a security group that opens these ports."""
        network = devcloud.connect('devcloud').network
        group = network.create_security_group(
            name=f'{name}-{uuid.uuid4().hex[:6]}'
        )
        self.addCleanup(network.delete_security_group, group.id)
        for port in ports:
            network.create_security_group_rule(
                security_group_id=group.id,
                direction='ingress',
                protocol='tcp',
                port_range_min=port,
                port_range_max=port,
            )
        return str(group.id)


class LifeTest(OptionsTest):
    """One machine: created with options, changed, and back to none."""

    def test_life(self) -> None:
        self.machine_name = self.name('options')
        self.ca = pki.Authority.create('registry')
        self._create()
        self._as_asked()
        self._registry()
        self._refused()
        self._does_not_start()
        self._kept()
        self._changed_and_taken_back()

    def _create(self) -> None:
        name = self.machine_name
        script = self.here.home / 'post-script'
        script.write_text(_POST_SCRIPT)
        ca = self.here.home / 'ca.crt'
        ca.write_bytes(self.ca.certificate)
        self.here.env['TOKEN'] = f'{_EVIL}env-s3cret'
        self.machine = self.create(
            name,
            *('--engine-label', f'evil={_EVIL}', '--engine-label', 'rack=7'),
            *('--engine-env', 'TOKEN'),
            *('--engine-registry-mirror', _MIRROR),
            *('--engine-insecure-registry', 'reg.example.com:5000'),
            *('--engine-opt', 'live-restore', '--engine-opt', 'mtu=1400'),
            *('--http-proxy', 'http://alice:pr0xy@proxy.example.com:3128'),
            *('--no-proxy', 'localhost,10.0.0.0/8'),
            *('--registry-ca', f'registry.example.com={ca}'),
            *('--post-script', str(script)),
        ).json
        self.server = self.machine['id']

    def _as_asked(self) -> None:
        found = self.info(self.machine_name)
        self.assertEqual({f'evil={_EVIL}', 'rack=7'}, set(found['Labels']))
        registries = found['RegistryConfig']
        self.assertEqual([_MIRROR], registries['Mirrors'])
        self.assertIn('reg.example.com:5000', registries['IndexConfigs'])
        self.assertTrue(found['LiveRestoreEnabled'])
        self.assertIn('proxy.example.com:3128', found['HttpProxy'])
        self.assertNotIn('pr0xy', found['HttpProxy'])
        self.assertEqual('localhost,10.0.0.0/8', found['NoProxy'])
        self.assertIn(f'TOKEN={_EVIL}env-s3cret', self._environment())
        self.assertEqual(1, devcloud.engine_starts(self.server))
        self.assertEqual(1, devcloud.ssh_logins(self.server))
        left = devcloud.in_guest(self.server, 'cat', '/root/post-script')
        self.assertEqual(['root', found['Name']], left.split())
        pem = devcloud.in_guest(
            self.server, 'cat', f'{_CERTS}/registry.example.com/ca.crt'
        )
        self.assertEqual(self.ca.certificate.decode(), pem)
        for secret in ('env-s3cret', 'alice:pr0xy', 'p0st-s3cret'):
            self.assertSecret(secret, self.machine)
        shown = self.here.machine(
            'engine', 'show', self.machine_name, '-f', 'json'
        )
        self.assertEqual(['TOKEN'], shown.json['engine_env'])
        self.assertNotIn('pr0xy', shown.out)
        self.assertNotIn('s3cret', shown.out)

    def _environment(self) -> list[str]:
        return devcloud.in_guest(
            self.server,
            *('sh', '-c', 'tr "\\0" "\\n" </proc/$(pidof dockerd)/environ'),
        ).splitlines()

    def _set(self, *options: str, code: int = 0) -> Result:
        return self.here.machine('set', self.machine_name, *options, code=code)

    def _registry(self) -> None:
        """The engine trusts a registry from one moment to the next."""
        address = next(
            a
            for a in self.machine['addresses']
            if a != self.machine['address']
        )
        issued = self.ca.server([address])
        pem = (issued.certificate + issued.key).decode()
        for file, text in (
            ('/root/registry.pem', pem),
            ('/root/registry.py', _REGISTRY),
        ):
            devcloud.in_guest(
                *(self.server, 'sh', '-c', 'printf %s "$2" >"$1"'),
                *('sh', file, text),
            )
        devcloud.in_guest(
            self.server, 'systemd-run', '-q', 'python3', '/root/registry.py'
        )
        registry = f'{address}:5000'
        devcloud.wait_for(
            'the registry',
            lambda: 'x509' in self._pulled(registry),
        )
        start = self._start()
        ca = self.here.home / 'ca.crt'
        done = self._set('--registry-ca', f'{registry}={ca}')
        self.assertIn('need not restart', done.err)
        said = self._pulled(registry)
        self.assertNotIn('x509', said)
        self.assertIn('HTTP 404', said)
        self._set('--unset-registry-ca', registry)
        self.assertIn('x509', self._pulled(registry))
        self.assertEqual(start, self._start())

    def _pulled(self, registry: str) -> str:
        done = self.here.docker(
            *('--context', self.machine_name, 'pull', f'{registry}/nothing'),
            code=1,
        )
        return done.err

    def _start(self) -> str:
        return devcloud.in_guest(
            *(self.server, 'systemctl', 'show', '--value', '-p'),
            *('ExecMainStartTimestampMonotonic', 'docker.service'),
        ).strip()

    def _run_on(self) -> None:
        """Have a container that must run on."""
        context = ('--context', self.machine_name)
        self.here.docker(
            *context, 'import', '-', 'busybox', stdin=base.busybox_image()
        )
        self.here.docker(
            *(*context, 'run', '-d', '--init', '--name', 'runs', 'busybox'),
            *('/bin/sleep', '3600'),
        )

    def _container(self) -> str:
        done = self.here.docker(
            *('--context', self.machine_name, 'inspect', '-f'),
            *('{{.State.Pid}} {{.State.StartedAt}}', 'runs'),
        )
        return done.out

    def _host(self) -> str:
        return devcloud.in_guest(
            self.server,
            *('sh', '-c', 'cd /etc && find docker docker-machine systemd'),
        ) + devcloud.in_guest(
            self.server,
            *(
                'sh',
                '-c',
                'cksum /etc/docker-machine/* /etc/systemd/system'
                '/docker.service.d/* 2>/dev/null; :',
            ),
        )

    def _refused(self) -> None:
        self._run_on()
        before, start, runs = self._host(), self._start(), self._container()
        for words, *options in (
            ('unknown flag: --nonsense', '--engine-opt', 'nonsense'),
            ('"--mtu" flag', '--engine-opt', 'mtu=many'),
        ):
            done = self._set(*options, code=1)
            self.assertIn('the engine refuses its options', done.err)
            self.assertIn(words, done.err)
        devcloud.in_guest(
            self.server,
            *('sh', '-c', 'echo \'{"debug": true}\' >/etc/docker/daemon.json'),
        )
        done = self._set('--engine-opt', 'debug=false', code=1)
        self.assertIn('both as a flag and in the configuration', done.err)
        devcloud.in_guest(self.server, 'rm', '/etc/docker/daemon.json')
        self.assertEqual(before, self._host())
        self.assertEqual(start, self._start())
        self.assertEqual(runs, self._container())

    def _does_not_start(self) -> None:
        before, runs = self._host(), self._container()
        done = self._set('--engine-storage-driver', 'nonsense', code=1)
        self.assertIn('1 running container(s) run on', done.err)
        self.assertIn('driver not supported', done.err)
        self.assertIn('former options again', done.err)
        self.assertEqual(before, self._host())
        self.assertEqual(runs, self._container())
        self.assertIn('rack=7', self.info(self.machine_name)['Labels'])

    def _kept(self) -> None:
        """What hands other things over leaves the options alone."""
        before = self.info(self.machine_name)['Labels']
        self.here.machine('cert', 'renew', '--server', self.machine_name)
        # The engine tells them in any order.
        after = self.info(self.machine_name)['Labels']
        self.assertEqual(sorted(before), sorted(after))
        self.assertIn(f'TOKEN={_EVIL}env-s3cret', self._environment())

    def _changed_and_taken_back(self) -> None:
        start = self._start()
        self._set('--engine-label', 'rack=7')
        self.assertEqual(start, self._start())
        self._set(
            *('--engine-label', 'rack=8', '--unset-engine-label', 'evil'),
            *('--unset-engine-env', 'TOKEN', '--unset-proxy'),
        )
        found = self.info(self.machine_name)
        self.assertEqual(['rack=8'], found['Labels'])
        self.assertEqual('', found['HttpProxy'])
        self.assertEqual([_MIRROR], found['RegistryConfig']['Mirrors'])
        self._set(
            *('--unset-engine-label', 'rack', '--unset-engine-opt', 'mtu'),
            *('--unset-engine-opt', 'live-restore'),
            *('--unset-engine-registry-mirror', _MIRROR),
            *('--unset-engine-insecure-registry', 'reg.example.com:5000'),
            *('--unset-registry-ca', 'registry.example.com'),
        )
        dropin = devcloud.in_guest(
            *(self.server, 'sh', '-c'),
            'cat /etc/systemd/system/docker.service.d/*; ls /etc/docker',
        )
        self.assertNotIn('"', dropin)
        self.assertNotIn('EnvironmentFile', dropin)
        self.assertNotIn('certs.d', dropin)
        self.assertEqual([], self.info(self.machine_name)['Labels'] or [])


class PostScriptTest(OptionsTest):
    def test_failure_takes_everything_back(self) -> None:
        name = self.name('script')
        script = self.here.home / 'post-script'
        script.write_text('#!/bin/sh\necho this went wrong\nexit 3\n')
        done = self.create(name, '--post-script', str(script), code=1)
        self.assertIn('the post-script failed: it ended with exit', done.err)
        self.assertIn('| this went wrong', done.err)
        self.assertNothingLeft(name)


class ProxyTest(OptionsTest):
    """Installers get out through a proxy, which runs in a server."""

    def test_proxies(self) -> None:
        # Before the machine, as it has to go after it.
        group = self.group('proxies', 22, 2376, 3128, 3129)
        name = self.name('proxy')
        proxy = self.create(name, '--security-group', group).json
        self.proxy_id = proxy['id']
        self.address = next(
            a for a in proxy['addresses'] if a != proxy['address']
        )
        devcloud.in_guest(
            *(self.proxy_id, 'sh', '-c', 'printf %s "$1" >/root/proxy.py'),
            *('sh', _PROXY),
        )
        devcloud.in_guest(
            self.proxy_id, 'systemd-run', '-q', 'python3', '/root/proxy.py'
        )
        self._installed(f'http://{self.address}:3128')
        self._installed(f'http://alice:{_PASSWORD}@{self.address}:3129')

    def _installed(self, url: str) -> None:
        """Create a machine of a plain image that way, and watch it."""
        name = self.name('installed')
        # Not on the command line, which is watched.
        self.here.configure(
            'devcloud', docker_machine={'http_proxy': url, 'https_proxy': url}
        )
        with self.never_in_argv(_PASSWORD):
            machine = self.create(name, '--image', 'debian-12').json
        asked = [
            line
            for line in devcloud.in_guest(
                self.proxy_id, 'cat', '/root/proxied'
            ).splitlines()
            if line.startswith(url.rsplit(':', 1)[1])
        ]
        # Over https only the host is seen.
        packages = [line for line in asked if 'docker.io' in line]
        self.assertTrue(packages or any(':443' in a for a in asked), asked)
        self.assertEqual(1, devcloud.engine_starts(machine['id']))
        self.assertEqual(1, devcloud.ssh_logins(machine['id']))
        found = self.info(name)
        self.assertIn(self.address, found['HttpProxy'])
        self.assertSecret(_PASSWORD, machine)
        self.here.machine('delete', name)


class AdoptTest(servers.ServerTest):
    """A server whose owner has set an option and trusts a registry."""

    def test_adopt(self) -> None:
        server = self.boot('optioned')
        server.write('/etc/docker/daemon.json', '{"labels": ["owner=alice"]}')
        theirs = f'{_CERTS}/r1.example.com/ca.crt'
        server.write(theirs, 'theirs')
        server.run('systemctl', 'restart', 'docker.service')
        server.ssh(
            self.here, 'sudo docker import - busybox', base.busybox_image()
        )
        server.run('docker', 'create', '--name', 'stays', 'busybox', '/bin/sh')
        self._refused(server)
        before, engine = server.host(), server.engine()
        ca = self.here.home / 'ca.crt'
        ca.write_bytes(pki.Authority.create('registry').certificate)
        options = (
            *('--engine-opt', 'live-restore', '--engine-env', 'A=b'),
            *('--engine-registry-mirror', _MIRROR),
            *('--registry-ca', f'r1.example.com={ca}'),
            *('--registry-ca', f'r2.example.com={ca}'),
        )
        done = self.adopt(server, *options)
        self.assertIn("set the engine's options", done.err)
        found = server.engine()
        self.assertEqual(['owner=alice'], found['Labels'])
        self.assertEqual([_MIRROR], found['Mirrors'])
        self.assertTrue(found['LiveRestoreEnabled'])
        self.assertEqual(ca.read_text(), server.run('cat', theirs))
        start = server.engine_start()
        self.assertIn('nothing to change', self.adopt(server, *options).err)
        self.assertEqual(start, server.engine_start())
        self.here.machine('delete', server.name)
        self.assertUnchanged(before, server)
        self.assertEqual(engine, server.engine())

    def _refused(self, server: servers.Server) -> None:
        before, start = server.host(), server.engine_start()
        said = self.refused(
            *('adopt', server.name, '--ssh-user', 'debian', '--ssh-key'),
            *(str(server.key), '--engine-label', 'owner=bob'),
        )
        self.assertIn('cannot be adopted: the engine refuses', said)
        self.assertIn('labels: (from flag: [owner=bob], from file', said)
        self.assertUnchanged(before, server)
        self.assertEqual(start, server.engine_start())
        self.assertEqual([], self.here.traces(server.name))
