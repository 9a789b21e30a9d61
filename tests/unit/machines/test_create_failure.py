# SPDX-License-Identifier: Apache-2.0
"""What is left when a create fails: nothing."""

import copy

import fixtures

from dockermachine_osc import engine, errors
from tests.unit import workbench
from tests.unit.machines.test_create import CHANGES

#: HTTP itself repeats a PUT (RFC 9110, 9.2.2): urllib3, which is not played
#: here; see tests/faults.
ASKED_ONCE = [pattern for pattern in CHANGES if not pattern.startswith('PUT')]


class TestFailure(workbench.MachinesTestCase):
    """Whatever fails, the cloud holds what it held before."""

    def setUp(self):
        super().setUp()
        self.mine = self.fake.add_floating_ip(self.public)
        self.others = self.foreign_machine('other')
        self.before = self.fake.holds()

    def assertTakenBack(self, expected, error=errors.MachineError, **options):
        raised = self.assertRaises(error, self.create, **options)
        for words in ('was not created', *expected):
            self.assertIn(words, str(raised))
        self.assertHolds(self.before)
        self.assertEqual([], self.local())
        return raised

    def test_each_change_refused(self):
        answers = ((503, 'Boom'), (403, 'Quota exceeded'), (400, 'No'))
        for pattern in CHANGES:
            for status, message in answers:
                self.fake.refuse(f'{pattern}$', status, message, always=True)
                self.assertTakenBack([message, "failed at '"])
                self.fake.forget_hooks()

    def test_each_conflict(self):
        for pattern in CHANGES:
            self.fake.refuse(f'{pattern}$', 409, 'Quota exceeded', 'OverQuota')
            self.assertTakenBack(['Quota exceeded', 'quota show'])

    def test_each_request_lost(self):
        """Whether it was carried out cannot be told."""
        for pattern in CHANGES:
            if 'rules' in pattern or 'metadata' in pattern:
                continue  # these do no harm when done twice
            self.fake.lose_answer(f'{pattern}$', after=False)
            self.assertTakenBack(["failed at '"])

    def assertMadeOnce(self):
        self.assertEqual('running', self.create().state)
        made = self.fake.holds()
        self.assertTrue(self.delete())
        self.assertHolds(self.before)
        for kind in ('servers', 'ports', 'floatingips', 'security-groups'):
            count = len(made[kind]) - len(self.before[kind])
            self.assertEqual(1, count, kind)

    def test_each_answer_lost(self):
        for pattern in ASKED_ONCE:
            self.fake.lose_answer(f'{pattern}$')
            self.assertMadeOnce()

    def test_each_fault_that_passes(self):
        for pattern in ASKED_ONCE:
            for status in (500, 503):
                for after in (False, True):
                    self.fake.refuse(f'{pattern}$', status, after=after)
                    self.assertMadeOnce()

    def test_each_interrupted(self):
        def interrupt():
            raise KeyboardInterrupt

        for pattern in CHANGES:
            for after in (False, True):
                self.fake.on(f'{pattern}$', interrupt, after)
                self.assertRaises(KeyboardInterrupt, self.create)
                self.assertHolds(self.before)
                self.assertEqual([], self.local())
                self.assertIn('Removed again', self.told.warnings[-1])

    def test_error_names_what_was_removed(self):
        self.guest.failures['connect'] = errors.HostFailure('No way', 'Try X')
        raised = self.assertTakenBack(
            ['No way', 'server ', 'floating IP 172.24.4.', 'port ', 'group ']
        )
        self.assertIsInstance(raised, errors.HostFailure)
        self.assertEqual(
            'Try X\nTo look at it there, create it again with '
            '--keep-on-failure',
            raised.hint,
        )

    def test_server_in_error(self):
        self.fake.statuses = ['BUILD', 'ERROR']
        self.assertTakenBack(
            ['No valid host was found.'], error=errors.CloudFailure
        )

    def test_server_vanishes(self):
        self.fake.statuses = ['BUILD', 'gone']
        self.assertTakenBack(['somebody deleted it'])

    def test_server_without_an_id(self):
        """Nova is asked again: what would ours be compared with?"""
        compute, broken = self.fake._compute, []

        def without(request, path):
            answer = copy.deepcopy(compute(request, path))
            for server in (answer[1] or {}).get('servers', ()):
                if server['status'] == 'BUILD' and not broken:
                    broken.append(server.pop('id'))
            return answer

        self.fake.statuses = ['BUILD', 'BUILD', 'ACTIVE']
        self.useFixture(
            fixtures.MonkeyPatch(
                'tests.unit.fakecloud.FakeCloud._compute',
                lambda fake, *arguments: without(*arguments),
            )
        )
        self.create()
        self.assertEqual(1, len(broken))

    def test_floating_ip_without_an_address(self):
        """An answer that no API gives: nobody would be reached there."""
        add = self.fake.add_floating_ip

        def spoilt(network, **more):
            return add(network, **more, floating_ip_address=None)

        self.useFixture(
            fixtures.MonkeyPatch(
                'tests.unit.fakecloud.FakeCloud.add_floating_ip',
                lambda fake, network, **more: spoilt(network, **more),
            )
        )
        self.assertTakenBack(['has no address'])

    def test_server_never_active(self):
        self.fake.statuses = ['BUILD']
        self.assertTakenBack(
            ['30 s', 'ACTIVE'], error=errors.DeadlineExceeded, timeout=30
        )

    def test_engine_set_up_fails(self):
        self.guest.lines = ['failed no space left', 'tail dpkg: error']
        self.guest.status = engine.EXIT_INSTALL
        self.assertTakenBack(
            ['no space left', 'dpkg: error'], error=errors.EngineFailure
        )

    def test_console_tells_of_failure(self):
        machine_id = 'f' * 32
        self.useFixture(
            fixtures.MonkeyPatch(
                'dockermachine_osc.machines.creation.new_machine_id',
                lambda: machine_id,
            )
        )
        self.fake.console = f'docker-machine {machine_id} failed no apt end\n'
        self.assertTakenBack(['no apt'], error=errors.EngineFailure)
        self.assertEqual([], self.guest.logins)

    def test_cloud_init_never_ends(self):
        self.guest.closed = True
        for console, words in (
            (
                'booting\nA start job is running for cloud-init',
                '  | A start job',
            ),
            ('', 'The console is empty.'),
        ):
            self.fake.console = console
            self.assertTakenBack(
                [words, 'neither its console', 'within 30 s'],
                error=errors.DeadlineExceeded,
                timeout=30,
            )

    def test_closed_group(self):
        self.guest.closed = True
        self.guest.failures['wait_open'] = errors.DeadlineExceeded('Silence')
        self.assertTakenBack(['Silence', 'has booted', 'opens tcp 22'])

    def test_engine_does_not_answer(self):
        self.guest.failures['wait_ready'] = engine.EngineTimeout('Nobody')
        self.assertTakenBack(['Nobody'], error=engine.EngineTimeout)

    def test_nobody_to_log_in_as(self):
        self.fake.console = ''
        self.image['os_distro'] = 'plan9'
        self.before = self.fake.holds()
        self.assertTakenBack(['--ssh-user'], image='debian-12')

    def test_unusable_user_data(self):
        self.assertTakenBack(['user data'], user_data=b'\x00\x01')

    def test_users_address_is_led_away_again(self):
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertTakenBack(
            ['No way'], floating_ip=self.mine['floating_ip_address']
        )

    def test_users_address_on_the_users_port_without_a_server(self):
        self.fake.add_port(self.private, name='p')
        self.before = self.fake.holds()
        self.fake.refuse('POST compute /v2.1/servers$', 403, 'Boom')
        self.assertTakenBack(
            ['Boom'], port='p', floating_ip=self.mine['floating_ip_address']
        )

    def test_users_port_is_kept(self):
        self.fake.add_port(self.private, name='p')
        self.before = self.fake.holds()
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertTakenBack(['No way'], port='p')

    def test_users_port_that_has_an_address(self):
        """It is used, and still there after a failure and after delete."""
        port = self.fake.add_port(self.private, name='p')
        self.fake.add_floating_ip(self.public, port_id=port['id'])
        self.before = self.fake.holds()
        self.guest.failures['connect'] = errors.HostFailure('No way')
        self.assertTakenBack(['No way'], port='p')
        self.guest.failures.clear()
        self.create(port='p')
        self.assertTrue(self.delete())
        self.assertHolds(self.before)

    def test_kept_on_failure(self):
        self.guest.failures['connect'] = errors.HostFailure('No way')
        raised = self.assertRaises(
            errors.HostFailure, self.create, keep_on_failure=True
        )
        self.assertIn('kept, as asked', str(raised))
        self.assertEqual(2, len(self.fake.things['servers']))
        self.assertTrue(self.local())
        self.guest.failures.clear()
        self.assertTrue(self.delete())
        self.assertHolds(self.before)
        self.assertEqual([], self.local())

    def test_removal_fails_too(self):
        self.fake.refuse('DELETE network /v2.0/floatingips', 500, 'Boom')
        self.guest.failures['connect'] = errors.HostFailure('No way')
        raised = self.assertRaises(errors.HostFailure, self.create)
        for words in ('No way', 'Not all', 'Boom', 'machine delete web1'):
            self.assertIn(words, str(raised))
        self.assertTrue(self.delete())
        self.assertHolds(self.before)
        self.assertEqual([], self.local())

    def test_interrupted_twice(self):
        def interrupt():
            raise KeyboardInterrupt

        self.fake.on('POST compute /v2.1/servers$', interrupt, after=True)
        self.fake.on('DELETE compute', interrupt)
        self.assertRaises(KeyboardInterrupt, self.create)
        self.assertIn('machine delete web1', self.told.warnings[-1])
        self.assertTrue(self.delete())
        self.assertHolds(self.before)

    def test_two_at_once(self):
        with self.files.lock('web1'):
            self.assertRefuses('Another process', self.create)

    def test_group_that_others_use_stays(self):
        self.create('web2')
        self.before = self.fake.holds()
        self.guest.failures['connect'] = errors.HostFailure('No way')
        files = self.local()
        self.assertRaises(errors.HostFailure, self.create)
        self.assertHolds(self.before)
        self.assertEqual(files, self.local())
