# SPDX-License-Identifier: Apache-2.0
"""Of all that create one name at once, one goes on, in whatever order."""

import dataclasses
import itertools
import random
import threading

import fixtures
from oslotest import base

from dockermachine_osc import errors, store
from dockermachine_osc.cloud import MachineServer
from dockermachine_osc.machines import Machines, rivalry
from dockermachine_osc.record import CREATING, KEPT, READY, Record
from tests.unit import workbench


def server(server_id, state=CREATING, **more):
    record = Record(id=str(server_id) * 32, state=state)
    facts = {'status': 'ACTIVE', 'task': '', 'record': record} | more
    return MachineServer(server_id, 'web1', **facts)


class Patient:
    """A deadline that does not come."""

    polls = staticmethod(lambda: itertools.repeat(None))


class Play:
    """Creators take turns at the cloud in a given order.

    :ivar there: the servers, by id.
    :ivar ready: the ids of those that have said so.
    """

    def __init__(self, ids, order):
        self.there, self.ready = {}, []
        self._order = iter(order)
        self._may = {i: threading.Semaphore(0) for i in ids}
        self._waits = {i: threading.Semaphore(0) for i in ids}
        self._done = set()

    def run(self):
        threads = [
            threading.Thread(target=self._create, args=[i]) for i in self._may
        ]
        for thread in threads:
            thread.start()
        for i in self._may:
            self._waits[i].acquire()
        in_turn = itertools.cycle(self._may)
        while len(self._done) < len(threads):
            i = next(self._order, None) or next(in_turn)
            if i not in self._done:
                self._may[i].release()
                self._waits[i].acquire()
        for thread in threads:
            thread.join()

    def turn(self, i):
        self._waits[i].release()
        self._may[i].acquire()

    def _create(self, i):
        self.turn(i)
        try:
            self._made(i)
        finally:
            self._done.add(i)
            self._waits[i].release()

    def _made(self, i):
        if self.there:
            return  # the check before anything is made
        self.turn(i)
        self.there[i] = server(i)
        cloud = Seen(self, i)
        try:
            ours = rivalry.Rivalry(i)
            ours.meet(cloud.servers_named('web1'))
            ours.settle(cloud, 'web1', Patient, workbench.Notes())
        except errors.NameTaken:
            self.turn(i)
            del self.there[i]
        else:
            self.turn(i)
            self.there[i] = server(i, READY)
            self.ready.append(i)


@dataclasses.dataclass
class Seen:
    """The cloud, as one of them sees it."""

    play: Play
    i: str

    def servers_named(self, name):
        self.play.turn(self.i)
        return list(self.play.there.values())


class TestEveryOrder(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # All that is needed of steps here.
        workbench.Notes.begin = workbench.Notes().note
        self.addCleanup(delattr, workbench.Notes, 'begin')

    def assertOneIsLeft(self, ids, order):
        play = Play(ids, order)
        play.run()
        self.assertEqual(1, len(play.ready), order)
        self.assertEqual(play.ready, list(play.there), order)

    def test_two(self):
        """Each of the ways in which five calls of two can be mixed."""
        orders = {
            order
            for first in itertools.combinations(range(10), 5)
            for order in [tuple('a' if n in first else 'b' for n in range(10))]
        }
        self.assertEqual(252, len(orders))
        for order in sorted(orders):
            self.assertOneIsLeft('ab', order)

    def test_three(self):
        chance = random.Random(4)
        for _ in range(300):
            self.assertOneIsLeft('abc', chance.choices('abc', k=18))


class TestGiveWay(base.BaseTestCase):
    def test_others(self):
        for other, gives_way in (
            (server('a'), True),
            (server('c'), False),
            (server('c', READY), True),
            (server('c', KEPT), True),
            (server('a', status='ERROR'), False),
            (server('a', task='deleting'), False),
            (server('a', record=Record(id='a' * 32, origin='adopted')), False),
            (server('a', record=Record()), False),
        ):
            both = [server('b'), other]
            if gives_way:
                error = self.assertRaises(
                    errors.NameTaken, rivalry.Rivalry('b').meet, both
                )
                self.assertIn(f'server {other.id}', str(error))
            else:
                rivalry.Rivalry('b').meet(both)


class TestCreate(workbench.MachinesTestCase):
    """The other one is on another workstation."""

    def setUp(self):
        super().setUp()
        files = store.Store(self.folder / 'elsewhere').scope('', '', 'p')
        self.other = Machines(self.cloud, files, self.contexts)

    def test_other_is_ready_before(self):
        """It began while this one made its port."""

        def win():
            self.won = self.foreign_machine('web1')['id']

        self.fake.on('POST network .*/floatingips', win)
        error = self.assertRaises(errors.NameTaken, self.create)
        for words in 'was not created', self.won, 'Removed again: server':
            self.assertIn(words, str(error))
        self.assertEqual([], self.local())
        (left,) = self.machines.list()
        self.assertEqual((self.won, 'running'), (left.server.id, left.state))
        self.assertTrue(self.other.delete('web1', 300))
        self.assertEqual({}, self.fake.things['servers'])
        self.assertEqual({}, self.fake.things['floatingips'])

    def test_killed_one_has_the_larger_id(self):
        """It will never give way: said with the command that ends it."""

        def leave():
            self.left = self.foreign_machine('web1', state=CREATING)

        self.fake.on('POST compute .*/servers$', leave, after=True)
        error = self.assertRaises(errors.NameTaken, self.create, timeout=30)
        self.assertIn(f'delete {self.left["id"]}', str(error))
        self.assertEqual([self.left['id']], [*self.fake.things['servers']])

    def test_deleted_while_it_is_made(self):
        def delete():
            self.assertTrue(self.other.delete('web1', 300))

        for moment in (
            'PUT network .*/floatingips',
            'POST compute .*/servers$',
            'GET compute .*/servers/detail',
        ):
            before = self.fake.holds()
            # The first look at all servers is that before anything is made.
            self.fake.on('POST network .*/ports', self.later(moment, delete))
            self.assertRaises(errors.MachineError, self.create)
            self.assertHolds(before)
            self.assertEqual([], self.local())

    def test_deleted_while_it_boots(self):
        """Neither its console nor SSH will ever say anything."""

        def delete(*arguments):
            self.fake.console = ''
            self.assertTrue(self.other.delete('web1', 300))

        before = self.fake.holds()
        self.fake.on('POST compute .*/action', delete)
        error = self.assertRaises(errors.CloudFailure, self.create)
        self.assertIn('somebody has deleted it', str(error))
        self.assertHolds(before)
        self.assertLess(self.clock.now, 1060)

    def test_deleted_while_ssh_is_waited_for(self):
        def wait(address, port, deadline, meanwhile):
            self.assertTrue(self.other.delete('web1', 300))
            for _ in deadline.polls():
                meanwhile()

        self.guest.closed = True
        before = self.fake.holds()
        path = 'dockermachine_osc.host.wait_open'
        with fixtures.MonkeyPatch(path, wait):
            error = self.assertRaises(errors.CloudFailure, self.create)
        self.assertIn('somebody has deleted it', str(error))
        self.assertHolds(before)
        self.assertLess(self.clock.now, 1060)

    def later(self, moment, call):
        return lambda: self.fake.on(moment, call)
