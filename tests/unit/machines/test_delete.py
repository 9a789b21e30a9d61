# SPDX-License-Identifier: Apache-2.0
"""What delete takes, and above all what it leaves."""

from dockermachine_osc import errors, record
from tests.unit import workbench


class TestDelete(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.others = self.foreign_machine('other')
        self.before = self.fake.holds()

    def test_all_that_create_made(self):
        self.create()
        self.assertTrue(self.delete())
        self.assertHolds(self.before)
        self.assertEqual([], self.local())

    def test_by_each_id(self):
        for key in ('id', 'machine_id'):
            server = self.create().server
            ids = {'id': server.id, 'machine_id': server.record.id}
            self.assertTrue(self.delete(ids[key]))
            self.assertHolds(self.before)
            self.assertEqual([], self.local())

    def test_from_another_workstation(self):
        self.create()
        self.files.machine('web1').remove()
        self.assertTrue(self.delete())
        self.assertHolds(self.before)

    def test_returns_when_it_is_gone(self):
        server = self.create().server
        self.fake.log.clear()
        self.delete()
        looks = [r for r in self.fake.log if r.endswith(server.id)]
        self.assertEqual(3, len(looks), looks)

    def test_group_that_neutron_holds_on_to(self):
        """It says "in use" of what no port uses any more."""
        self.create()
        pattern = 'DELETE network /v2.0/security-groups/'
        self.fake.refuse(pattern, 409, 'In use')
        self.assertTrue(self.delete())
        self.assertHolds(self.before)

    def test_gone_already(self):
        self.create()
        self.delete()
        self.fake.log.clear()
        self.assertFalse(self.delete())
        self.assertEqual([], self.fake.mutations())

    def test_never_there(self):
        self.assertFalse(self.delete())
        self.assertEqual([], self.fake.mutations())

    def test_no_name_of_a_machine(self):
        for name in ('no such name', '../x'):
            self.assertRefuses(name, self.delete, name)

    def test_only_local_files_left(self):
        self.create()
        for kind in ('servers', 'ports', 'floatingips', 'security-groups'):
            self.fake.things[kind] = dict(self.before[kind])
        self.assertTrue(self.delete())
        self.assertEqual([], self.local())

    def test_ambiguous(self):
        ids = [self.foreign_machine('web1')['id'] for _ in range(2)]
        self.assertRefuses(ids, self.delete, error=errors.Ambiguous)
        self.assertTrue(self.delete(ids[0]))
        self.assertNotIn(ids[0], self.fake.things['servers'])
        self.assertIn(ids[1], self.fake.things['servers'])

    def test_server_that_is_no_machine(self):
        server = self.fake.add_server('web1')
        self.assertRefuses(
            [server['id'], 'openstack server delete'],
            self.delete,
            error=errors.InvalidRequest,
        )

    def test_server_that_only_has_the_tag(self):
        """It may be anyone's: it stays, as it was."""
        server = self.fake.add_server('web1')
        before = self.fake.holds()
        for metadata in {}, {'docker-machine:origin': record.CREATED}:
            server['tags'].append(record.TAG)
            server['metadata'].update(metadata)
            self.assertEqual('incomplete', self.machines.get('web1').state)
            self.assertTrue(self.delete())
            self.assertHolds(before)
            self.assertRaises(errors.NotFound, self.machines.get, 'web1')

    def copied(self, name='copy'):
        """Make a machine, and a server of somebody's with its metadata."""
        self.create()
        (machine,) = [
            s
            for s in self.fake.things['servers'].values()
            if s['name'] == 'web1'
        ]
        copy = self.fake.add_server(name, machine['metadata'], [record.TAG])
        return machine, copy

    def test_copy_of_a_machine(self):
        """What belongs to the machine does not go with the copy."""
        machine, copy = self.copied()
        local = self.local()
        self.fake.log.clear()
        said = str(self.assertRefuses([copy['id']], self.delete, 'copy'))
        self.assertIn(f"'web1' ({machine['id']})", said)
        self.assertIn(f'openstack server delete {copy["id"]}', said)
        self.assertIn(f'docker machine delete {machine["id"]}', said)
        self.assertEqual(local, self.local())

    def test_machine_that_was_copied(self):
        _, copy = self.copied()
        self.delete()
        self.assertEqual([], self.local())
        del self.fake.things['servers'][copy['id']]
        self.assertHolds(self.before)

    def test_copy_does_not_get_the_files(self):
        """They are renamed after a machine, but not after its copy."""
        self.copied()
        for _ in range(2):
            folders = {m.server.name: m.folder for m in self.machines.list()}
            self.assertIsNone(folders['copy'])
            self.assertTrue(folders['web1'])

    def test_copy_of_the_same_name(self):
        machine, copy = self.copied('web1')
        ids = [machine['id'], copy['id']]
        self.assertRaises(errors.Ambiguous, self.delete)
        local = self.local()
        self.assertRaises(errors.InvalidRequest, self.delete, copy['id'])
        self.assertEqual(local, self.local())
        folders = {m.server.id: m.folder for m in self.machines.list()}
        self.assertEqual([True, False], [bool(folders[i]) for i in ids])

    def test_what_is_left_and_used_by_others(self):
        machine, copy = self.copied()
        machine['name'] = 'renamed'
        machine['tags'].clear()
        del self.fake.things['servers'][copy['id']]
        self.files.machine('web1').remove()
        self.fake.log.clear()
        self.assertRefuses(["'renamed'", machine['id']], self.delete)

    def test_user_port_and_address_stay(self):
        port = self.fake.add_port(self.private, name='p')
        address = self.fake.add_floating_ip(self.public)
        before = self.fake.holds()
        self.create(port='p', floating_ip=address['floating_ip_address'])
        self.assertEqual(port['id'], address['port_id'])
        self.delete()
        self.assertHolds(before)

    def test_user_address_on_our_port(self):
        address = self.fake.add_floating_ip(self.public)
        before = self.fake.holds()
        self.create(floating_ip=address['floating_ip_address'])
        self.delete()
        self.assertHolds(before)

    def test_group_of_another_machine_stays(self):
        self.create('web1')
        before = self.fake.holds()
        self.create('web2')
        self.delete('web2')
        self.assertHolds(before)
        self.delete('web1')
        self.assertHolds(self.before)

    def test_group_that_only_looks_like_ours(self):
        self.fake.add_group('docker-machine-123456789abc', 'my own rules')
        self.before = self.fake.holds()
        self.create()
        self.delete()
        self.assertHolds(self.before)

    def test_of_two_projects_only_ours(self):
        """An admin sees what belongs to others, and leaves it in peace."""
        self.create()
        machine_id = self.machines.list()[-1].server.record.id
        mark = record.mark(machine_id, 'web1')
        project = workbench.OTHER
        for thing in ('port', 'floating_ip'):
            add = getattr(self.fake, f'add_{thing}')
            add(self.public, project=project, description=mark)
        theirs = self.fake.holds()
        self.fake.admin = True
        self.delete()
        self.assertEqual(
            {
                k
                for k, p in theirs['ports'].items()
                if p['project_id'] == project
            }
            | self.before['ports'].keys(),
            self.fake.things['ports'].keys(),
        )
        self.assertEqual(2, len(self.fake.things['floatingips']))

    def test_context_of_something_else_stays(self):
        self.create()
        machine_id = self.contexts.owner('web1')
        self.contexts.remove('web1', machine_id)
        self.contexts.write('web1', 'tcp://1.2.3.4:2376', '', 'other')
        self.delete()
        self.assertEqual('other', self.contexts.owner('web1'))


class TestHostileMetadata(workbench.MachinesTestCase):
    """Others in the project can write metadata: they steer nothing."""

    def test_ids_of_other_things(self):
        victim = self.foreign_machine('victim')
        facts = record.Record.from_metadata(victim['metadata'])
        before = self.fake.holds()
        self.create()
        server = next(
            s
            for s in self.fake.things['servers'].values()
            if s['name'] == 'web1'
        )
        for field in ('port-id', 'floating-ip-id', 'security-group-id'):
            value = getattr(facts, field.replace('-', '_'))
            server['metadata'][f'docker-machine:{field}'] = value
        self.delete()
        self.assertHolds(before)

    def test_garbage(self):
        for value in ('\x1b[2J', '', 'ä' * 255, '../../etc/passwd', '{}'):
            server = self.foreign_machine('bad')
            kept = ('docker-machine:id', 'docker-machine:origin')
            for key in server['metadata'].keys() - kept:
                server['metadata'][key] = value
            (machine,) = self.machines.list()
            self.assertTrue(machine.server.record.problems)
            self.assertEqual('', machine.url)
            self.machines.show('bad')
            self.assertTrue(self.delete('bad'))
            self.assertEqual({}, self.fake.things['servers'])

    def test_name_that_leads_elsewhere(self):
        outside = self.files.path / 'machines'
        outside.mkdir(parents=True)
        (outside.parent / 'precious').write_text('x')
        server = self.foreign_machine('x')
        server['name'] = '../precious'
        (machine,) = self.machines.list()
        self.assertIsNone(machine.folder)
        self.machines.delete(server['id'], 300)
        self.assertTrue((outside.parent / 'precious').exists())


class TestLeftovers(workbench.MachinesTestCase):
    """What a create or delete left that was killed at any moment."""

    def setUp(self):
        super().setUp()
        self.foreign_machine('other')
        self.before = self.fake.holds()

    def _kill_create_after(self, pattern):
        def kill():
            raise SystemExit

        self.fake.on(pattern, kill, after=True)
        self.assertRaises(
            SystemExit, self.create, keep_on_failure=True, timeout=99
        )

    def test_killed_create(self):
        for pattern in (
            'POST network /v2.0/security-groups',
            'POST network /v2.0/security-group-rules',
            'POST network /v2.0/ports',
            'POST network /v2.0/floatingips',
            'POST compute /v2.1/servers$',
            'POST compute /v2.1/servers/.*/metadata',
        ):
            self._kill_create_after(pattern)
            self.files.machine('web1').remove()
            self.delete()
            self.assertHolds(self.before)

    def test_killed_delete(self):
        for pattern in (
            'DELETE compute /v2.1/servers',
            'DELETE network /v2.0/floatingips',
            'DELETE network /v2.0/ports',
            'DELETE network /v2.0/security-groups',
        ):
            for after in (False, True):

                def kill():
                    raise SystemExit

                self.create()
                self.fake.on(pattern, kill, after)
                self.assertRaises(SystemExit, self.delete)
                self.delete()
                self.assertHolds(self.before)
                self.assertEqual([], self.local())

    def test_leftovers_of_another_name_stay(self):
        mark = record.mark(record.new_machine_id(), 'web2')
        self.fake.add_port(self.private, description=mark)
        before = self.fake.holds()
        self.create()
        self.delete()
        self.assertHolds(before)

    def test_leftovers_of_the_same_name_stay_while_the_machine_lives(self):
        machine = self.create()
        mark = record.mark(record.new_machine_id(), 'web1')
        port = self.fake.add_port(self.private, description=mark)
        self.delete(machine.server.id)
        self.assertIn(port['id'], self.fake.things['ports'])
        self.assertTrue(self.delete())
        self.assertHolds(self.before)

    def test_living_machine_of_another_name_keeps_what_is_marked(self):
        """A renamed machine is not the leftover of a killed create."""
        self.create()
        server = next(
            s
            for s in self.fake.things['servers'].values()
            if s['name'] == 'web1'
        )
        server['name'] = 'web2'
        before = self.fake.holds()
        self.delete('web1')
        self.assertHolds(before)


class TestFailure(workbench.MachinesTestCase):
    def test_each_request_refused_then_again(self):
        before = self.fake.holds()
        for pattern in (
            'DELETE compute /v2.1/servers',
            'DELETE network /v2.0/floatingips',
            'DELETE network /v2.0/ports',
            'DELETE network /v2.0/security-groups',
        ):
            self.create()
            self.fake.refuse(pattern, 500, 'Boom')
            error = self.assertRaises(errors.CloudFailure, self.delete)
            self.assertIn('Boom', str(error))
            self.assertTrue(self.delete(), pattern)
            self.assertHolds(before)
            self.assertEqual([], self.local())

    def test_goes_on_after_one_is_refused(self):
        self.create()
        self.fake.refuse('DELETE network /v2.0/floatingips', 403, 'Policy')
        self.assertRaises(errors.CloudFailure, self.delete)
        self.assertEqual({}, self.fake.things['servers'])
        legs = [p['device_owner'] for p in self.fake.things['ports'].values()]
        self.assertEqual(['network:router_interface'], legs)

    def test_port_that_nova_holds_for_a_moment(self):
        """As after the delete of a server that was being built."""
        before = self.fake.holds()
        self.create()
        for status in (403, 409):
            self.fake.refuse('DELETE network /v2.0/ports', status, 'Bound')
        self.assertTrue(self.delete())
        self.assertHolds(before)

    def test_deleted_by_somebody_else_meanwhile(self):
        before = self.fake.holds()
        self.create()

        def others_delete():
            self.fake.things['floatingips'].clear()
            server = self.machines.list()[0].server
            self.fake.things['ports'].pop(server.record.port_id)
            del self.fake.things['servers'][server.id]

        self.fake.on('DELETE compute', others_delete)
        self.assertTrue(self.delete())
        self.assertHolds(before)

    def test_nova_cannot_delete(self):
        machine = self.create()

        def break_it():
            server = self.fake.things['servers'][machine.server.id]
            server['_steps'] = ['ERROR']
            server['OS-EXT-STS:task_state'] = None

        self.fake.fault = 'Disk is stuck'
        self.fake.on('DELETE compute', break_it, after=True, always=True)
        error = self.assertRaises(errors.CloudFailure, self.delete)
        self.assertIn('Disk is stuck', str(error))
        self.assertTrue(self.local())

    def test_build_fails_while_the_deletion_waits_for_it(self):
        """Nova's build then takes its task away, and it is deleted yet."""
        before = self.fake.holds()
        machine = self.create()

        def fail_to_build():
            server = self.fake.things['servers'][machine.server.id]
            server['status'] = 'ERROR'
            server['OS-EXT-STS:task_state'] = None
            server['_steps'] = ['ERROR', 'ERROR', 'gone']

        self.fake.on('DELETE compute', fail_to_build, after=True)
        self.assertTrue(self.delete())
        self.assertHolds(before)
        self.assertEqual([], self.local())

    def test_server_is_locked(self):
        machine = self.create()
        before = self.fake.holds()
        server = machine.server.id
        text = f'Instance {server} is locked'
        self.fake.refuse('DELETE compute', 409, text, 'conflictingRequest')
        error = self.assertRaises(errors.CloudFailure, self.delete)
        self.assertIn(text, str(error))
        self.assertIn(f'openstack server unlock {server}', error.hint)
        self.assertHolds(before)
        self.assertTrue(self.local())

    def test_never_gone(self):
        machine = self.create()

        def stay():
            self.fake.things['servers'][machine.server.id]['_steps'] = []

        self.fake.on('DELETE compute', stay, after=True)
        error = self.assertRaises(errors.DeadlineExceeded, self.delete)
        self.assertIn('300 s', str(error))
        self.assertTrue(self.local())

    def test_server_in_error_can_be_deleted(self):
        before = self.fake.holds()
        machine = self.create()
        server = self.fake.things['servers'][machine.server.id]
        server['status'] = 'ERROR'
        self.assertTrue(self.delete())
        self.assertHolds(before)

    def test_passing_faults_while_waiting(self):
        machine = self.create()
        self.fake.refuse(f'GET compute .*{machine.server.id}', 502)
        self.assertTrue(self.delete())

    def test_another_process_works_on_it(self):
        self.create()
        self.fake.log.clear()
        with self.files.lock('web1'):
            self.assertRefuses('Another process', self.delete)
