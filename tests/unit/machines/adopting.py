# SPDX-License-Identifier: Apache-2.0
"""A server of somebody's, and its host at the end of the system's ssh."""

import fixtures

from dockermachine_osc import engine, host
from dockermachine_osc.request import AdoptRequest
from tests.unit import workbench

KEY = workbench.ED25519
LOOK = [
    'fact distribution debian 12',
    f'fact hostkey {KEY}',
    'fact engine 20.10.24',
    'fact state active',
    'fact machine ',
    'fact containers 2',
    'fact live-restore false',
]
NO_ENGINE = [*LOOK[:2], 'fact engine none', 'fact method apt']


class Host(fixtures.Fixture):
    """The host behind every ssh, and its engine.

    :ivar visits: (verb, command line) of each visit.
    :ivar lines: what a verb prints.
    :ivar failures: errors to raise, by the verb, 'wait_ready' or 'ask'.
    :ivar open: whether packets reach the engine's port as it is.
    """

    def __init__(self):
        self.visits, self.statuses = [], {}
        self.parcels = []
        # There is an engine to be asked while it is served.
        self.failures = {'ask': engine.EngineTimeout('Nobody')}
        self.lines = {
            'look': list(LOOK),
            'serve': ['step restarting the engine', 'ready 20.10.24'],
            'leave': ['ready gone'],
        }
        self.open = False
        self.config = 'user debian\nport 22\n'

    def _setUp(self):
        for name, new in {
            'system_ssh.SystemHost': self._connect,
            'system_ssh.configuration': lambda argv: self.config,
            'system_ssh.reaches': lambda *arguments: self.open,
            'engine.wait_ready': self._engine('wait_ready'),
            'engine.ask': self._engine('ask'),
        }.items():
            path = f'dockermachine_osc.{name}'
            self.useFixture(fixtures.MonkeyPatch(path, new))

    def _connect(self, argv):
        self._argv = argv
        return self

    def run(self, command, stdin=b'', on_line=len, timeout=0):
        verbs = ('look', 'serve', 'leave')
        (verb,) = [v for v in verbs if f'setup.sh" {v} ' in command]
        self.visits.append((verb, self._argv))
        if verb == 'serve':
            self.parcels.append((command, stdin))
        self._fail(verb)
        if verb == 'serve':
            self.failures.pop('ask', None)
        if verb == 'leave':
            self.failures['ask'] = engine.EngineTimeout('Nobody')
        for line in self.lines[verb]:
            on_line(line)
        status = self.statuses.get(verb, 0)
        return host.Result(status, '\n'.join(self.lines[verb]), '')

    def verbs(self):
        return [verb for verb, _ in self.visits]

    def _engine(self, step):
        def answer(*arguments):
            self._fail(step)
            return workbench.FACTS

        return answer

    def _fail(self, step):
        if step in self.failures:
            raise self.failures[step]


class AdoptingTestCase(workbench.MachinesTestCase):
    """Has a server with a floating IP in a group of its owner."""

    def setUp(self):
        super().setUp()
        self.host = self.useFixture(Host())
        self.group = self.fake.add_group('theirs')
        self.port = self.fake.add_port(
            self.private, security_groups=[self.group['id']]
        )
        self.address = self.fake.add_floating_ip(
            self.public, port_id=self.port['id']
        )['floating_ip_address']
        self.server = self.fake.add_server(
            'web1', {'owner': 'alice'}, ['prod'], [self.port]
        )

    def propose(self, server='web1', **options):
        request = AdoptRequest(server, **options)
        return self.machines.propose(request, self.told)

    def adopt(self, server='web1', **options):
        request = AdoptRequest(server, **options)
        proposal = self.machines.propose(request, self.told)
        return self.machines.adopt(request, proposal, self.told)

    def assertRefused(self, words, server='web1', **options):
        """Assert that nothing was sent, nor written here."""
        before = self.local()
        error = self.assertRefuses(
            words, lambda: self.propose(server, **options)
        )
        self.assertEqual(before, self.local())
        return error
