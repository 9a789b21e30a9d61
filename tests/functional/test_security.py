# SPDX-License-Identifier: Apache-2.0
"""What doc/source/user/security.rst promises, on a real cloud.

Two machines serve for all of it: one is attacked from the network, the other
by a member of the project and by root on its host.
"""

from __future__ import annotations

import base64
import pathlib
import stat
import typing
from collections.abc import Mapping

import yaml

from tests.functional import base, devcloud, strangers
from tests.functional.middleman import Middleman
from tests.functional.processes import CommandLines
from tests.functional.secrets import Secrets
from tests.functional.workstation import Result, Workstation

_TOKEN = 'EngineEnvToken-7f3a9c51d2e84b60'
_PROXY_PASSWORD = 'proxy-pass-59d1c07be2'
# What everybody on the host may read of what we have put there.
_PUBLIC = {'/etc/systemd/system/docker.service.d/zz-docker-machine.conf'}


class Recorded(Workstation):
    """Keeps what programs say; its user's umask keeps nothing from others."""

    def __init__(self, home: pathlib.Path) -> None:
        super().__init__(home)
        self._prefix = ('sh', '-c', 'umask 0; exec "$@"', 'sh')
        self.said: dict[str, bytes] = {}

    def run(self, *command: str, **options: typing.Any) -> Result:
        """Run a program, and keep what it says."""
        done = super().run(*command, **options)
        place = f'{len(self.said)} {" ".join(command)}'
        self.said[place] = f'{done.out}\n{done.err}'.encode()
        return done


class SecurityTest(base.FunctionalTest):
    here: Recorded

    def workstation(self) -> Recorded:
        """A home folder whose programs are listened to."""
        return Recorded(super().workstation().home)

    def test_security(self) -> None:
        self.web, self.other = self.name('web'), self.name('other')
        self.secrets = Secrets()
        self._in_between_at_create()
        with CommandLines() as self.processes:
            self._create()
            self._collect_secrets()
            self._modes_here()
            self._modes_on_the_host()
            self._opened()
            self._strangers()
            self._in_between_later()
            self._renewed()
            self._shown()
        self._no_secrets_anywhere()
        self.here.machine('delete', self.web, self.other)
        for name in (self.web, self.other):
            self.assertNothingLeft(name)

    # -------------------------------------------------------- in the middle

    def _floating_ip(self) -> str:
        network = devcloud.connect('devcloud').network
        address = network.create_ip(
            floating_network_id=network.find_network('public').id
        )
        self.addCleanup(network.delete_ip, address)
        return str(address.floating_ip_address)

    def _in_between_at_create(self) -> None:
        address = self._floating_ip()
        name = self.name('between')
        with Middleman(address) as man:
            failed = self.create(name, '--floating-ip', address, code=1)
        self.assertIn('host key', failed.err)
        self.assertNotIn('Traceback', failed.err)
        self._got_nothing(man, 'ssh')
        self.assertNothingLeft(name)

    def _got_nothing(self, man: Middleman, *kinds: str) -> None:
        self.assertEqual([], man.got)
        for kind in kinds:
            self.assertGreater(man.met[kind], 0, kind)

    def _in_between_later(self) -> None:
        address = self.shown['address']
        here, name = self.here, self.web
        with Middleman(address) as man:
            for command in (
                ('ssh', name, '--', 'true'),
                ('scp', '/etc/hostname', f'{name}:'),
                ('cert', 'renew', '--server', name),
                ('engine', 'show', name),
                ('provision', name),
            ):
                self._stopped(here.machine(*command, code=None))
            links = here.machine('check', name, '-f', 'json', code=None).json
            broken = [x['Link'] for x in links if x['Holds'] is False]
            self.assertEqual(['login'], broken)
            refused = here.docker('--context', name, 'ps', code=None)
            self.assertNotEqual(0, refused.code)
            self._through_the_users_ssh()
        self._got_nothing(man, 'ssh', 'engine')
        self.assertEqual('ready', self._metadata()['docker-machine:state'])

    def _stopped(self, done: Result) -> None:
        self.assertNotIn(done.code, (0, None), str(done))
        self.assertRegex(done.err, '(?i)host (key|identification)')
        self.assertNotIn('Traceback', done.err)

    def _through_the_users_ssh(self) -> None:
        """As to a server that was adopted: the system's ssh goes there."""
        self._set('docker-machine:origin', 'adopted')
        for verb in ('provision', 'delete'):
            self._stopped(self.here.machine(verb, self.web, code=1))
        self._set('docker-machine:origin', 'created')

    def _metadata(self) -> Mapping[str, str]:
        server = devcloud.connect().compute.get_server(self.shown['id'])
        found: Mapping[str, str] = server.metadata
        return found

    def _set(self, key: str, value: str) -> None:
        compute = devcloud.connect('devcloud-alice').compute
        compute.set_server_metadata(self.shown['id'], **{key: value})

    # --------------------------------------------------------------- create

    def _create(self) -> None:
        """Both at once; one opens its ports to this machine alone."""
        image = ('--image', base.DOCKER_IMAGE)
        proxy = f'http://me:{_PROXY_PASSWORD}@192.0.2.9:3128'
        self.here.configure('devcloud', docker_machine={'http_proxy': proxy})
        running = self.here.start('create', self.other, *image, '-f', 'json')
        self.addCleanup(running.kill)
        self.here.env['OS_CLIENT_CONFIG_FILE'] = str(devcloud.CLOUDS_YAML)
        debug = self.here.openstack(
            *('--debug', 'docker', 'machine', 'create', self.web, *image),
            *('--engine-env', 'TOKEN', '--allow-cidr', self._gateway()),
            *('-f', 'json'),
            env={'TOKEN': _TOKEN},
        )
        self.shown = debug.json
        other = running.wait()
        self.assertEqual(0, other.code, str(other))
        self.here.said['create other'] = f'{other.out}{other.err}'.encode()
        self.shown_other = other.json

    def _gateway(self) -> str:
        """The address of this machine, as a guest sees it."""
        subnet = devcloud.connect().network.find_subnet('public-subnet')
        return f'{subnet.gateway_ip}/32'

    def _collect_secrets(self) -> None:
        """Of both machines, as they are now."""
        for shown in (self.shown, self.shown_other):
            name = shown['name']
            folder = self.here.machine_folder(name)
            for file in ('key.pem', 'ca-key.pem', 'id_ed25519'):
                pem = (folder / file).read_bytes()
                self.secrets.add_key(f'{file} of {name}', pem)
            key = devcloud.in_guest(
                shown['id'], 'cat', '/etc/docker-machine/server-key.pem'
            )
            self.secrets.add_key(f'server key of {name}', key.encode())
        self.secrets.add('value of --engine-env', _TOKEN.encode())
        self.secrets.add('password of a proxy', _PROXY_PASSWORD.encode())
        document = yaml.safe_load(devcloud.CLOUDS_YAML.read_text())
        password = document['clouds']['devcloud']['auth']['password']
        self.secrets.add('password of the cloud', password.encode())

    # ---------------------------------------------------------------- modes

    def _modes_here(self) -> None:
        """For the owner only, whatever the umask, and whoever wrote them."""
        checked = 0
        for root in (self.here.store, self.here.docker_config / 'contexts'):
            for path in (root, *root.rglob('*')):
                allowed = 0o700 if path.is_dir() else 0o600
                mode = stat.S_IMODE(path.lstat().st_mode)
                if path.parent.name != 'locks':
                    self.assertEqual(allowed, mode, path)
                checked += 1
        self.assertGreater(checked, 20)

    def _modes_on_the_host(self) -> None:
        listed = devcloud.in_guest(
            self.shown['id'],
            *('find', '/etc/docker-machine', '/run/docker-machine'),
            *('/etc/systemd/system/docker.service.d', '-type', 'f'),
            *('-printf', r'%m %U:%G %p\n'),
        )
        files = [line.split(maxsplit=2) for line in listed.splitlines()]
        closed = {'server-key.pem', 'options', 'environment', 'settings'}
        self.assertLessEqual(closed, {pathlib.Path(f[2]).name for f in files})
        for mode, owner, path in files:
            wanted = '644' if path in _PUBLIC else '600'
            self.assertEqual((wanted, '0:0'), (mode, owner), path)
        peeped = devcloud.in_guest(
            self.shown['id'],
            *('runuser', '-u', 'nobody', '--', 'sh', '-c'),
            'cat /etc/docker-machine/* /run/docker-machine*/* '
            '/etc/systemd/system/docker.service.d/* 2>/dev/null; '
            'systemctl show docker.service; ps -eo args; exit 0',
        )
        self.here.said['what nobody sees on the host'] = peeped.encode()
        self.assertIn('--tlsverify', peeped)

    # ---------------------------------------------------------------- group

    def _opened(self) -> None:
        """What was said and nothing else, by Neutron's word and for real."""
        web, other = self.shown, self.shown_other
        gateway = self._gateway()
        self.assertEqual(
            {('tcp', gateway, p, p) for p in (22, 2376)}, _ingress(web)
        )
        self.assertEqual(
            {('tcp', '0.0.0.0/0', p, p) for p in (22, 2376)}, _ingress(other)
        )
        for shown in (web, other):
            devcloud.in_guest(
                shown['id'],
                *('systemd-run', '-q', 'python3', '-m', 'http.server', '8080'),
            )
        # From this machine both, from the other guest what is open to all.
        fixed = _fixed(web)
        for reached in (web['address'], other['address']):
            self.assertEqual([22, 2376], strangers.open_ports(reached))
        between = {
            'to web': self._ports_from(other, web['address'], fixed),
            'to other': self._ports_from(web, other['address']),
        }
        self.assertEqual({'to web': [], 'to other': [22, 2376]}, between)

    def _ports_from(
        self, shown: dict[str, typing.Any], *addresses: str
    ) -> list[int]:
        """Which ports a guest gets to at any of the addresses."""
        script = (
            'for a in "$@"; do for p in 22 2376 8080; do '
            'timeout 1 bash -c "</dev/tcp/$a/$p" 2>/dev/null && echo $p; '
            'done; done; exit 0'
        )
        said = devcloud.in_guest(
            shown['id'], 'sh', '-c', script, 'sh', *addresses
        )
        return sorted({int(line) for line in said.split()})

    # ---------------------------------------------- strangers to the engine

    def _strangers(self) -> None:
        """The real dockerd lets nobody in but who has our certificate."""
        folder = self.here.machine_folder(self.web)
        others = self.here.machine_folder(self.other)
        server = {
            name: devcloud.in_guest(
                self.shown['id'], 'cat', f'/etc/docker-machine/{name}'
            ).encode()
            for name in ('server.pem', 'server-key.pem')
        }
        door = strangers.Door(self.shown['address'], 2376, folder)
        self.assertTrue(door.lets_in(strangers.identity(folder)))
        for who, found in {
            'nobody': None,
            'the other machine': strangers.identity(others),
            'another authority of the same name': strangers.forged(self.web),
            'the engine itself': (
                server['server.pem'] + server['server-key.pem']
            ),
        }.items():
            self.assertFalse(door.lets_in(found), who)
        self.assertFalse(door.speaks_tls_1_1(strangers.identity(folder)))

    # --------------------------------------------------------------- later

    def _renewed(self) -> None:
        self.here.openstack(
            '--debug', 'docker', 'machine', 'cert', 'renew', '--ca', self.web
        )
        self._collect_secrets()
        self.here.machine('ssh', self.web, '--', 'true')
        self.here.machine('scp', '/etc/hostname', f'{self.web}:')
        self.assertTrue(self.processes.saw('/ssh', 'id_ed25519'))
        # On the host, by the same eyes.
        self.assertTrue(self.processes.saw('setup.sh', 'serve'))

    def _shown(self) -> None:
        """What shows something, as people paste it in tickets."""
        json = ('-f', 'json')
        for command in (
            ('list', '--long', *json),
            ('show', self.web, *json),
            ('cert', 'show', self.web, *json),
            ('engine', 'show', self.web, *json),
            ('engine', 'show', self.other, *json),
            ('check', self.web, *json),
            ('config', self.web),
            ('env', self.web),
            ('prune', '--dry-run', *json),
        ):
            self.here.machine(*command, code=0)

    def _no_secrets_anywhere(self) -> None:
        """Neither said, nor kept by the cloud, nor seen by who looks on."""
        texts = dict(self.here.said)
        for shown in (self.shown, self.shown_other):
            server = devcloud.connect().compute.get_server(shown['id'])
            name = server.name
            texts[f'user data of {name}'] = base64.b64decode(server.user_data)
            texts[f'{name} in Nova'] = repr(server.to_dict()).encode()
            console = devcloud.connect().compute.get_server_console_output
            texts[f'console of {name}'] = console(server)['output'].encode()
            texts[f'journal of {name}'] = devcloud.in_guest(
                shown['id'], 'journalctl', '-q', '--no-pager'
            ).encode()
            texts[f'logs of {name}'] = devcloud.in_guest(
                shown['id'],
                *('sh', '-c', 'cat /var/log/cloud-init*.log'),
            ).encode()
        texts['command lines'] = b'\n'.join(self.processes.seen)
        self.assertEqual({}, self.secrets.where(texts))
        self._no_keys_in_environments()
        # That all of this could be found at all.
        key = (self.here.machine_folder(self.web) / 'key.pem').read_bytes()
        nested = base64.encodebytes(b'#cloud-config\n' + key)
        self.assertEqual(
            {'x': [f'key.pem of {self.web}']},
            self.secrets.where({'x': nested}),
        )

    def _no_keys_in_environments(self) -> None:
        """Whoever sets a variable for us has it in his own; keys are none."""
        text = b'\n'.join(self.processes.environments)
        found = [n for n in self.secrets.found(text) if 'key' in n]
        self.assertEqual([], found)
        self.assertIn(b'DOCKER_MACHINE_OSC_HOME', text)


def _ingress(shown: dict[str, typing.Any]) -> set[tuple[object, ...]]:
    """What Neutron lets in to a machine, by the administrator's word."""
    network = devcloud.connect().network
    return {
        (
            r.protocol,
            r.remote_ip_prefix or '0.0.0.0/0',
            r.port_range_min,
            r.port_range_max,
        )
        for port in network.ports(device_id=shown['id'])
        for group in port.security_group_ids
        for r in network.security_group_rules(
            security_group_id=group, direction='ingress'
        )
    }


def _fixed(shown: dict[str, typing.Any]) -> str:
    """The address of a machine that is not floating."""
    (fixed,) = set(shown['addresses']) - {shown['address']}
    return str(fixed)
