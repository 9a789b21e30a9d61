# SPDX-License-Identifier: Apache-2.0
"""A fake cloud, real local files, and a host that is played.

Only the edges are replaced: HTTP to the cloud, the SSH connection to the
host, the TLS connection to the engine, and the clock.
"""

import contextlib
import dataclasses
import logging
import math
from pathlib import Path

import fixtures
from oslotest import base

from dockermachine_osc import engine, errors, host, record, store, waiting
from dockermachine_osc.cloud import Cloud
from dockermachine_osc.contexts import Contexts
from dockermachine_osc.machines import Machines
from dockermachine_osc.nics import Nic
from dockermachine_osc.request import CreateRequest
from tests.unit.fakecloud import AUTH_URL, OTHER, PROJECT, FakeCloud

ED25519 = (
    'ssh-ed25519 '
    'AAAAC3NzaC1lZDI1NTE5AAAAIKc2KbcHtrO+xNSTFVj1IJ0jVfYVoe+dJ6Esac62/3zX'
)
CONSOLE = f"""
[    0.000000] Linux version 6.1.0
-----BEGIN SSH HOST KEY KEYS-----
{ED25519} root@web1
-----END SSH HOST KEY KEYS-----
docker-machine {{id}} login debian end
cloud-init[1]: finished
"""
FACTS = engine.EngineFacts('28.2.2', '1.50', 'linux', 'amd64', '6.1.0')


def request(name='web1', **options):
    """Give a CreateRequest; one interface may be given in short."""
    for kind in ('network', 'port'):
        if kind in options:
            options['nics'] = (Nic(**{kind: options.pop(kind)}),)
    return CreateRequest(name, **options)


def create(machines, wanted, told):
    """Create one machine, or raise why not."""
    (made,) = machines.create([wanted], told, lambda name: told, 1).values()
    if isinstance(made, errors.MachineError):
        raise made
    return made


class Clock(fixtures.Fixture):
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0

    def _setUp(self):
        path = 'dockermachine_osc.waiting.time'
        self.useFixture(fixtures.MonkeyPatch(path, self))

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        # What is left of a deadline may be less than the numbers resolve
        # there: added, it would change nothing, for ever.
        self.now = max(self.now + seconds, math.nextafter(self.now, math.inf))


class Guest(fixtures.Fixture):
    """The host and the engine behind every address.

    :ivar logins: who logged in where, and which host keys were demanded.
    :ivar failures: errors to raise, by the step at which to raise them.
    :ivar closed: whether SSH does not open while the host boots.
    """

    def __init__(self):
        self.logins, self.parcels, self.failures = [], [], {}
        self.closed = False
        self.status = 0
        self.lines = ['step installing Docker', 'ready 28.2.2']

    def _setUp(self):
        for name, new in {
            'door.Door.wait': self._wait,
            'host.wait_open': self._wait_open,
            'host.probe': lambda *a: '',
            'host.connect': self._connect,
            'engine.wait_ready': self._wait_ready,
        }.items():
            self.patch(name, new)

    def patch(self, name, new):
        """Play a function of host or engine otherwise."""
        path = f'dockermachine_osc.{name}'
        self.useFixture(fixtures.MonkeyPatch(path, new))

    def _fail(self, step):
        if step in self.failures:
            raise self.failures[step]

    def _wait(self, entry, seconds):
        entry.is_open = not self.closed
        if not entry.is_open:
            waiting.sleep(seconds)
        return entry.is_open

    def _wait_open(self, address, port, deadline, meanwhile):
        self._fail('wait_open')

    @contextlib.contextmanager
    def _connect(self, address, port, login, known_keys):
        self._fail('connect')
        self.logins.append((address, port, login, tuple(known_keys)))
        yield self

    key_line = ED25519

    def run(self, command, stdin=b'', on_line=print, timeout=0):
        self._fail('run')
        self.parcels.append((command, stdin))
        for line in self.lines:
            on_line(line)
        return host.Result(self.status, '\n'.join(self.lines), '')

    def _wait_ready(self, address, port, folder, deadline):
        self._fail('wait_ready')
        return FACTS


class UsersSsh(fixtures.Fixture):
    """The user's ~/.ssh/config, wherever ssh would look for it.

    :ivar path: of that file.
    """

    def _setUp(self):
        home = Path(self.useFixture(fixtures.TempDir()).path)
        self.path = home / '.ssh' / 'config'
        self.useFixture(
            fixtures.MonkeyPatch(
                'dockermachine_osc.sshconfig.users_file', lambda: self.path
            )
        )


class Notes:
    """Keeps what is reported."""

    def __init__(self):
        self.notes, self.warnings, self.steps = [], [], []
        self.note = self.notes.append
        self.warn = self.warnings.append
        self.step = self.steps.append

    def done(self):
        pass


class CloudTestCase(base.BaseTestCase):
    """Has a cloud as it is after the operator's first day."""

    def setUp(self):
        super().setUp()
        # Every body at level DEBUG takes longer than the tests.
        for name in ('keystoneauth', 'requests_mock', 'stevedore'):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.clock = self.useFixture(Clock())
        self.fake = self.useFixture(FakeCloud())
        self.fake.console = CONSOLE
        self.public = self.fake.add_network(
            'public', external=True, project=OTHER
        )
        self.private = self.fake.add_network('private')
        self.router = self.fake.add_router(self.public, self.private)
        self.image = self.fake.add_image('debian-12', os_version='12')
        self.flavor = self.fake.add_flavor('m1.small')
        self.cloud = Cloud(self.fake.connect())

    def assertRefuses(self, expected, call, *args, error=errors.MachineError):
        """Assert that it fails with these words and that nothing was sent."""
        before = self.fake.holds()
        raised = self.assertRaises(error, call, *args)
        for words in [expected] if isinstance(expected, str) else expected:
            self.assertIn(words, str(raised))
        self.assertEqual([], self.fake.mutations())
        self.assertHolds(before)
        return raised

    def assertHolds(self, before):
        """Assert that the cloud holds what it held before, as it was."""
        after = self.fake.holds()
        for kind, things in before.items():
            for key in things.keys() | after[kind].keys():
                self.assertEqual(things.get(key), after[kind].get(key), kind)


class MachinesTestCase(CloudTestCase):
    """Has a workstation, too, and a host that does as it should.

    :cvar root: where to have its files, None for anywhere.
    """

    root = None

    def setUp(self):
        super().setUp()
        self.guest = self.useFixture(Guest())
        self.users_ssh = self.useFixture(UsersSsh())
        self.folder = Path(self.useFixture(fixtures.TempDir(self.root)).path)
        self.files = store.Store(self.folder / 'store').scope(
            AUTH_URL, 'RegionOne', PROJECT
        )
        self.contexts = Contexts(self.folder / 'docker')
        self.machines = Machines(self.cloud, self.files, self.contexts)
        self.told = Notes()

    def create(self, name='web1', **options):
        return create(self.machines, request(name, **options), self.told)

    def delete(self, name='web1'):
        return self.machines.delete(name, 300)

    def local(self):
        """Give all files of this workstation but locks and settings."""
        return sorted(
            str(p.relative_to(self.folder))
            for p in self.folder.rglob('*')
            if p.is_file()
            and p.parent.name != 'locks'
            and p.name != 'scope.json'
        )

    def foreign_machine(self, name, **fields):
        """Put a machine there that another workstation has made."""
        machine_id = record.new_machine_id()
        mark = record.mark(machine_id, name)
        group = self.fake.add_group('theirs')
        port = self.fake.add_port(
            self.private, description=mark, security_groups=[group['id']]
        )
        address = self.fake.add_floating_ip(
            self.public, port_id=port['id'], description=mark
        )
        facts = record.Record(
            id=machine_id,
            state=record.READY,
            address=address['floating_ip_address'],
            port_id=port['id'],
            floating_ip_id=address['id'],
            security_group_id=group['id'],
        )
        facts = dataclasses.replace(facts, **fields)
        return self.fake.add_server(
            name, facts.to_metadata(), [record.TAG], [port]
        )
