# SPDX-License-Identifier: Apache-2.0
"""Machines of Docker Machine: matched, verified, taken over, or refused."""

from pathlib import Path

import fixtures
from oslotest import base

from dockermachine_osc import (
    docker_machine_files,
    engine,
    errors,
    pki,
    record,
    store,
)
from dockermachine_osc.cloud import MachineServer
from dockermachine_osc.machines import importing, matching
from tests import docker_machine
from tests.unit.fakecloud import AUTH_URL
from tests.unit.machines import adopting

RANDOM = '0123456789abcdef' * 4
NEW_KEY = adopting.KEY.replace('Kc2Kbc', 'Kc2Kbd')


class ImportingTestCase(adopting.AdoptingTestCase):
    """Has a server of Docker Machine's, and its folder."""

    def setUp(self):
        super().setUp()
        self.host.failures.clear()
        self.tree = docker_machine.Tree(self.folder / 'machine')
        self.pair = f'web1-{RANDOM}'
        self.server['key_name'] = self.pair
        self.key = docker_machine.key_pem(docker_machine.shared_key())
        self.entry = self.tree.add(
            'web1',
            'openstack',
            self.key,
            MachineId=self.server['id'],
            IPAddress=self.address,
            SSHUser='debian',
            KeyPairName=self.pair,
            FloatingIpPool='public',
            AuthUrl=AUTH_URL,
        )
        shown = self.tree.authority.server('web1', [self.address])
        name = 'dockermachine_osc.engine.shown_certificate'
        self.useFixture(
            fixtures.MonkeyPatch(name, lambda *a: shown.certificate)
        )
        self.before = self.fake.holds()

    def run_import(self, *names, **options):
        request = importing.ImportRequest(
            names=names, root=self.tree.root, **options
        )
        originals = self.tree.contents()
        try:
            return self.machines.import_(request, self.told)
        finally:
            self.assertEqual(originals, self.tree.contents())

    def one(self, *names, **options):
        (found,) = self.run_import(*(names or ('web1',)), **options)
        return found

    def assertRefusedFor(self, words, **options):
        """Assert that nothing was written, in the cloud and here."""
        local = self.ours()
        found = self.one(**options)
        self.assertEqual(importing.REFUSED, found.verdict)
        self.assertIn(words, found.why)
        self.assertHolds(self.before)
        self.assertEqual(local, self.ours())
        return found

    def ours(self):
        return [p for p in self.local() if not p.startswith('machine/')]


class ImportTest(ImportingTestCase):
    def test_machine(self):
        found = self.one()
        self.assertEqual(importing.DONE, found.verdict, found.why)
        self.assertIn('nothing changes on the host', found.why)
        self.assertIn('cert renew --ca', found.why)
        self.assertEqual('docker --context web1 ps', found.next)
        self.assertEqual(['look'], self.host.verbs())
        machine = self.machines.get('web1')
        facts = machine.server.record
        self.assertEqual('running', machine.state)
        self.assertEqual(record.IMPORTED, facts.origin)
        self.assertEqual(self.address, facts.address)
        self.assertEqual('debian', facts.ssh_user)
        self.assertEqual('28.2.2', facts.engine_version)
        self.assertTrue(facts.server_expires)
        self.assertEqual('alice', self.server['metadata']['owner'])
        self.assertEqual(['prod', record.TAG], self.server['tags'])

    def test_files(self):
        self.one()
        folder = self.files.machine('web1')
        for name in (store.CA, store.CERT, store.KEY):
            theirs = (self.entry / name).read_bytes()
            self.assertEqual(theirs, folder.read(name))
        self.assertEqual(self.key, folder.read(store.SSH_KEY))
        self.assertEqual(
            (self.tree.root / 'certs/ca-key.pem').read_bytes(),
            folder.read(store.CA_KEY),
        )
        self.assertIn(adopting.KEY, folder.read('known_hosts').decode())
        for path in folder.path.iterdir():
            self.assertEqual(0o600, path.stat().st_mode & 0o777)
            self.assertNotIn(b'swordfish', path.read_bytes())

    def test_dry_run(self):
        local = self.ours()
        found = self.one(dry_run=True)
        self.assertEqual(importing.IMPORTABLE, found.verdict)
        self.assertHolds(self.before)
        self.assertEqual(local, self.ours())
        self.assertEqual([], self.fake.mutations())

    def test_twice(self):
        self.one()
        before, local = self.fake.holds(), self.local()
        self.fake.log.clear()
        self.host.visits.clear()
        found = self.one(renew=True)
        self.assertEqual(importing.ALREADY, found.verdict)
        self.assertIn('cert renew --ca web1', found.next)
        self.assertIn('show web1', self.one().next)
        self.assertEqual([], self.host.visits)
        self.assertEqual([], self.fake.mutations())
        self.assertHolds(before)
        self.assertEqual(local, self.local())

    def test_no_context(self):
        found = self.one(context=False)
        self.assertFalse(self.contexts.exists('web1'))
        self.assertEqual('openstack docker machine env web1', found.next)

    def test_generic_is_named_as_its_server(self):
        self.tree.add('old', 'generic', self.key, IPAddress=self.address)
        found = self.one('old')
        self.assertEqual(importing.DONE, found.verdict, found.why)
        self.assertIn("named 'web1', as its server", found.why)
        self.assertEqual(
            'root', self.machines.get('web1').server.record.ssh_user
        )

    def test_two_entries_of_one_server(self):
        self.tree.add('old', 'generic', self.key, IPAddress=self.address)
        first, second = self.run_import('old', 'web1')
        self.assertEqual(importing.DONE, first.verdict)
        self.assertEqual(importing.SKIPPED, second.verdict)
        self.assertIn("the same server as 'old'", second.why)

    def test_renew(self):
        found = self.one(renew=True)
        self.assertEqual(importing.DONE, found.verdict, found.why)
        self.assertIn('restart the engine once; 2 running', found.why)
        self.assertEqual(['look', 'serve'], self.host.verbs())
        folder = self.files.machine('web1')
        theirs = (self.entry / store.CA).read_bytes()
        self.assertNotEqual(theirs, folder.read(store.CA))
        self.assertEqual('running', self.machines.get('web1').state)

    def test_provision_leaves_a_healthy_one_alone(self):
        """Its certificate does not name the fixed address."""
        self.one()
        self.host.visits.clear()
        self.assertFalse(self.machines.provision('web1', self.told, 60))
        self.assertEqual([], self.host.visits)

    def test_key_of_the_ca_is_of_another_time(self):
        other = self.tree.authority.shared_client.key
        path = self.tree.root / 'certs/ca-key.pem'
        docker_machine.write(path, other)
        self.assertIn("its CA's key is not there", self.one().why)
        self.assertFalse(self.files.machine('web1').has(store.CA_KEY))


class KilledTest(ImportingTestCase):
    def killed_at(self, pattern):
        def kill():
            raise SystemExit(9)

        undo = 'dockermachine_osc.machines.importing._Import._undo'
        with fixtures.MonkeyPatch(undo, lambda *a: ''):
            self.fake.on(pattern, kill)
            self.assertRaises(SystemExit, self.one)

    def test_again_is_fine(self):
        for pattern in (
            'POST compute .*/metadata',
            'PUT compute .*/tags/',
        ):
            self.killed_at(pattern)
        found = self.one()
        self.assertEqual(importing.DONE, found.verdict, found.why)
        self.assertEqual(1, self.server['tags'].count(record.TAG))
        self.assertEqual('running', self.machines.get('web1').state)
        self.assertTrue(self.contexts.exists('web1'))

    def test_local_files_without_a_record(self):
        self.files.machine('web1').create()
        self.assertEqual(importing.DONE, self.one().verdict)

    def test_all_is_taken_back(self):
        self.fake.refuse('PUT compute .*/tags/', 403, 'Policy forbids')
        found = self.one()
        self.assertEqual(importing.REFUSED, found.verdict)
        self.assertIn('Policy forbids', found.why)
        self.assertIn('All was taken back', found.why)
        self.assertHolds(self.before)
        self.assertFalse(self.files.machine('web1').exists())
        self.assertEqual(['look'], self.host.verbs())

    def test_new_certificates_that_do_not_serve(self):
        self.host.failures['wait_ready'] = engine.EngineTimeout('Nobody')
        found = self.one(renew=True)
        self.assertIn('All was taken back', found.why)
        self.assertEqual(['look', 'serve', 'leave'], self.host.verbs())
        self.assertHolds(self.before)
        self.assertFalse(self.files.machine('web1').exists())

    def test_what_cannot_be_taken_back(self):
        self.host.failures['wait_ready'] = engine.EngineTimeout('Nobody')
        self.host.failures['leave'] = errors.HostFailure('Cut off')
        found = self.one(renew=True)
        self.assertIn('Not all could be taken back: Cut off', found.why)
        self.assertIn('openstack docker machine delete web1', found.why)
        self.assertTrue(self.files.machine('web1').exists())


class RefusedTest(ImportingTestCase):
    def test_certificates(self):
        other = self.tree.authority.client()
        docker_machine.write(self.entry / 'key.pem', other.key)
        found = self.assertRefusedFor('do not belong together')
        self.assertIn('--renew-certificates', found.next)
        self.assertEqual([], self.host.visits)
        # Then they do not matter.
        self.assertEqual(importing.DONE, self.one(renew=True).verdict)

    def test_open_keys(self):
        (self.entry / 'id_rsa').chmod(0o644)
        for renew in (False, True):
            found = self.assertRefusedFor('open to other users', renew=renew)
            self.assertIn('chmod 600', found.next)

    def test_engine(self):
        self.host.failures['ask'] = engine.EngineUntrusted('Of another CA')
        found = self.assertRefusedFor('Of another CA')
        self.assertIn('--renew-certificates', found.next)
        self.host.failures['ask'] = engine.EngineTimeout('Nobody', 'Group?')
        self.assertEqual('Group?', self.assertRefusedFor('Nobody').next)

    def test_ssh(self):
        self.host.failures['look'] = errors.HostFailure('ssh is not let in')
        self.assertRefusedFor('ssh is not let in')

    def test_host(self):
        self.host.statuses['look'] = engine.EXIT_CONFLICT
        self.host.lines['look'] += ['hint take it out', 'failed own TLS']
        self.assertEqual('take it out', self.assertRefusedFor('own TLS').next)
        self.host.statuses.clear()
        self.host.lines['look'] = list(adopting.NO_ENGINE)
        self.assertRefusedFor('no Docker Engine on its host')

    def test_server_that_is_off(self):
        self.server['status'] = 'SHUTOFF'
        self.before = self.fake.holds()
        found = self.assertRefusedFor('is SHUTOFF')
        self.assertIn('openstack server start', found.next)

    def test_name_that_is_taken(self):
        self.foreign_machine('web1')
        self.before = self.fake.holds()
        found = self.assertRefusedFor('is that of another machine')
        self.assertIn('openstack server set --name', found.next)

    def test_machine_of_another_workstation(self):
        self.one()
        folder = self.files.machine('web1')
        folder.remove()
        self.before = self.fake.holds()
        found = self.assertRefusedFor('is a machine already: it was imported')
        self.assertIn('docker machine show web1', found.next)

    def test_one_does_not_stop_the_others(self):
        self.tree.add('bad', 'openstack')
        (self.tree.root / 'machines/bad/config.json').write_text('{')
        self.tree.add('box', 'virtualbox')
        verdicts = {o.name: o.verdict for o in self.run_import()}
        self.assertEqual(importing.REFUSED, verdicts['bad'])
        self.assertEqual(importing.SKIPPED, verdicts['box'])
        self.assertEqual(importing.DONE, verdicts['web1'])


class HostKeyTest(ImportingTestCase):
    def setUp(self):
        super().setUp()
        run = adopting.Host.run

        def trusting(host, *args, **more):
            """As ssh does with accept-new."""
            argv = host._argv
            if 'StrictHostKeyChecking=accept-new' in argv:
                (option,) = [a for a in argv if 'UserKnownHostsFile=' in a]
                with Path(option.split('"')[1]).open('a') as file:
                    file.write(f'|1|x= {NEW_KEY}\n')
            return run(host, *args, **more)

        path = 'tests.unit.machines.adopting.Host.run'
        self.useFixture(fixtures.MonkeyPatch(path, trusting))

    def test_console_shows_it(self):
        self.one()
        _, argv = self.host.visits[0]
        self.assertIn('StrictHostKeyChecking=yes', argv)
        self.assertEqual([], self.told.warnings)

    def test_trusted_on_first_use(self):
        self.fake.console = 'nothing'
        self.host.lines['look'] = [
            line for line in adopting.LOOK if 'hostkey' not in line
        ]
        self.assertEqual(importing.DONE, self.one().verdict)
        (warning,) = self.told.warnings
        self.assertIn('the first that it showed is trusted', warning)
        pinned = self.files.machine('web1').read('known_hosts').decode()
        self.assertIn(NEW_KEY, pinned)


class LeftoversTest(ImportingTestCase):
    def leftovers(self):
        found = self.run_import(dry_run=True)
        return {o.name: o for o in found if o.verdict == importing.LEFTOVER}

    def test_all(self):
        for name in (self.pair, f'gone-{RANDOM}', 'mine', f'x-{RANDOM[1:]}'):
            self.fake.add_keypair(name, adopting.KEY)
        unknown = self.fake.add_server('a.b', key_name=f'a_b-{RANDOM}')
        idle = self.fake.add_floating_ip(self.public)
        mark = record.mark('a' * 32, 'half-made')
        self.fake.add_floating_ip(self.public, description=mark)
        self.foreign_machine('ours', image='x')
        found = self.leftovers()
        idle = idle['floating_ip_address']
        self.assertEqual({f'gone-{RANDOM}', 'a.b', idle}, set(found))
        self.assertEqual(
            f'openstack keypair delete gone-{RANDOM}',
            found[f'gone-{RANDOM}'].next,
        )
        self.assertEqual(
            f'openstack server delete {unknown["id"]}', found['a.b'].next
        )
        self.assertEqual('unused floating IP', found[idle].why)
        self.assertEqual(
            f'openstack floating ip delete {idle}', found[idle].next
        )
        self.assertEqual([], self.fake.mutations())

    def test_command_is_safe_to_paste(self):
        name = f"x'; rm -rf ~ #-{RANDOM}"
        self.fake.add_keypair(name, adopting.KEY)
        self.assertEqual(
            f"openstack keypair delete 'x'\"'\"'; rm -rf ~ #-{RANDOM}'",
            self.leftovers()[name].next,
        )

    def test_not_with_names(self):
        self.fake.add_keypair(f'gone-{RANDOM}', adopting.KEY)
        self.assertEqual(1, len(self.run_import('web1', dry_run=True)))


class DeleteTest(ImportingTestCase):
    def delete(self, **more):
        return self.machines.delete('web1', 60, reporter=self.told, **more)

    def test_the_server_stays(self):
        self.one()
        self.delete()
        self.assertIn('leave', self.host.verbs())
        self.assertHolds(self.before)
        self.assertFalse(self.files.machine('web1').exists())

    def test_with_server(self):
        self.fake.add_keypair(
            self.pair, f'{pki.public_ssh_key(self.key)} alice'
        )
        self.one()
        self.told.notes.clear()
        self.delete(with_server=True)
        self.assertNotIn(self.server['id'], self.fake.things['servers'])
        pair, address = self.told.notes
        self.assertIn(f'openstack keypair delete {self.pair}', pair)
        self.assertIn(f'openstack floating ip delete {self.address}', address)
        self.assertIn(self.pair, self.fake.things['keypairs'])

    def test_key_pair_of_another_key(self):
        self.fake.add_keypair(self.pair, adopting.KEY)
        self.one()
        self.told.notes.clear()
        self.delete(with_server=True)
        self.assertEqual(1, len(self.told.notes))


class MatchTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.server = a_server('a' * 8, 'web1', ('10.0.0.3',))
        self.other = a_server('b' * 8, 'web2', ('10.0.0.4',))

    def entry(self, **fields):
        known = {'name': 'web1', 'driver': 'openstack', **fields}
        return docker_machine_files.Entry(folder=None, **known)

    def match(self, **fields):
        servers = [self.server, self.other]
        entry = self.entry(**fields)
        return matching.match(entry, servers, 'https://a.example:5000/v3')

    def missing(self, words, **fields):
        error = self.assertRaises(matching.NotHere, self.match, **fields)
        self.assertIn(words, str(error))

    def test_by_id(self):
        """Whatever its name is now, and whichever URL the cloud had."""
        found = self.match(server_id=self.other.id, auth_url='https://b/v3')
        self.assertIs(self.other, found)

    def test_by_name_and_address(self):
        self.assertIs(self.server, self.match(address='10.0.0.3'))
        self.missing('creation failed', address='10.0.0.4')
        self.missing(f'of its name: {self.server.id}')
        self.missing('creation failed', name='web9')

    def test_by_address(self):
        found = self.match(driver='generic', address='10.0.0.4')
        self.assertIs(self.other, found)
        self.missing('no server of this', driver='generic', address='1.2.3.4')
        self.missing('has no address', driver='generic')
        self.other = a_server('b' * 8, 'web2', ('10.0.0.3',))
        self.missing('several servers', driver='generic', address='10.0.0.3')

    def test_gone(self):
        self.missing('is gone', server_id='c' * 8)
        url = 'https://A.example/identity/v3'
        self.missing('is gone', server_id='c' * 8, auth_url=url)

    def test_another_cloud(self):
        url = 'https://user:swordfish@b.example:5000/v3'
        for fields in ({'server_id': 'c' * 8}, {}):
            error = self.assertRaises(
                matching.NotHere, self.match, auth_url=url, **fields
            )
            self.assertIn('on another cloud: b.example', str(error))
            self.assertNotIn('swordfish', str(error))
        self.missing('is gone', server_id='c', auth_url='http://[bad')


def a_server(server_id, name, addresses):
    return MachineServer(
        server_id, name, 'ACTIVE', '', record.Record(), addresses
    )
