# SPDX-License-Identifier: Apache-2.0
"""An engine that Docker Machine has put on TLS, on a host of files."""

import shutil

from dockermachine_osc import engine
from tests import docker_machine
from tests.unit.engine import hostroot, test_adopt

THEIRS = docker_machine.DROP_IN.removeprefix('/')
KEPT = (
    '/usr/bin/dockerd -H unix:///var/run/docker.sock --storage-driver overlay2'
)


class ImportedTest(test_adopt.AdoptTestCase):
    def host(self, text=None):
        host = super().host()
        text = text or docker_machine.drop_in(more='--label a=b ')
        host.write(THEIRS, text)
        # Its path in the drop-in has to be the real one.
        host.program('dockerd', hostroot.DOCKERD)
        (host.state / 'running').write_text('as Docker Machine has it\n')
        return host

    def serve(self, host, **settings):
        stage = self.stage(host, imported=True, **settings)
        done = host.call('serve', stage, '60')
        return engine.outcome(done.returncode, done.stdout.splitlines())

    def test_adopt_names_the_way(self):
        found = self.look(self.host())
        self.assertIn('on TLS already, by Docker Machine', found.conflict)
        self.assertIn('openstack docker machine import', found.hint)

    def test_look(self):
        found = self.look(self.host(), imported=True)
        self.assertEqual('', found.conflict)

    def test_serve_keeps_what_is_not_tls(self):
        host = self.host()
        before = self.contents(host)
        self.serve(host)
        running = (host.state / 'running').read_text()
        self.assertTrue(running.startswith(f'{KEPT} --label a=b'), running)
        self.assertEqual(1, running.count('--tlsverify'))
        self.assertEqual(1, running.count('tcp://'))
        self.assertNotIn('/etc/docker/', running)
        after = self.contents(host)
        self.assertEqual(before, {name: after[name] for name in before})
        self.assertEqual(['restart'], host.log())
        self.serve(host)
        self.assertEqual(['restart'], host.log())

    def test_leave(self):
        host = self.host()
        before = self.contents(host)
        self.serve(host)
        self.leave(host)
        self.assertEqual(before, self.contents(host))
        running = (host.state / 'running').read_text()
        self.assertIn('--tlskey /etc/docker/server-key.pem', running)

    def test_only_exactly_theirs(self):
        good = docker_machine.drop_in()
        for other in (
            good.replace('/etc/docker/ca.pem', '/etc/theirs/ca.pem'),
            good.replace('--tlsverify ', ''),
            good.replace('0.0.0.0:', '127.0.0.1:'),
            good.replace('--label', '-H tcp://127.0.0.1:2375 --label'),
            good.replace('--label', '--tlsverify --label'),
        ):
            host = self.host(other)
            found = self.look(host, imported=True)
            self.assertIn('not as Docker Machine has', found.conflict)
            self.assertIn('put that back', found.hint)
            shutil.rmtree(host.root.parent / 'stage')
        # Its text in another file is somebody else's.
        host = self.host()
        conf = host.root / THEIRS
        conf.rename(conf.with_name('own.conf'))
        self.assertIn('already', self.look(host, imported=True).conflict)
