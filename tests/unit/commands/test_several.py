# SPDX-License-Identifier: Apache-2.0
"""Several machines in one command, as it is typed."""

import json
import threading

from dockermachine_osc import engine
from tests.unit.commands import shell


class TestCreateSeveral(shell.ShellTestCase):
    def names(self):
        return sorted(s['name'] for s in self.fake.things['servers'].values())

    def test_they_are_listed(self):
        ran = self.succeeds('create', 'b1', 'a1', '-f', 'json')
        self.assertEqual(['b1', 'a1'], [row['Name'] for row in ran.json])
        for row in ran.json:
            self.assertEqual('running', row['State'])
            self.assertIn(row['URL'], [f'tcp://{a}:2376' for a in self.ips()])

    def ips(self):
        found = self.fake.things['floatingips'].values()
        return [ip['floating_ip_address'] for ip in found]

    def test_notes_say_whose_they_are(self):
        ran = self.succeeds('create', 'a1', 'b1')
        self.assertEqual(1, ran.stderr.count('image: debian-12'))
        for name in ('a1', 'b1'):
            line = f'{name}: ready: docker --context {name} ps\n'
            self.assertIn(line, ran.stderr)

    def test_columns(self):
        ran = self.succeeds(
            'create', 'a1', 'b1', '-c', 'Name', '-c', 'Flavor', '-f', 'json'
        )
        row = {'Name': 'b1', 'Flavor': 'm1.small'}
        self.assertEqual(row, ran.json[1])

    def test_count(self):
        self.succeeds('create', 'run', '--count', '3')
        self.assertEqual(['run-1', 'run-2', 'run-3'], self.names())

    def test_count_of_one_is_numbered_too_and_shown_alone(self):
        ran = self.succeeds('create', 'run', '--count', '1', '-f', 'json')
        self.assertEqual('run-1', ran.json['name'])

    def test_one_fails(self):
        lock = threading.Lock()

        def fails(address, port, folder, deadline):
            if lock.acquire(blocking=False):
                raise engine.EngineTimeout('Nobody answers')
            return shell.workbench.FACTS

        self.guest.patch('engine.wait_ready', fails)
        ran = self.openstack('create', 'a1', 'b1', 'c1', '-f', 'json')
        self.assertEqual(1, ran.status)
        self.assertEqual(2, len(json.loads(ran.stdout)))
        self.assertEqual(2, len(self.names()))
        self.assertIn('was not created: it failed at', ran.stderr)
        self.assertIn('1 of 3 machines were not created.', ran.stderr)

    def test_all_fail(self):
        before = self.fake.holds()
        self.fake.refuse('POST network /v2.0/ports', 403, 'No', always=True)
        ran = self.openstack('create', 'a1', 'b1', '-f', 'json')
        self.assertEqual((1, ''), (ran.status, ran.stdout))
        self.assertIn('2 of 2 machines were not created.', ran.stderr)
        self.assertHolds(before)

    def test_refused_before_anything_is_made(self):
        for words, *arguments in (
            ('-f shell is for one', 'a1', 'b1', '-f', 'shell'),
            ('2 names were given', 'a1', 'b1', '--count', '2'),
            ('given 2 times', 'a1', 'a1'),
            ("'0' is not 1 to 999", 'a1', '--count', '0'),
            ("'x' is not 1 to 999", 'a1', 'b1', '--parallel', 'x'),
            ('cannot be the name', 'a1', '../b1'),
        ):
            ran = self.openstack('create', *arguments)
            self.assertNotEqual(0, ran.status)
            self.assertIn(words, ran.stderr)
        self.assertEqual([], self.fake.mutations())

    def test_table_on_a_terminal(self):
        ran = self.succeeds('create', 'a1', 'bb1', terminal=True)
        self.assertRegex(
            ran.stderr, r'[0-9.]+s a1 +Creating the server \.\.\.'
        )
        self.assertRegex(
            ran.stderr, r'[0-9.]+s bb1 Creating the server \.\.\.'
        )
        self.assertTrue(ran.stderr.endswith('\x1b[K'))


class TestForEach(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        self.before = self.fake.holds()
        self.succeeds('create', 'a1', 'b1', 'c1')

    def test_side_by_side(self):
        """None goes on before all have begun."""
        together = threading.Barrier(3)
        original = self.machines_delete()

        def delete(machines, name, *args, **kwargs):
            together.wait(30)
            return original(machines, name, *args, **kwargs)

        self.patch('dockermachine_osc.machines.Machines.delete', delete)
        self.succeeds('delete', 'a1', 'b1', 'c1')
        self.assertHolds(self.before)

    def machines_delete(self):
        from dockermachine_osc.machines import Machines

        return Machines.delete

    def patch(self, path, new):
        self.useFixture(shell.fixtures.MonkeyPatch(path, new))

    def test_one_after_the_other(self):
        at_once, most = [], []
        original = self.machines_delete()

        def delete(machines, name, *args, **kwargs):
            at_once.append(name)
            most.append(len(at_once))
            try:
                return original(machines, name, *args, **kwargs)
            finally:
                at_once.remove(name)

        self.patch('dockermachine_osc.machines.Machines.delete', delete)
        self.succeeds('delete', 'a1', 'b1', 'c1', '--parallel', '1')
        self.assertEqual([1, 1, 1], most)
        self.assertHolds(self.before)

    def test_one_fails(self):
        ran = self.openstack('stop', 'a1', 'zz', 'c1')
        self.assertEqual(1, ran.status)
        self.assertIn("Failed to stop machine 'zz': ", ran.stderr)
        self.assertIn('1 of 3 machines failed to stop.', ran.stderr)
        states = {
            s['name']: s['status']
            for s in self.fake.things['servers'].values()
        }
        off = {'a1': 'SHUTOFF', 'b1': 'ACTIVE', 'c1': 'SHUTOFF'}
        self.assertEqual(off, states)
