# SPDX-License-Identifier: Apache-2.0
"""A server becomes a machine, and all is taken back if that fails."""

import contextlib
import io
import tarfile

import fixtures

from dockermachine_osc import engine, errors, record, store
from dockermachine_osc.machines import Machines
from dockermachine_osc.request import AdoptRequest
from tests.unit import workbench
from tests.unit.machines import adopting


class TestAdopt(adopting.AdoptingTestCase):
    def test_machine(self):
        machine = self.adopt(tls_sans=('web1.example.org',))
        self.assertEqual('running', machine.state)
        self.assertEqual('web1', machine.context)
        facts = self.machines.get('web1').server.record
        self.assertEqual(record.ADOPTED, facts.origin)
        self.assertEqual(record.READY, facts.state)
        self.assertEqual(self.address, facts.address)
        self.assertEqual('debian', facts.ssh_user)
        self.assertEqual(adopting.KEY, facts.host_key)
        self.assertEqual('28.2.2', facts.engine_version)
        self.assertEqual('web1.example.org', facts.tls_sans)
        self.assertEqual(['look', 'serve'], self.host.verbs())

    def test_what_was_there_stays(self):
        self.adopt()
        self.assertEqual('alice', self.server['metadata']['owner'])
        self.assertEqual(['prod', record.TAG], self.server['tags'])
        self.assertEqual(self.group['id'], self.port['security_groups'][0])
        self.assertEqual('web1', self.server['name'])

    def test_group(self):
        self.adopt(allow_cidrs=('192.0.2.0/24',))
        _, ours = self.port['security_groups']
        (rule,) = [
            r
            for r in self.fake.things['security-groups'][ours][
                'security_group_rules'
            ]
            if r['direction'] == 'ingress'
        ]
        self.assertEqual('192.0.2.0/24', rule['remote_ip_prefix'])
        self.assertEqual(2376, rule['port_range_min'])
        facts = self.machines.get('web1').server.record
        self.assertEqual(ours, facts.security_group_id)

    def test_files(self):
        self.adopt()
        names = {path.rpartition('/')[2] for path in self.local()}
        secrets = {'ca.pem', 'ca-key.pem', 'cert.pem', 'key.pem'}
        self.assertEqual(set(), secrets - names)
        self.assertNotIn('id_ed25519', names)
        folder = self.files.machine('web1')
        self.assertIn(adopting.KEY, folder.read('known_hosts').decode())

    def test_key_of_the_user_is_remembered_not_copied(self):
        key = self.folder / 'key'
        key.write_text('secret')
        self.adopt(ssh_key=key)
        folder = self.files.machine('web1')
        self.assertEqual(str(key), folder.load()['ssh_key'])
        for path in folder.path.iterdir():
            self.assertNotIn(b'secret', path.read_bytes())

    def test_no_context(self):
        machine = self.adopt(context=False)
        self.assertEqual('', machine.context)
        self.assertFalse(self.contexts.exists('web1'))

    def test_context_of_somebody_else(self):
        self.contexts.write('web1', 'ssh://x', '', 'b' * 32)
        self.assertEqual(f'{self.cloud.name}-web1', self.adopt().context)

    def test_host_that_tells_no_keys(self):
        """As where sshd keeps them elsewhere, and ssh knows it anyway."""
        self.host.lines['look'] = [
            line for line in adopting.LOOK if 'hostkey' not in line
        ]
        self.assertEqual('running', self.adopt().state)

    def test_twice(self):
        self.adopt()
        before, local = self.fake.holds(), self.local()
        self.fake.log.clear()
        self.host.visits.clear()
        self.assertEqual('running', self.adopt().state)
        self.assertEqual(['look'], self.host.verbs())
        self.assertEqual([], self.fake.mutations())
        self.assertHolds(before)
        self.assertEqual(local, self.local())

    def test_again_when_the_engine_is_silent(self):
        first = self.adopt()
        self.host.failures['ask'] = engine.EngineTimeout('Nobody')
        second = self.adopt()
        self.assertEqual(first.server.record.id, second.server.record.id)
        self.assertEqual(2, self.host.verbs().count('serve'))

    def test_again_fails_and_it_stays_a_machine(self):
        self.adopt()
        self.host.failures['ask'] = engine.EngineTimeout('Nobody')
        self.host.failures['serve'] = errors.HostFailure('Cut off')
        error = self.assertRaises(errors.HostFailure, self.adopt)
        self.assertIn("it failed at 'Setting up the engine' after", str(error))
        self.assertIn('docker machine provision web1', error.hint)
        self.assertNotIn('leave', self.host.verbs())
        self.assertTrue(self.machines.get('web1').folder)


class TestTakenBack(adopting.AdoptingTestCase):
    def setUp(self):
        super().setUp()
        self.before = self.fake.holds()

    def fails(self, error=errors.MachineError):
        raised = self.assertRaises(error, self.adopt)
        self.assertHolds(self.before)
        self.assertEqual([], self.local())
        return raised

    def test_refusals_of_the_cloud(self):
        for pattern in (
            'POST compute .*/metadata',
            'PUT compute .*/tags/',
            'POST network /v2.0/security-groups',
            'POST network /v2.0/security-group-rules',
            'POST compute .*/action',
        ):
            # The console is asked for before anything is changed.
            if 'action' in pattern:
                self.fake.on('POST network .*rules', self._no_joining)
            else:
                self.fake.refuse(pattern, 403, 'Not you')
            said = str(self.fails(errors.CloudFailure))
            self.assertIn('Not you', said, pattern)
            self.assertIn("Server 'web1' was not adopted", said)
            self.assertIn('All changes were taken back', said)
            self.assertIn("it failed at '", said)
            self.assertIn('docker machine adopt web1', said)

    def _no_joining(self):
        self.fake.refuse('POST compute .*/action', 403, 'Not you')

    def test_last_word_to_the_cloud(self):
        def refuse(*arguments):
            pattern = 'POST compute .*/metadata'
            self.fake.refuse(pattern, 403, 'Broken')
            return workbench.FACTS

        self.useFixture(
            fixtures.MonkeyPatch('dockermachine_osc.engine.wait_ready', refuse)
        )
        self.assertIn('Broken', str(self.fails(errors.CloudFailure)))
        self.assertEqual('leave', self.host.verbs()[-1])

    def test_host(self):
        self.host.failures['serve'] = errors.HostFailure('Cut off')
        self.assertIn('Cut off', str(self.fails(errors.HostFailure)))
        self.assertEqual(['look', 'serve', 'leave'], self.host.verbs())

    def test_engine_does_not_start(self):
        self.host.lines['serve'] = ['tail boom', 'failed it does not run']
        self.host.statuses['serve'] = 72
        said = str(self.fails(errors.EngineFailure))
        self.assertIn('it does not run', said)
        self.assertIn('boom', said)

    def test_engine_does_not_answer(self):
        self.host.failures['wait_ready'] = engine.EngineTimeout('Nobody')
        self.assertIn('Nobody', str(self.fails(errors.EngineFailure)))
        self.assertEqual('leave', self.host.verbs()[-1])

    def test_interrupted(self):
        self.host.failures['serve'] = KeyboardInterrupt()
        self.fails(KeyboardInterrupt)

    def test_host_is_out_of_reach_from_then_on(self):
        """What is known in the cloud stays, for delete to finish."""
        self.host.failures['serve'] = errors.HostFailure('Cut off')
        self.host.failures['leave'] = errors.HostFailure('No route')
        said = str(self.assertRaises(errors.HostFailure, self.adopt))
        for words in ('Cut off', 'No route', 'docker machine delete web1'):
            self.assertIn(words, said)
        del self.host.failures['leave']
        self.delete()
        self.assertHolds(self.before)
        self.assertEqual([], self.local())


class TestTwoAtOnce(adopting.AdoptingTestCase):
    def setUp(self):
        super().setUp()
        elsewhere = store.Store(self.folder / 'elsewhere').scope('', '', 'p')
        self.other = Machines(self.cloud, elsewhere, self.contexts)
        self.request = AdoptRequest('web1', context=False)
        self.proposal = self.other.propose(self.request, self.told)

    def adopt_there(self):
        return self.other.adopt(self.request, self.proposal, self.told)

    def test_other_was_faster(self):
        machine = self.adopt()
        before, local = self.fake.holds(), self.local()
        error = self.assertRaises(errors.NameTaken, self.adopt_there)
        self.assertIn('by somebody else at the same time', str(error))
        self.assertHolds(before)
        self.assertEqual(local, self.local())
        self.assertEqual(machine.server.record, self.machine().server.record)
        self.assertTrue(self.machine().folder)

    def test_other_is_first_on_the_host(self):
        """Both have seen a server that is no machine, and marked it."""

        def other_marks_too():
            foreign = record.Record(id='c' * 32, origin=record.ADOPTED)
            self.server['metadata'] |= foreign.to_metadata()
            self.server['tags'].append(record.TAG)

        before = self.fake.holds()
        self.fake.on('PUT compute .*/tags/', other_marks_too)
        self.host.statuses['serve'] = engine.EXIT_TAKEN
        self.host.lines['serve'] = ['failed the host has become machine c']
        error = self.assertRaises(errors.NameTaken, self.adopt)
        self.assertIn(f'show {self.server["id"]}', str(error))
        self.assertEqual([], self.local())
        self.assertNotIn('leave', self.host.verbs())
        self.assertIn(record.TAG, self.server['tags'])
        # What the other one does at its end.
        ready = record.Record(
            id='c' * 32, origin=record.ADOPTED, state=record.READY
        )
        self.cloud.write_record(self.server['id'], ready)
        self.assertEqual('c' * 32, self.machine().server.record.id)
        self.machines.delete('web1', 300, leave_host=True)
        self.assertHolds(before)

    def test_what_was_found_goes_along(self):
        self.adopt()
        ((_, stdin),) = self.host.parcels
        with tarfile.open(fileobj=io.BytesIO(stdin)) as parcel:
            self.assertEqual(b'', parcel.extractfile('found').read())

    def test_server_is_gone(self):
        self.fake.things['servers'].clear()
        self.assertRaises(errors.NotFound, self.adopt_there)
        self.assertEqual([], self.local())

    def machine(self):
        return self.machines.get('web1')


class TestKilled(adopting.AdoptingTestCase):
    """With kill -9, so that nothing is taken back here."""

    def killed_after(self, number):
        """Be killed after that many changes; tell whether we were."""
        self.changes = 0
        self.host.visits.clear()

        def count():
            # Before that, only the console was asked for.
            self.changes += 'look' in self.host.verbs()
            if self.changes == number:
                raise SystemExit(9)

        changing = '(POST|PUT|DELETE) (network|compute .*(tags|metadata|act))'
        self.fake.on(changing, count, after=True, always=True)
        take_back = 'dockermachine_osc.machines.adoption._taken_back'
        nothing = contextlib.nullcontext
        try:
            with fixtures.MonkeyPatch(take_back, lambda *args: nothing()):
                self.adopt()
        except SystemExit:
            return True
        finally:
            self.fake.forget_hooks()
            self.host.failures['ask'] = engine.EngineTimeout('Nobody')
        return False

    def test_at_any_instant(self):
        """Another workstation sees and ends it, and adopt begins anew."""
        before = self.fake.holds()
        elsewhere = store.Store(self.folder / 'elsewhere').scope('', '', 'p')
        other = Machines(self.cloud, elsewhere, self.contexts)
        for end in other.delete, self.machines.delete:
            number = 1
            while self.killed_after(number):
                listed = [m.server.name for m in other.list()]
                touched = self.server['tags'] + [*self.server['metadata']]
                ours = [t for t in touched if t.startswith(record.TAG)]
                self.assertEqual(bool(ours), listed == ['web1'], number)
                end('web1', 300) if ours else other.prune(0, dry_run=False)
                self.assertHolds(before)
                number += 1
            self.assertGreater(number, 5)
            self.machines.delete('web1', 300)
            self.assertHolds(before)

    def test_files_here(self):
        """Also where there is no trace in the cloud yet."""
        number = 1
        while self.killed_after(number):
            self.machines.delete('web1', 300)
            self.assertEqual([], self.local())
            self.assertRaises(errors.InvalidRequest, self.delete)
            number += 1


class TestLeave(adopting.AdoptingTestCase):
    def setUp(self):
        super().setUp()
        self.before = self.fake.holds()
        self.adopt()

    def test_delete(self):
        self.assertTrue(self.delete())
        self.assertHolds(self.before)
        self.assertEqual([], self.local())
        self.assertEqual('leave', self.host.verbs()[-1])

    def test_group_goes_with_its_last_machine(self):
        _, ours = self.port['security_groups']
        other = self.fake.add_port(self.private, security_groups=[ours])
        self.delete()
        self.assertNotIn(ours, self.port['security_groups'])
        self.assertIn(ours, self.fake.things['security-groups'])
        self.assertEqual([ours], other['security_groups'])

    def test_out_of_reach(self):
        """Nothing is half done: it stays a machine."""
        machine = self.fake.holds()
        self.host.failures['leave'] = errors.HostFailure('No route')
        error = self.assertRaises(errors.HostFailure, self.delete)
        self.assertIn('delete --leave-host web1', error.hint)
        self.assertHolds(machine)
        self.assertTrue(self.machines.get('web1').folder)

    def test_leave_host(self):
        for status in ('ACTIVE', 'SHUTOFF'):
            self.server['status'] = status
            self.machines.delete('web1', 300, leave_host=True)
            self.server['status'] = 'ACTIVE'
            self.assertHolds(self.before)
            self.assertEqual([], self.local())
            self.assertNotIn('leave', self.host.verbs())
            self.host.failures['ask'] = engine.EngineTimeout('Nobody')
            self.adopt()

    def test_off(self):
        self.server['status'] = 'SHUTOFF'
        error = self.assertRaises(errors.InvalidRequest, self.delete)
        for words in ('is SHUTOFF', 'machine start web1', '--with-server'):
            self.assertIn(words, str(error))
        self.assertNotIn('leave', self.host.verbs())

    def test_cut_off_in_the_middle(self):
        for pattern in (
            'POST compute .*/action',
            'DELETE network .*/security-groups/',
            'DELETE compute .*/tags/',
        ):
            self.fake.refuse(pattern, 500, 'Broken', always=True)
            self.assertRaises(errors.CloudFailure, self.delete)
            self.fake.forget_hooks()
            self.delete()
            self.assertHolds(self.before)
            self.assertEqual([], self.local())
            self.adopt()

    def test_not_at_this_moment(self):
        """Nova refuses while something else is done to the server."""
        for pattern in (
            'POST compute .*/action',
            'DELETE compute .*/metadata/',
            'DELETE compute .*/tags/',
        ):
            self.fake.refuse(pattern, 409, 'Not in this state')
            self.assertRaises(errors.CloudFailure, self.delete)
            self.delete()
            self.assertHolds(self.before)
            self.adopt()

    def test_cut_off_in_the_last_steps(self):
        """It is still listed, and let go by the next delete, or adopted."""
        last = [f'docker-machine:{key}' for key in ('id', 'state', 'origin')]
        for what in (*last, 'tags'):
            for adopted_again in False, True:
                self.fake.refuse(f'DELETE compute .*/{what}', 500, 'Broken')
                self.assertRaises(errors.CloudFailure, self.delete)
                (left,) = self.machines.list()
                self.assertTrue(left.server.record.server_stays)
                if adopted_again:
                    self.adopt()
                self.delete()
                self.assertHolds(self.before)
                self.assertEqual([], self.local())
                self.adopt()

    def test_with_server(self):
        self.machines.delete('web1', 300, with_server=True)
        self.assertEqual({}, self.fake.things['servers'])
        self.assertNotIn('leave', self.host.verbs())
        # What was there before stays, but for the server.
        self.assertIn(self.port['id'], self.fake.things['ports'])
        self.assertEqual(
            self.before['floatingips'].keys(),
            self.fake.things['floatingips'].keys(),
        )
        self.assertEqual([], self.local())

    def test_server_was_deleted_by_others(self):
        self.fake.things['servers'].clear()
        self.port |= {'device_id': '', 'device_owner': ''}
        self.assertTrue(self.delete())
        self.assertEqual([], self.local())

    def test_from_another_workstation(self):
        """The agent may have a key; the host's stands in the metadata."""
        self.files.machine('web1').remove()
        self.delete()
        self.assertHolds(self.before)
        _, argv = self.host.visits[-1]
        self.assertIn(self.address, argv)

    def test_created_machine_is_deleted_whole(self):
        self.create('made')
        self.assertTrue(self.delete('made'))
        names = [s['name'] for s in self.fake.things['servers'].values()]
        self.assertEqual(['web1'], names)
