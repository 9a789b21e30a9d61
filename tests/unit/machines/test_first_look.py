# SPDX-License-Identifier: Apache-2.0
"""A create asks little at first, and all when the cloud refuses."""

import re

from dockermachine_osc import errors
from tests.unit import workbench

FLOATING = 'PUT network .*/floatingips/'
SERVER = 'POST compute .*/servers$'
#: Neutron's words of an address that nothing leads to.
UNREACHABLE = 'External network is not reachable from subnet'
#: What a simple create asks the services, besides their versions.
LOOKS = [
    'GET compute /v2.1/flavors/detail',
    'GET compute /v2.1/servers/detail',
    'GET image /v2/images',
    'GET network /v2.0/networks',
    'GET network /v2.0/ports',
    'GET network /v2.0/security-groups',
]


class TestFirstLook(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.before = self.fake.holds()

    def looks(self):
        """Give what was asked before anything was made."""
        made = self.fake.log.index(self.fake.mutations()[0])
        versions = re.compile(r'\S+ \S+ (/v[0-9.]*)?/?$|\S+ identity')
        asked = [x for x in self.fake.log[:made] if not versions.match(x)]
        return sorted(asked)

    def asked(self, what):
        return any(line.endswith(f'/{what}') for line in self.fake.log)

    def test_simple(self):
        self.create(image='debian-12')
        self.assertEqual(LOOKS, self.looks())
        for what in ('routers', 'subnets', 'limits', 'details'):
            self.assertFalse(self.asked(what), what)

    def test_all_of_it(self):
        """Ten requests, and two to log in, where all is known and there."""
        self.cloud.remember(self.folder)
        self.create('web0', image='debian-12')
        self.fake.log.clear()
        self.create('web1', image='debian-12')
        made = self.fake.log.index('POST compute /v2.1/servers')
        polls = re.compile(r'GET compute .*/servers/detail|.*/action$')
        later = [x for x in self.fake.log[made:] if not polls.match(x)]
        asked = self.fake.log[:made], later
        self.assertEqual(10, sum(map(len, asked)), asked)

    def test_network_named(self):
        self.fake.add_network('other')
        self.create(network='private')
        self.assertFalse(self.asked('routers'))

    def test_not_simple(self):
        for name, options in {
            'a': {'no_floating_ip': True},
            'b': {'external_network': 'public'},
            'c': {'keep_on_failure': True},
        }.items():
            self.fake.log.clear()
            self.create(name, **options)
            self.assertTrue(self.asked('limits'), options)

    def test_not_clear(self):
        """Two external networks: the routers tell which is meant."""
        self.fake.add_network('public2', external=True)
        self.create()
        self.assertTrue(self.asked('routers'))
        self.assertFalse(self.asked('limits'))

    def test_router_that_leads_nowhere(self):
        """The second look finds that no floating IP is to be had."""
        self.router['external_gateway_info'] = None
        self.fake.refuse(FLOATING, 404, UNREACHABLE)
        made = self.create()
        self.assertEqual({}, self.fake.things['floatingips'])
        self.assertIn('without a floating IP', '\n'.join(self.told.notes))
        self.assertTrue(self.delete())
        self.before = self.before | {'routers': self.fake.things['routers']}
        self.assertHolds(self.before)
        self.assertEqual('running', made.state)

    def test_network_without_a_way_out(self):
        lone = self.fake.add_network('lone')
        self.before = self.fake.holds()
        error = self.assertRaises(
            errors.MachineError, self.create, network='lone'
        )
        self.assertIn("'lone' has no router", str(error))
        self.assertEqual([], self.fake.mutations())
        self.assertTrue(lone)

    def test_quota(self):
        """What Nova refuses is told with all that there is no room for."""
        self.fake.limits |= {'instances': 0, 'cores': 0}
        self.fake.refuse(SERVER, 403, 'Quota exceeded for instances')
        error = self.assertRaises(errors.QuotaExceeded, self.create)
        for words in ('instances: 1 needed, 0 of 0', 'cores: 1 needed'):
            self.assertIn(words, str(error))
        self.assertHolds(self.before)
        self.assertEqual([], self.local())

    def test_refused_again(self):
        """What the second look does not explain is told as it was said."""
        self.fake.refuse(SERVER, 400, 'No such luck', always=True)
        error = self.assertRaises(errors.CloudFailure, self.create)
        for words in ('was not created', 'No such luck', 'Removed again: '):
            self.assertIn(words, str(error))
        self.assertEqual(1, self.fake.log.count('POST compute /v2.1/servers'))
        self.assertHolds(self.before)

    def test_refused_and_something_is_left(self):
        """No second attempt: what the first has left would be forgotten."""
        self.router['external_gateway_info'] = None
        self.fake.refuse(FLOATING, 404, UNREACHABLE)
        self.fake.refuse('DELETE network', 403, 'Never', always=True)
        error = self.assertRaises(errors.CloudFailure, self.create)
        self.assertIn('delete web1', str(error))
        self.assertFalse(self.asked('routers'))
        self.fake.forget_hooks()
        self.assertTrue(self.delete())
        self.assertEqual([], self.local())

    def test_broken_is_not_refused(self):
        self.fake.refuse(SERVER, 500, 'Boom', always=True)
        self.assertRaises(errors.CloudFailure, self.create)
        self.assertFalse(self.asked('routers'))


class TestGroup(workbench.MachinesTestCase):
    def test_taken_away_while_the_port_was_made(self):
        """Somebody deletes the last machine that had the group."""

        def delete():
            (group,) = self.fake.things['security-groups']
            del self.fake.things['security-groups'][group]
            for port in self.fake.things['ports'].values():
                port['security_groups'] = []

        self.fake.on('POST network .*/ports$', delete, after=True)
        record = self.create().server.record
        (group,) = self.fake.things['security-groups']
        self.assertEqual(group, record.security_group_id)
        port = self.fake.things['ports'][record.port_id]
        self.assertEqual([group], port['security_groups'])
        self.assertIn('was deleted meanwhile', '\n'.join(self.told.notes))
        self.assertTrue(self.delete())
        self.assertEqual({}, self.fake.things['security-groups'])

    def test_still_there(self):
        self.create()
        self.assertNotIn('deleted meanwhile', '\n'.join(self.told.notes))
