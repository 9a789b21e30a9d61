# SPDX-License-Identifier: Apache-2.0
"""Twenty creates, each on its own, in one process at once."""

import concurrent.futures

from dockermachine_osc import chains, errors, store
from dockermachine_osc.cloud import groups
from tests.unit import workbench
from tests.unit.fakecloud.answers import Refused

NAMES = [f'web{number}' for number in range(20)]


class TestThreads(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.fake.limits = {'instances': 40, 'cores': 40, 'ram': 1 << 20}
        self.before = self.fake.holds()

    def all(self, call):
        with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
            return list(pool.map(call, NAMES))

    def test_twenty(self):
        made = self.all(self.create)
        self.assertEqual({'running'}, {m.state for m in made})
        self.assertEqual(NAMES, [m.context for m in made])
        for facts in 'id', 'address', 'ca_fingerprint', 'client_fingerprint':
            found = {getattr(m.server.record, facts) for m in made}
            self.assertEqual(len(NAMES), len(found), facts)
        for name in NAMES:
            folder = self.files.machine(name)
            chains.check(
                *(folder.read(f) for f in (store.CA, store.CERT, store.KEY))
            )
        # One or more of the same rules; the quota is not in the way.
        kept = self.fake.things['security-groups'].values()
        self.assertEqual(1, len({g['name'] for g in kept}))
        self.all(self.delete)
        self.assertHolds(self.before)
        self.assertEqual([], self.local())


class TestQuota(workbench.MachinesTestCase):
    def test_used_up_by_those_who_make_the_same(self):
        """A project may have ten groups, and twenty people begin at once."""

        def refuse():
            self.theirs = self.fake.add_group(rules.group_name, description)
            raise Refused(409, "Quota exceeded: ['security_group']")

        rules = groups.Rules.of([groups.EVERYWHERE], [22, 2376])
        description = f'{groups.DESCRIPTION_PREFIX}{rules}'
        self.fake.on('POST network .*/security-groups', refuse)
        machine = self.create()
        self.assertEqual(
            self.theirs['id'], machine.server.record.security_group_id
        )
        self.assertEqual(2, len(self.theirs['security_group_rules']))

    def test_used_up_by_others(self):
        before = self.fake.holds()
        self.fake.refuse(
            'POST network .*/security-groups', 409, 'Quota exceeded'
        )
        error = self.assertRaises(errors.CloudFailure, self.create)
        self.assertIn('Quota exceeded', str(error))
        self.assertHolds(before)
