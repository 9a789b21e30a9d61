# SPDX-License-Identifier: Apache-2.0
"""Several machines made at once."""

import os
import signal
import threading
import time

from dockermachine_osc import errors, report
from tests.unit import workbench

NAMES = [f'web{number}' for number in range(1, 9)]


class TestFleet(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.before = self.fake.holds()

    def create_all(self, names=NAMES, most=8, **options):
        return self.machines.create(
            [workbench.request(name, **options) for name in names],
            self.told,
            lambda name: report.Named(self.told, name),
            most,
        )

    def delete_all(self, names=NAMES):
        for name in names:
            self.machines.delete(name, 300)

    def assertRefused(self, words, error=errors.InvalidRequest, **options):
        raised = self.assertRaises(error, self.create_all, **options)
        self.assertIn(words, str(raised))
        self.assertEqual([], self.fake.mutations())
        self.assertEqual([], self.local())
        return raised

    def test_all_are_ready(self):
        made = self.create_all()
        self.assertEqual(NAMES, list(made))
        for name, machine in made.items():
            self.assertEqual(
                (name, 'running'), (machine.server.name, machine.state)
            )
            self.assertEqual(name, machine.context)
        self.delete_all()
        self.assertHolds(self.before)

    def test_each_has_what_is_its_own(self):
        made = self.create_all().values()
        for own in (
            lambda m: m.server.record.floating_ip_id,
            lambda m: m.server.record.port_id,
            lambda m: m.server.record.id,
            lambda m: m.server.record.ca_fingerprint,
            lambda m: (m.folder.path / 'key.pem').read_bytes(),
        ):
            self.assertEqual(len(NAMES), len(set(map(own, made))))

    def test_one_login_one_survey_one_group(self):
        self.fake.log.clear()
        self.create_all()
        for line in (
            'POST network /v2.0/security-groups',
            'GET compute /v2.1/flavors/detail',
            'GET network /v2.0/networks',
            'GET image /v2/images',
        ):
            self.assertEqual(1, self.fake.log.count(line), line)
        logins = [line for line in self.fake.log if '/auth/tokens' in line]
        self.assertEqual([], logins[1:])

    def test_one_that_fails_does_not_take_the_others_along(self):
        first = threading.Lock()

        def fails(*args, **kwargs):
            if first.acquire(blocking=False):
                raise errors.EngineFailure('It does not run', 'See the log')
            return workbench.FACTS

        self.guest.patch('engine.wait_ready', fails)
        made = self.create_all()
        (failed,) = (
            name
            for name, machine in made.items()
            if isinstance(machine, errors.EngineFailure)
        )
        self.assertIn(f"Machine '{failed}' was not created", str(made[failed]))
        self.assertIn(str(made[failed]), self.told.warnings)
        left = [name for name in NAMES if name != failed]
        servers = self.fake.things['servers'].values()
        self.assertEqual(left, sorted(s['name'] for s in servers))
        self.delete_all(left)
        self.assertHolds(self.before)
        self.assertEqual([], self.local())

    def test_nothing_is_left_when_all_fail(self):
        self.fake.refuse('POST network /v2.0/ports', 403, 'No', always=True)
        made = self.create_all()
        for error in made.values():
            self.assertIsInstance(error, errors.CloudFailure)
        self.assertHolds(self.before)
        self.assertEqual([], self.local())

    def test_the_group_goes_when_no_machine_is_even_begun(self):
        path = self.files.path / 'machines'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('in the way')
        made = self.create_all()
        for error in made.values():
            self.assertIsInstance(error, errors.MachineError)
        self.assertHolds(self.before)

    def test_quota_is_checked_for_all(self):
        self.fake.limits['instances'] = 7
        error = self.assertRefused('8 needed', errors.QuotaExceeded)
        self.assertIn('these 8 machines', str(error))
        self.fake.limits['instances'] = 100
        self.fake.quota['floatingip'] = 7
        self.assertRefused('floating IPs: 8 needed', errors.QuotaExceeded)
        self.fake.quota['floatingip'] = 8
        self.assertEqual(8, len(self.create_all()))

    def test_a_name_that_is_taken(self):
        self.fake.add_server('web5', {}, [])
        self.assertRefused("'web5' exists already", errors.NameTaken)

    def test_a_name_given_twice(self):
        self.assertRefused("'a1' was given 2 times", names=['a1', 'b1', 'a1'])

    def test_what_only_one_can_have(self):
        address = self.fake.add_floating_ip(self.public)
        self.before = self.fake.holds()
        ip = address['floating_ip_address']
        self.assertRefused('--floating-ip', floating_ip=ip)
        self.assertRefused('--port', port='p1')

    def test_the_files_of_one_are_in_use(self):
        with self.files.lock('web3'):
            self.assertRefused('web3', errors.StoreFailure)

    def test_ctrl_c_cleans_up_after_all(self):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        together = threading.Barrier(len(NAMES))

        def interrupted(address, port, folder, deadline):
            if together.wait(30) == 0:
                os.kill(os.getpid(), signal.SIGINT)
            ends = time.monotonic() + 30
            while time.monotonic() < ends:
                next(deadline.polls())
                time.sleep(0.01)

        self.guest.patch('engine.wait_ready', interrupted)
        self.assertRaises(KeyboardInterrupt, self.create_all)
        self.assertHolds(self.before)
        self.assertEqual([], self.local())
        self.assertEqual(len(NAMES), len(self.told.warnings))


class TestDeletes(workbench.MachinesTestCase):
    def test_deletes_side_by_side(self):
        """Whoever is the last takes the group along."""
        before = self.fake.holds()
        machines = [self.create(name) for name in ('a1', 'b1', 'c1')]
        threads = [
            threading.Thread(target=self.delete, args=(m.server.name,))
            for m in machines
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertHolds(before)
        self.assertEqual([], self.local())
