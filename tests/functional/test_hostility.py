# SPDX-License-Identifier: Apache-2.0
"""A member of the project, and root on a machine's host, that mean harm."""

from __future__ import annotations

import typing

import openstack.exceptions

from dockermachine_osc import record
from tests.functional import base, devcloud
from tests.functional.workstation import Result

# Stands in for sudo on the host; $$ is the shell of the set-up.
_SUDO = r"""#!/bin/sh
cat >/dev/null
printf 'step \033[2J\033]0;owned\007\nnote \033]52;c;b3duZWQ=\007\n'
printf 'failed \033[31mred\nhint \033[8mhidden\n' | tee /dev/stderr
head -c 3000000 /dev/zero | tr '\0' x
exit 70
"""
# Has the key of the engine, as root on the host has, and never ends.
_ENGINE = r"""
import http.server, ssl, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b'HTTP/1.1 200 \x1b[2J\r\nX-A: ')
        while True:
            self.wfile.write(b'\x1b]0;owned\x07')
            time.sleep(0.05)
d = '/etc/docker-machine/'
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(d + 'server.pem', d + 'server-key.pem')
server = http.server.ThreadingHTTPServer(('', 2376), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


class HostilityTest(base.FunctionalTest):
    """Nothing of theirs runs here, crashes, or gets out of the store."""

    def test_hostility(self) -> None:
        self.name_ = self.name('prey')
        self.canary = self.here.home / 'canary'
        self.shown = self.create(self.name_).json
        self.before = self._files()
        self._metadata()
        self._names()
        self._host()
        self._engine()
        self.here.machine('delete', self.name_)
        self.assertNothingLeft(self.name_)

    # ----------------------------------------------------- whoever looks at it

    def _run(self, *command: str) -> Result:
        """Run what may fail, and look at what came of it."""
        done = self.here.machine(*command, code=None, timeout=120)
        said = done.out + done.err
        self.assertIn(done.code, (0, 1, 255), str(done))
        self.assertNotIn('Traceback', said)
        steering = [c for c in said if c != '\n' and not c.isprintable()]
        self.assertEqual([], steering, repr(said))
        self.assertFalse(self.canary.exists(), str(done))
        self.assertEqual(self.before, self._files(), str(done))
        return done

    def _files(self) -> set[str]:
        """Every file under the home folder that something hangs on."""
        home = self.here.home
        return {
            str(path.relative_to(home))
            for path in home.rglob('*')
            if not {'.cache', 'answers', 'locks'} & {*path.parts}
        }

    # ------------------------------------------------- a member of the project

    def _metadata(self) -> None:
        alice = devcloud.connect('devcloud-alice').compute
        good = dict(alice.get_server(self.shown['id']).metadata)
        for hostile in self._hostile():
            alice.set_server_metadata(self.shown['id'], **hostile)
            self._looked_at()
        alice.delete_server_metadata(
            self.shown['id'], [key for h in self._hostile() for key in h]
        )
        alice.set_server_metadata(self.shown['id'], **good)
        self.assertEqual(0, self._run('show', self.name_).code)
        self.here.machine('ssh', self.name_, '--', 'true')

    def _hostile(self) -> list[dict[str, str]]:
        """Metadata for every field but the id, that makes it a machine."""
        fields = [
            f'{record.PREFIX}{field.replace("_", "-")}'
            for field in (*record.Record.__dataclass_fields__, 'schema')
            if field not in ('id', 'problems')
        ]
        touch = f'touch {self.canary}'
        text = f'\x1b]0;x\x07$({touch})`{touch}`;{touch}\n\u202e-o'
        option = f'-oProxyCommand={touch}'
        plausible = {'ssh-user': option, 'address': option, 'ssh-port': '0'}
        plausible |= {'engine-port': '99999', 'host-key': 'ssh-ed25519 A'}
        plausible |= {'tls-sans': f'$({touch})', 'port-id': '../../../etc'}
        plausible |= {'state': 'ready', 'access': 'ssh', 'image': option}
        return [
            dict.fromkeys(fields, text[:255]),
            dict.fromkeys(fields, '9' * 255),
            {f'{record.PREFIX}{k}': v for k, v in plausible.items()},
        ]

    def _looked_at(self) -> None:
        name = self.name_
        for command in (
            ('list', '--long', '--timeout', '2'),
            ('show', name),
            ('env', name),
            ('ssh', name, '--', 'true'),
            ('provision', name),
            ('cert', 'renew', name),
        ):
            self._run(*command)

    def _names(self) -> None:
        alice = devcloud.connect('devcloud-alice').compute
        server = self.shown['id']
        for name in (
            '../../../../../../tmp/x',
            f'$(touch {self.canary})',
            'a\x1b[2Jb',
            '\u202exyz',
        ):
            try:
                alice.update_server(server, name=name)
            except openstack.exceptions.BadRequestException:
                # Nova knows some of these itself.
                continue
            self._run('list')
            self._run('show', server)
        alice.update_server(server, name=self.name_)

    # -------------------------------------------------------- root on its host

    def _guest(self, script: str, *arguments: str) -> str:
        return devcloud.in_guest(
            self.shown['id'], 'sh', '-euc', script, 'sh', *arguments
        )

    def _host(self) -> None:
        self._guest(
            'mv /usr/bin/sudo /usr/bin/sudo.real; printf %s "$1" '
            '>/usr/bin/sudo; chmod 755 /usr/bin/sudo',
            _SUDO,
        )
        done = self._run('engine', 'show', self.name_)
        self.assertEqual(1, done.code)
        self.assertIn('red', done.err)
        self.assertLess(len(done.err), 10_000)
        self._guest('mv /usr/bin/sudo.real /usr/bin/sudo')

    def _engine(self) -> None:
        self._guest(
            'systemctl stop docker.socket docker; '
            'systemd-run -q --unit evil python3 -c "$1"; '
            'until ss -lnt | grep -q :2376; do sleep 0.1; done',
            _ENGINE,
        )
        listed = self._run('list', '--long', '--timeout', '2', '-f', 'json')
        rows: list[dict[str, typing.Any]] = listed.json
        (answer,) = [r['Answer'] for r in rows if r['Name'] == self.name_]
        self.assertNotEqual('ok', answer)
        self._run('show', self.name_)
        self._guest('systemctl stop evil; systemctl start docker')
