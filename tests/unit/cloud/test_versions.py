# SPDX-License-Identifier: Apache-2.0
"""Services are asked for their versions once a day."""

import json
import os
import re
import stat
import time

from dockermachine_osc import errors
from dockermachine_osc.cloud import Cloud
from tests.unit import workbench

#: A request for a service's versions: to its root, or its root's version.
VERSIONS = re.compile(r'GET (compute|image) (/v[0-9.]+)?/?$')


class TestVersions(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / 'versions.json'
        self.asked_anew = self.asked()
        self.assertEqual(2, self.asked_anew)

    def asked(self):
        """Plan in what is a new process to the cloud; count the questions."""
        cloud = Cloud(self.fake.connect())
        cloud.remember(self.folder)
        self.fake.log.clear()
        cloud.plan([workbench.request()])
        return sum(bool(VERSIONS.match(line)) for line in self.fake.log)

    def test_kept(self):
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))
        before = self.path.stat().st_mtime_ns
        self.assertEqual(0, self.asked())
        self.assertEqual(before, self.path.stat().st_mtime_ns)

    def test_a_list_keeps_those_of_nova(self):
        self.path.unlink()
        cloud = Cloud(self.fake.connect())
        cloud.remember(self.folder)
        cloud.machines()
        self.assertEqual(1, len(json.loads(self.path.read_text())))
        self.assertEqual(1, self.asked())
        self.assertEqual(2, len(json.loads(self.path.read_text())))

    def test_a_day_later(self):
        then = time.time() - 86401
        os.utime(self.path, (then, then))
        self.assertEqual(2, self.asked())
        self.assertEqual(0, self.asked())

    def test_from_the_future(self):
        then = time.time() + 3600
        os.utime(self.path, (then, then))
        self.assertEqual(2, self.asked())

    def test_another_cloud(self):
        said = json.loads(self.path.read_text())
        moved = {f'http://elsewhere.test/{n}': v for n, v in enumerate(said)}
        self.path.write_text(json.dumps(moved))
        self.assertEqual(2, self.asked())

    def test_damaged(self):
        url = next(iter(json.loads(self.path.read_text())))
        for text in (
            '',
            '[]',
            '{"x":',
            json.dumps({url: None}),
            json.dumps({url: [1, 'x']}),
            json.dumps({url: [{'id': 3}]}),
            json.dumps({url: {}}),
        ):
            self.path.write_text(text)
            self.assertLessEqual(1, self.asked(), text)

    def test_cannot_be_written(self):
        self.path.unlink()
        self.path.mkdir()
        self.assertEqual(2, self.asked())

    def test_cloud_that_went_back(self):
        words = 'Version 2.104 is not supported by the API'
        self.fake.refuse('GET compute .*/flavors/detail', 406, words)
        cloud = Cloud(self.fake.connect())
        error = self.assertRaises(
            errors.CloudFailure, cloud.plan, [workbench.request()]
        )
        self.assertIn('versions.json', str(error))
