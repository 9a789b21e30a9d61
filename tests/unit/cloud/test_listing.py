# SPDX-License-Identifier: Apache-2.0
"""Lists of servers, page by page."""

import json

from openstack.compute.v2.server import Server

from dockermachine_osc import record
from dockermachine_osc.cloud import failures, listing, servers
from tests.unit import workbench


class TestPages(workbench.CloudTestCase):
    """The cloud has pages of two servers."""

    def setUp(self):
        super().setUp()
        self.ids = [
            self.fake.add_server(f'm{n}', tags=[record.TAG])['id']
            for n in range(5)
        ]
        self.markers = []
        self.next = {'rel': 'next', 'href': 'http://elsewhere.test/'}

    def pages(self, answer=None):
        whole = self.fake._answer_servers

        def paged(request, *ids):
            status, body = whole(request, *ids)
            marker = request.qs.get('marker', [None])[0]
            self.markers.append(marker)
            begin = self.ids.index(marker) + 1 if marker else 0
            begin = 0 if answer == 'no markers' else begin
            page = body['servers'][begin : begin + 2]
            if len(page) < 2:
                return status, {'servers': page}
            return status, {'servers': page, 'servers_links': [self.next]}

        self.fake._answer_servers = paged

    def read(self, **filters):
        found = listing.servers(self.cloud._connection, filters)
        return [server['id'] for server in found]

    def test_follows_by_marker_and_nowhere_else(self):
        self.pages()
        self.assertEqual(self.ids, self.read())
        self.assertEqual([None, self.ids[1], self.ids[3]], self.markers)

    def test_an_empty_last_page(self):
        self.fake.things['servers'].pop(self.ids.pop())
        self.pages()
        self.assertEqual(self.ids, self.read())
        self.assertEqual(3, len(self.markers))

    def test_a_cloud_without_markers_ends(self):
        self.pages('no markers')
        self.read()
        self.assertEqual(2, len(self.markers))

    def test_filters_go_along_to_each_page(self):
        self.pages()
        self.cloud.machines(name='m')
        lists = [q for q in self.fake.queries if '/servers/detail' in q]
        self.assertEqual(3, len(lists))
        for query in lists:
            self.assertIn('tags=docker-machine', query)
            self.assertIn('name=m', query)

    def test_one_page_is_one_call(self):
        before = len(self.fake.log)
        self.assertEqual(5, len(self.cloud.machines()))
        calls = [c for c in self.fake.log[before:] if 'servers' in c]
        self.assertEqual(['GET compute /v2.1/servers/detail'], calls)

    def found(self, wanted):
        """Give the ids of what fits, and what Nova was asked for that."""
        before = len(self.fake.queries)
        ids = [m.id for m in self.cloud.find(wanted)]
        asked = [q for q in self.fake.queries[before:] if '/servers/' in q]
        return ids, [q.partition('?')[2] for q in asked]

    def test_one_is_looked_for_by_its_name(self):
        query = 'name=m%5C.1&tags=docker-machine'
        self.assertEqual(([], [query]), self.found('m.1'))
        query = 'name=m1&tags=docker-machine'
        self.assertEqual(([self.ids[1]], [query]), self.found('m1'))

    def test_ids_are_looked_for_among_all(self):
        machine_id = record.new_machine_id()
        facts = record.Record(id=machine_id)
        server = self.fake.add_server(
            'm9', facts.to_metadata(), tags=[record.TAG]
        )
        for wanted in (machine_id, server['id']):
            found, (query,) = self.found(wanted)
            self.assertEqual([server['id']], found)
            self.assertEqual('tags=docker-machine', query)

    def test_an_answer_that_is_none(self):
        self.fake._answer_servers = lambda *_: (200, {'server': []})
        self.assertRaises(failures.ApiError, self.cloud.machines)

    def test_refused(self):
        self.fake.refuse('GET compute .*/servers/detail', 403)
        raised = self.assertRaises(failures.ApiError, self.cloud.machines)
        self.assertEqual(403, raised.status)


class TestTheSame(workbench.CloudTestCase):
    """A server is the same, whether the SDK has read it or we have."""

    def test_same(self):
        facts = record.Record(id=record.new_machine_id(), address='10.0.0.7')
        places = [
            {'addr': '10.0.0.7', 'version': 4, 'OS-EXT-IPS:type': 'floating'},
            {'addr': '10.20.0.7', 'version': 4},
        ]
        body = self.fake.add_server(
            'web1',
            facts.to_metadata(),
            [record.TAG, 'mine'],
            key_name='key',
            addresses={'private': places},
            fault={'code': 500, 'message': 'No valid host'},
            **{'OS-EXT-STS:task_state': 'deleting'},
        )
        for more in ({}, {'image': ''}, {'flavor': {}}, {'fault': None}):
            shown = json.loads(json.dumps(body | more))
            ours = servers.from_nova(shown)
            self.assertEqual(ours, servers.from_sdk(Server.existing(**shown)))
            self.assertEqual('10.0.0.7', ours.record.address)
            self.assertEqual(('10.0.0.7',), ours.floating)
            self.assertEqual('deleting', ours.task)
