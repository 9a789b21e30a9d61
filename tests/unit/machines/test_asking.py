# SPDX-License-Identifier: Apache-2.0
"""Hundreds of engines asked at once, most of which never answer."""

import dataclasses
import threading

import fixtures
from oslotest import base

from dockermachine_osc import errors
from dockermachine_osc.machines import asking
from tests.unit import workbench


@dataclasses.dataclass(frozen=True)
class Record:
    address: str
    access: str = 'tls'


@dataclasses.dataclass(frozen=True)
class Server:
    record: Record


@dataclasses.dataclass(frozen=True)
class Machine:
    server: Server
    folder: str = 'there'
    engine: object = None


class TestAskAll(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        path = 'dockermachine_osc.machines.accesses.of'
        self.useFixture(fixtures.MonkeyPatch(path, lambda name: self))

    def ask(self, record, folder, timeout):
        """Be the access of all machines."""
        if record.address == 'dead':
            self.over.wait(60)
        return workbench.FACTS

    def test_the_dead_do_not_keep_the_living_waiting(self):
        addresses = ['dead'] * 300 + ['alive'] * 100
        machines = [Machine(Server(Record(a))) for a in addresses]
        told = [m.engine for m in asking.ask_all(machines, 3)]
        self.assertEqual([workbench.FACTS] * 100, told[300:])
        for answer in told[:300]:
            self.assertIsInstance(answer, errors.DeadlineExceeded)
