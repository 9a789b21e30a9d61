# SPDX-License-Identifier: Apache-2.0
"""The proxy and the judge: is what the matrix rests on as it says?"""

from __future__ import annotations

import signal
import tempfile
import threading
from pathlib import Path

import fixtures
import requests
from oslotest import base

from tests.faults import calls, matrix, standin
from tests.faults.calls import Call
from tests.faults.faults import FAULTS
from tests.faults.proxy import Plan

ID = '0d0df0d4-7e0a-4b0e-9f8e-0a9d5a3c9f11'
SERVERS = Call('POST compute /v2.1/servers', 1)


class TestCalls(base.BaseTestCase):
    def test_kind(self) -> None:
        for path, body, expected in (
            (f'/v2.1/servers/{ID}', b'', '/v2.1/servers/*'),
            ('/v2.0/ports?name=a&limit=1', b'', '/v2.0/ports?limit&name'),
            (f'/quotas/{"a" * 32}/details', b'', '/quotas/*/details'),
            (
                f'/servers/{ID}/action',
                b'{"os-stop": null}',
                '/servers/*/action os-stop',
            ),
        ):
            found = calls.kind('GET', 'compute', path, body)
            self.assertEqual(f'GET compute {expected}', found)

    def test_occurrences(self) -> None:
        counter = calls.Counter()
        told = [str(counter.next(kind)) for kind in ('a', 'b', 'a')]
        self.assertEqual(['a', 'b', 'a #2'], told)


class TestProxy(base.BaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        home = self.useFixture(fixtures.TempDir()).path
        self.world = standin.World(Path(home) / 'home')

    def start(self, call: Call | None = None, fault: str = '') -> str:
        plan = Plan(call, FAULTS[fault]) if call else None
        self.proxy = self.world.proxy(plan)
        self.addCleanup(self.proxy.stop)
        self.proxy.start()
        return self.proxy.auth_url

    def token(self, url: str) -> requests.Response:
        return requests.post(f'{url}/auth/tokens', json={}, timeout=10)

    def test_every_call_passes_here(self) -> None:
        url = self.start()
        here = url.rpartition('/keystone.test')[0]
        catalog = self.token(url).json()['token']['catalog']
        urls = [e['endpoints'][0]['url'] for e in catalog]
        self.assertEqual(5, len(urls))
        for found in urls:
            self.assertTrue(found.startswith(f'{here}/'), found)
        nova = next(u for u in urls if '/nova.test/' in u)
        links = requests.get(nova, timeout=10).json()['version']['links']
        self.assertTrue(links[0]['href'].startswith(f'{here}/nova.test'))
        self.assertEqual(
            ['POST identity /v3/auth/tokens', 'GET compute /v2.1'],
            [str(e.call) for e in self.proxy.exchanges],
        )

    def test_answers(self) -> None:
        call = Call('GET identity /v3', 2)
        url = self.start(call, '429')
        codes = [requests.get(url, timeout=10).status_code for _ in range(3)]
        self.assertEqual([200, 429, 200], codes)

    def test_for_ever(self) -> None:
        url = self.start(Call('GET identity /v3', 1), '503 for ever')
        codes = [requests.get(url, timeout=10).status_code for _ in range(3)]
        self.assertEqual([503, 503, 503], codes)
        self.assertEqual(201, self.token(url).status_code)

    def test_resets(self) -> None:
        call = Call('POST identity /v3/auth/tokens', 1)
        for fault, status in (('reset before', 0), ('reset after', 201)):
            url = self.start(call, fault)
            self.assertRaises(
                requests.exceptions.ConnectionError, self.token, url
            )
            self.assertEqual(status, self.proxy.exchanges[0].status)

    def test_token_expires(self) -> None:
        url = self.start(Call('GET compute /v2.1', 2), 'expired token')
        nova = url.replace('keystone.test/v3', 'nova.test/v2.1')
        codes = []
        for _ in range(2):
            token = self.token(url).headers['X-Subject-Token']
            for _ in range(3):
                headers = {'X-Auth-Token': token}
                got = requests.get(nova, headers=headers, timeout=10)
                codes.append(got.status_code)
        self.assertEqual([200, 401, 401, 200, 200, 200], codes)


class TestJudge(base.BaseTestCase):
    """A matrix that finds nothing must be one that would have found it."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def stage(self, command: str) -> matrix.Stage:
        return matrix.Stage(matrix.scenes.SCENES[command], Path(self.folder))

    def replace(self, name: str, new: object) -> None:
        path = f'dockermachine_osc.{name}'
        self.useFixture(fixtures.MonkeyPatch(path, new))

    def test_leak_after_ctrl_c(self) -> None:
        stage = self.stage('create')
        self.replace(
            'machines.removal.remove_from_cloud', lambda *arguments: []
        )
        cell = stage.cell(SERVERS, FAULTS['SIGINT after'])
        self.assertEqual('interrupted+!', cell.outcome)
        self.assertIn('servers: new: ', cell.problem)

    def test_made_twice(self) -> None:
        stage = self.stage('create')
        self.replace('cloud.patience.made_once', _twice)
        cell = stage.cell(SERVERS, FAULTS['reset after'])
        self.assertIn('made more than once', cell.problem)

    def test_success_that_is_none(self) -> None:
        stage = self.stage('delete')
        self.replace('machines.removal.remove_from_cloud', lambda *a: [])
        call = Call('GET compute /v2.1/servers/detail?name&tags', 1)
        cell = stage.cell(call, FAULTS['429'])
        self.assertEqual('ready', cell.word)
        self.assertIn("'servers': 1", cell.problem)

    def test_nobody_killed_it(self) -> None:
        stage = self.stage('delete')
        self.replace(
            'machines.deletion.Deletion.delete',
            lambda *a, **k: signal.raise_signal(signal.SIGKILL),
        )
        call = Call('GET compute /v2.1/servers/detail?name&tags', 1)
        cell = stage.cell(call, FAULTS['429'])
        self.assertIn('killed, by nobody', cell.problem)

    def test_hangs_after_ctrl_c(self) -> None:
        """It is ended, which must not look as if the signal had done it."""
        stage = self.stage('create')
        self.useFixture(fixtures.MonkeyPatch('tests.faults.matrix._LIMIT', 2))
        self.replace(
            'machines.removal.remove_from_cloud',
            lambda *arguments: threading.Event().wait(),
        )
        cell = stage.cell(SERVERS, FAULTS['SIGINT after'])
        self.assertIn('did not end within 2 s', cell.problem)
        self.assertIn('in _take_back', cell.problem)


def _twice(make, find):  # type: ignore[no-untyped-def]
    try:
        return make()
    except matrix.errors.CloudFailure:
        return make()
