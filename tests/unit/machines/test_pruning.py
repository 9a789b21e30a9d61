# SPDX-License-Identifier: Apache-2.0
"""Orphans are found by their marks and their age, and nothing else goes."""

import datetime
import email.utils
import time

from dockermachine_osc import errors, record
from dockermachine_osc.cloud import groups
from tests.unit import workbench

HOUR = 3600.0


def ago(seconds):
    then = datetime.datetime.now(datetime.UTC)
    then -= datetime.timedelta(seconds=seconds)
    return f'{then:%Y-%m-%dT%H:%M:%SZ}'


def http_date(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


class TestPrune(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.theirs = self.fake.add_floating_ip(self.public)
        self.fake.add_port(self.private, description='docker-machine of mine')
        self.fake.add_group('docker-machine-x', 'not by this tool')
        self.create('alive')
        for things in self.fake.things.values():
            for thing in things.values():
                thing['created_at'] = thing['created'] = ago(2 * HOUR)
        self.before = self.fake.holds()

    def prune(self, older_than=HOUR, dry_run=False):
        return self.machines.prune(older_than, dry_run=dry_run)

    def lost(self, name='gone', age=2 * HOUR):
        """What a create leaves that was killed before its server was made."""
        mark = record.mark(record.new_machine_id(), name)
        port = self.fake.add_port(
            self.private, description=mark, created_at=ago(age)
        )
        self.fake.add_floating_ip(
            self.public,
            description=mark,
            port_id=port['id'],
            created_at=ago(age),
        )

    def test_nothing(self):
        self.assertEqual([], self.prune())
        self.assertHolds(self.before)

    def test_ports_and_addresses_without_a_server(self):
        self.lost()
        mess = self.fake.holds()
        listed = self.prune(dry_run=True)
        self.assertHolds(mess)
        self.assertEqual(
            [('floating IP', 'gone'), ('port', 'gone')],
            [(o.kind, o.machine) for o in listed],
        )
        self.assertEqual(listed, self.prune())
        self.assertHolds(self.before)
        self.assertEqual([], self.prune())

    def test_server_that_was_never_finished(self):
        half = self.foreign_machine('half', state=record.CREATING)
        half['created'] = ago(2 * HOUR)
        for kind in ('ports', 'floatingips'):
            for thing in self.fake.things[kind].values():
                thing.setdefault('created_at', ago(2 * HOUR))
        kinds = [o.kind for o in self.prune()]
        self.assertEqual(['server', 'floating IP', 'port'], kinds)
        self.assertNotIn(half['id'], self.fake.things['servers'])

    def test_what_may_just_be_being_made(self):
        self.lost(age=60)
        half = self.foreign_machine('half', state=record.CREATING)
        half['created'] = ago(60)
        mess = self.fake.holds()
        self.assertEqual([], self.prune())
        self.assertHolds(mess)
        self.assertEqual(2, len(self.prune(30)))

    def test_what_does_not_tell_its_age(self):
        self.lost()
        for thing in self.fake.things['ports'].values():
            thing['created_at'] = 'yesterday'
        mess = self.fake.holds()
        self.assertEqual([], self.prune())
        self.assertHolds(mess)

    def test_kept_on_failure(self):
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertRaises(
            errors.HostFailure, self.create, 'kept', keep_on_failure=True
        )
        for things in self.fake.things.values():
            for thing in things.values():
                thing['created_at'] = thing['created'] = ago(2 * HOUR)
        mess = self.fake.holds()
        self.assertEqual([], self.prune())
        self.assertHolds(mess)
        self.assertEqual('kept', self.machines.get('kept').state)

    def test_security_group(self):
        self.delete('alive')
        group = self.fake.add_group(
            'docker-machine-0123456789ab',
            f'{groups.DESCRIPTION_PREFIX}tcp 22 from 192.0.2.0/24',
        )
        group['created_at'] = ago(60)
        self.assertEqual([], self.prune())
        group['created_at'] = ago(2 * HOUR)
        (listed,) = self.prune(dry_run=True)
        self.assertEqual(('security group', group['id']), listed_as(listed))
        self.prune()
        self.assertNotIn(group['id'], self.fake.things['security-groups'])

    def test_clock_of_the_workstation(self):
        """It is the cloud's that counts; here a workstation ahead by a day."""
        self.fake.date = http_date(-24 * HOUR)
        self.lost(age=24 * HOUR + 60)
        mess = self.fake.holds()
        self.assertEqual([], self.prune())
        self.assertHolds(mess)
        self.fake.date = http_date(-22 * HOUR)
        self.assertEqual(2, len(self.prune()))

    def test_cloud_that_does_not_tell_its_time(self):
        self.lost()
        self.fake.log.clear()
        for date in '', 'soon':
            self.fake.date = date
            self.assertRefuses('does not tell its time', self.prune)

    def test_create_that_was_given_longer(self):
        half = self.foreign_machine(
            'half', state=record.CREATING, timeout=7200
        )
        for kind in ('ports', 'floatingips'):
            for thing in self.fake.things[kind].values():
                thing.setdefault('created_at', ago(2 * HOUR))
        half['created'] = ago(2 * HOUR)
        self.assertEqual([], self.prune(None))
        half['created'] = ago(2 * HOUR + 700)
        self.assertEqual([], self.prune(None))
        for thing in self.fake.things['ports'].values():
            thing['created_at'] = ago(3 * HOUR)
        for thing in self.fake.things['floatingips'].values():
            thing['created_at'] = ago(3 * HOUR)
        self.assertEqual(3, len(self.prune(None)))

    def test_none_is_an_hour(self):
        self.lost(age=HOUR - 60)
        self.assertEqual([], self.prune(None))
        self.lost('other', age=HOUR + 60)
        self.assertEqual({'other'}, {o.machine for o in self.prune(None)})

    def test_look_alikes(self):
        """The same names, and nearly the same words."""
        machine_id = 'c' * 32
        for description in (
            '',
            f'docker-machine {machine_id}',
            f'docker-machine {machine_id} alive and kicking',
            f'Docker-machine {machine_id} alive',
            f'docker-machine {machine_id.upper()} alive',
            f' docker-machine {machine_id} alive',
            f'docker-machine {machine_id} alive\n',
            f'docker-machine {machine_id[1:]} alive',
            f'docker-machine {machine_id} ../alive',
        ):
            body = {'description': description, 'created_at': ago(9 * HOUR)}
            self.fake.add_port(
                self.private, name='docker-machine-alive', **body
            )
            self.fake.add_floating_ip(self.public, **body)
        self.fake.add_group('docker-machine-0123456789ab')
        self.fake.add_group('mine', groups.DESCRIPTION_PREFIX)
        self.fake.add_server('alive')
        self.fake.add_server('gone', {'docker-machine:state': 'creating'})
        self.fake.add_server('gone', tags=[record.TAG])
        before = self.fake.holds()
        self.assertEqual([], self.prune(0))
        self.assertHolds(before)

    def test_what_a_server_uses(self):
        """Its own marks may be gone, or a floating IP have been led to it."""
        server = self.foreign_machine('unmarked')
        server['metadata'].clear()
        server['tags'].clear()
        port = self.fake.add_port(self.private)
        self.fake.add_server('other', ports=[port])
        mark = record.mark('c' * 32, 'gone')
        address = self.fake.add_floating_ip(
            self.public, port_id=port['id'], description=mark
        )
        before = self.fake.holds()
        self.assertEqual([], self.prune(0))
        self.assertHolds(before)
        address['port_id'] = None
        address['created_at'] = ago(60)
        (gone,) = self.prune(0)
        self.assertEqual(address['id'], gone.id)

    def test_port_that_was_plugged_into_anything(self):
        mark = record.mark('c' * 32, 'gone')
        for device in '../../v2.0/ports', '?', self.fake.new_id():
            self.fake.add_port(
                self.private,
                description=mark,
                device_id=device,
                created_at=ago(60),
            )
        self.assertEqual(3, len(self.prune(0)))

    def test_copy_of_a_machine(self):
        """A half-made server that bears the id of a machine takes nothing."""
        (machine,) = self.fake.things['servers'].values()
        metadata = machine['metadata'] | {'docker-machine:state': 'creating'}
        copy = self.fake.add_server('copy', metadata, [record.TAG])
        copy['created'] = ago(2 * HOUR)
        before = self.fake.holds()
        for dry_run in True, False:
            (found,) = self.prune(dry_run=dry_run)
            self.assertEqual(copy['id'], found.id)
            self.assertIn(machine['id'], found.problem)
            self.assertHolds(before)

    def test_a_failure_does_not_stop_the_others(self):
        self.lost('a')
        self.lost('b')
        self.fake.refuse('DELETE network /v2.0/floatingips', 403, 'Policy')
        problems = [bool(o.problem) for o in self.prune()]
        self.assertEqual([True, True, False, False], sorted(problems)[::-1])
        self.prune()
        self.assertHolds(self.before)


def listed_as(orphan):
    return orphan.kind, orphan.id
