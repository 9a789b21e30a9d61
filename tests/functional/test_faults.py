# SPDX-License-Identifier: Apache-2.0
"""Faults and signals at calls to the real services: a drawn sample.

Through the proxy of tests/faults, whose whole matrix runs against a stand-in.
Here each command gets every signal, each at another of its calls, and further
faults at calls that are drawn. Each day draws others; FAULTS_SEED=<text>
draws those of that day again, FAULTS_DRAWN=<number> draws more.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import random
import re
import signal
import time
import typing

import testtools.content
import yaml

from tests.faults import matrix, proxy, report
from tests.faults.calls import Call
from tests.faults.faults import FAULTS, Fault
from tests.functional import base, devcloud, servers
from tests.functional.workstation import Result, Workstation

SEED = os.environ.get('FAULTS_SEED') or f'{datetime.datetime.now():%Y-%m-%d}'
DRAWN = int(os.environ.get('FAULTS_DRAWN') or 1)
_SIGNALS = [fault for fault in FAULTS.values() if fault.signal]
# One that waits out a silence takes a minute, and one is enough.
_OTHERS = [
    fault
    for fault in FAULTS.values()
    if not fault.signal and (DRAWN > 1 or not fault.silent)
]
_WORDS = {0: 'ready', 1: 'failed', 130: 'interrupted', 143: 'interrupted'}
_CHANGES = re.compile(r'(POST|PUT|DELETE) (?!identity)')


class FaultsTest(servers.ServerTest):
    """In a project that nobody else uses meanwhile."""

    cloud = 'devcloud-tight'

    def setUp(self) -> None:
        super().setUp()
        self.tight_project()
        # A test that has failed may have left a group.
        self.prune(self.here)
        self.before = devcloud.holdings(self.cloud)
        self.cells: list[report.Cell] = []
        self.addCleanup(self._keep)
        document = yaml.safe_load(devcloud.CLOUDS_YAML.read_text())
        auth = document['clouds'][self.cloud]['auth']
        self.proxy = proxy.Proxy(auth['auth_url'])
        self.proxy.start()
        self.addCleanup(self.proxy.stop)
        # Before what else is cleaned up, which need not go through it.
        auth['auth_url'] = self.proxy.auth_url
        self.here.configure(self.cloud, auth=auth)
        self.random = random.Random(f'{SEED} {self.id()}')
        seed = testtools.content.text_content(f'FAULTS_SEED={SEED}')
        self.addDetail('to draw the same again', seed)

    def _keep(self) -> None:
        if folder := os.environ.get('FAULTS_KEPT'):
            report.keep(self.cells, pathlib.Path(folder), self.id())

    # ------------------------------------------------------------- drawing

    def calls(self, command: str) -> list[Call]:
        """The calls of a command to the stand-in, which are those here."""
        calls = matrix.stage(command).calls
        return [c for c in calls if c.nth == 1 and ' identity ' not in c.kind]

    def signals(self) -> list[Fault]:
        """All signals, in an order that is drawn."""
        return self.random.sample(_SIGNALS, len(_SIGNALS))

    def points(self, command: str) -> list[Call]:
        """As many calls as there are signals, in their order."""
        calls = self.calls(command)
        changes = [c for c in calls if _CHANGES.match(c.kind)]
        others = [c for c in calls if c not in changes]
        wanted = len(_SIGNALS)
        drawn = self.random.sample(changes, min(wanted - 1, len(changes)))
        drawn += self.random.sample(others, wanted - len(drawn))
        return sorted(drawn, key=calls.index)

    def drawn(self, command: str) -> list[tuple[Call, Fault]]:
        """Calls, and what is to go wrong there."""
        calls = self.calls(command)
        return [
            (self.random.choice(calls), self.random.choice(_OTHERS))
            for _ in range(DRAWN)
        ]

    # ------------------------------------------------------------ striking

    def strike(self, call: Call, fault: Fault, *command: str) -> Result:
        """Run a command that a fault strikes at a call."""
        self._forget_versions()
        self.proxy.arm(proxy.Plan(call, fault))
        running = self.here.start(*command, cloud=self.cloud)
        self.addCleanup(running.kill)
        self.proxy.client = running.pid
        done = running.wait()
        word = _WORDS.get(done.code, 'killed')
        left = done.code != 0 and self.left() != []
        verb = 'cert renew' if command[0] == 'cert' else command[0]
        self.cells.append(report.Cell(verb, call, fault.name, word, left))
        self.assertTrue(self.proxy.struck, f'{call} was not made: {done}')
        self.assertNotIn('Traceback', done.err)
        if done.code < 0:
            self.assertIsNotNone(fault.signal, done)
        return done

    def _forget_versions(self) -> None:
        """Have services be asked for them again, as at the stand-in."""
        for known in self.here.store.glob('scopes/*/versions.json'):
            known.unlink()

    def left(self) -> list[str]:
        """What the project holds that it did not, and the reverse."""
        now = devcloud.holdings(self.cloud)
        return [
            f'{kind}: {sorted(self.before[kind] ^ things)}'
            for kind, things in now.items()
            if things != self.before[kind]
        ]

    def assertClean(self, done: Result, fault: Fault, name: str) -> None:
        """Assert that a run has left nothing but what it may leave."""
        left = self.left()
        if done.code < 0 or (fault.lasting and 'Not all' in done.err):
            self.finish(name)
        else:
            self.assertEqual([], left, done)

    def finish(self, name: str) -> None:
        """Remove what is left from elsewhere, and see that all of it is."""
        self.elsewhere().machine('delete', name, cloud=self.cloud)
        self.assertEqual([], self.left())

    def prune(self, there: Workstation) -> None:
        """Remove whatever nobody uses, but of this second."""
        time.sleep(1)
        prune = ('prune', '--older-than', '0')
        there.machine(*prune, cloud=self.cloud)

    def elsewhere(self) -> Workstation:
        """A workstation that knows nothing, and goes through no proxy."""
        return self.workstation()


class CreateTest(FaultsTest):
    def test_create(self) -> None:
        self.finishers = 0
        for call, fault in zip(
            self.points('create'), self.signals(), strict=True
        ):
            self._strike(call, fault)
        for call, fault in self.drawn('create'):
            self._strike(call, fault)

    def _strike(self, call: Call, fault: Fault) -> None:
        name = self.name('struck', self.cloud)
        command = ('create', name, '--image', base.DOCKER_IMAGE)
        done = self.strike(call, fault, *command)
        if done.code:
            self.assertClean(done, fault, name)
            return
        self.here.docker('--context', name, 'version')
        self.finish(name)

    def finish(self, name: str) -> None:
        """Take delete and prune in turn."""
        self.finishers += 1
        if self.finishers % 2 or not self._prunable(name):
            super().finish(name)
            return
        self.prune(self.elsewhere())
        self.assertEqual([], self.left())

    def _prunable(self, name: str) -> bool:
        compute = devcloud.connect(self.cloud).compute
        found = [s for s in compute.servers(name=name) if s.name == name]
        states = {s.metadata.get('docker-machine:state') for s in found}
        return states <= {'creating'}


class DeleteTest(FaultsTest):
    """A delete that is cut off again and again is finished by the next."""

    points_in_order = (
        'GET compute /v2.1/servers/detail?name&tags',
        'GET network /v2.0/floatingips?project_id',
        'DELETE compute /v2.1/servers/*',
        'DELETE network /v2.0/floatingips/*',
        'DELETE network /v2.0/ports/*',
        'GET network /v2.0/security-groups?project_id',
    )

    def test_delete(self) -> None:
        name = self.name('struck', self.cloud)
        # A machine is quickly had from a create that is killed.
        boots = Call('POST compute /v2.1/servers', 1)
        command = ('create', name, '--image', base.DOCKER_IMAGE)
        self.strike(boots, FAULTS['SIGKILL after'], *command)
        signals = self.signals()
        for kind, fault in zip(self.points_in_order, signals, strict=True):
            self.here = self._at_home_elsewhere()
            done = self.strike(Call(kind, 1), fault, 'delete', name)
            self.assertIn(done.code, (130, -signal.SIGTERM, -signal.SIGKILL))
        self.finish(name)

    def _at_home_elsewhere(self) -> Workstation:
        there = self.workstation()
        file = self.here.env['OS_CLIENT_CONFIG_FILE']
        there.env['OS_CLIENT_CONFIG_FILE'] = file
        return there


class RenewTest(FaultsTest):
    """Certificates that were not renewed serve; those that were do, too."""

    def test_renew(self) -> None:
        name = self.name('struck', self.cloud)
        self.here.machine(
            *('create', name, '--image', base.DOCKER_IMAGE), cloud=self.cloud
        )
        before, self.before = self.before, devcloud.holdings(self.cloud)
        calls = self.calls('cert renew')
        renew = ('cert', 'renew', '--client', name)
        for fault in self.signals():
            self.strike(self.random.choice(calls), fault, *renew)
            self.here.docker('--context', name, 'version')
        for call, fault in self.drawn('cert renew'):
            self.strike(call, fault, *renew)
        self.here.machine('cert', 'renew', '--ca', name, cloud=self.cloud)
        self.here.docker('--context', name, 'version')
        self.before = before
        self.finish(name)


class AdoptTest(FaultsTest):
    """The server, and what is on it, is as it was."""

    def test_adopt(self) -> None:
        self.server = self.boot('struck', network='tight-net')
        self.before = devcloud.holdings(self.cloud)
        self.marks = self._marks()
        for call, fault in zip(
            self.points('adopt'), self.signals(), strict=True
        ):
            self._strike(call, fault)
        for call, fault in self.drawn('adopt'):
            self._strike(call, fault)

    def _strike(self, call: Call, fault: Fault) -> None:
        name = self.server.name
        done = self.strike(
            *(call, fault, 'adopt', name, '--ssh-user', 'debian'),
            *('--ssh-key', str(self.server.key)),
        )
        if done.code:
            self.assertClean(done, fault, name)
        else:
            self.here.docker('--context', name, 'version')
            self.finish(name)
        self.assertEqual(self.marks, self._marks())
        script = 'ls /etc/docker-machine 2>/dev/null || :'
        self.assertEqual('', self.server.shell(script))

    def finish(self, name: str) -> None:
        """Let the server go; a group that it was not put into is pruned."""
        there = self.elsewhere()
        if self._marks() == self.marks:
            self.prune(there)
        else:
            self._acquaint(there)
            there.machine('delete', name, cloud=self.cloud)
        self.assertEqual([], self.left())

    def _acquaint(self, there: Workstation) -> None:
        """Have ssh get to the server, as for somebody who uses it."""
        config = there.configure_ssh(
            f'Host *\n  User debian\n  IdentityFile {self.server.key}\n'
        )
        key = self.server.run('cat', '/etc/ssh/ssh_host_ed25519_key.pub')
        known = f'{self.server.address} {key}'
        (config.parent / 'known_hosts').write_text(known)

    def _marks(self) -> typing.Any:
        """What the cloud knows of the server that adopting changes."""
        found = devcloud.connect(self.cloud).compute.get_server(self.server.id)
        return found.metadata, sorted(found.tags), self.server.groups()
