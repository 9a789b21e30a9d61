# SPDX-License-Identifier: Apache-2.0
"""Flavors are asked for once an hour, and when they do not fit."""

import json
import os
import stat
import time

from dockermachine_osc import errors
from dockermachine_osc.cloud import Cloud
from tests.unit import workbench

QUESTION = 'GET compute /v2.1/flavors/detail'


class TestFlavors(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / 'flavors.json'
        self.assertEqual('m1.small', self.chosen())
        self.assertIn(QUESTION, self.fake.log)

    def plan(self, *, thorough=False, **options):
        """Plan in what is a new process to the cloud."""
        cloud = Cloud(self.fake.connect())
        cloud.remember(self.folder)
        self.fake.log.clear()
        return cloud.plan([workbench.request(**options)], thorough=thorough)

    def chosen(self, **options):
        return self.plan(**options).flavor.resource.name

    def test_kept(self):
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))
        before = self.path.stat().st_mtime_ns
        for flavor in ('', 'm1.small', self.flavor['id']):
            self.assertEqual('m1.small', self.chosen(flavor=flavor))
            self.assertNotIn(QUESTION, self.fake.log)
        self.assertEqual(before, self.path.stat().st_mtime_ns)

    def test_one_that_is_new(self):
        self.fake.add_flavor('m1.new')
        self.assertEqual('m1.new', self.chosen(flavor='m1.new'))
        self.assertEqual('m1.new', self.chosen(flavor='m1.new'))
        self.assertNotIn(QUESTION, self.fake.log)

    def test_one_that_never_was(self):
        self.assertRaises(errors.NotFound, self.chosen, flavor='m1.nano')
        self.assertIn(QUESTION, self.fake.log)

    def test_a_closer_look(self):
        self.assertEqual('m1.small', self.chosen(thorough=True))
        self.assertIn(QUESTION, self.fake.log)

    def test_where_the_cloud_is_asked_for_all(self):
        """There is no second look then."""
        self.plan(keep_on_failure=True)
        self.assertIn(QUESTION, self.fake.log)

    def test_an_hour_later(self):
        then = time.time() - 3601
        os.utime(self.path, (then, then))
        self.chosen()
        self.assertIn(QUESTION, self.fake.log)
        self.chosen()
        self.assertNotIn(QUESTION, self.fake.log)

    def test_damaged(self):
        (row,) = json.loads(self.path.read_text())
        for text in (
            '',
            '{}',
            '[{',
            '[]',
            json.dumps([None]),
            json.dumps([row, {}]),
            json.dumps([row | {'ram': '512'}]),
            json.dumps([row | {'more': 1}]),
        ):
            self.path.write_text(text)
            self.assertEqual('m1.small', self.chosen(), text)
            self.assertIn(QUESTION, self.fake.log)

    def test_cannot_be_written(self):
        self.path.unlink()
        self.path.mkdir()
        self.assertEqual('m1.small', self.chosen())

    def test_replaced_by_another_of_that_name(self):
        """Nova refuses the old one; a closer look finds the new one."""
        self.cloud.remember(self.folder)
        del self.fake.things['flavors'][self.flavor['id']]
        new = self.fake.add_flavor('m1.small')
        refusal = 'Flavor could not be found.'
        self.fake.refuse('POST compute .*/servers$', 400, refusal)
        made = self.create(flavor='m1.small')
        self.assertEqual('running', made.state)
        self.assertEqual(new['id'], self.fake.booted[-1]['flavorRef'])
        self.assertEqual(1, len(self.fake.things['servers']))

    def test_deleted(self):
        self.cloud.remember(self.folder)
        del self.fake.things['flavors'][self.flavor['id']]
        self.fake.add_flavor('m1.other')
        before = self.fake.holds()
        refusal = 'Flavor could not be found.'
        self.fake.refuse('POST compute .*/servers$', 400, refusal)
        error = self.assertRaises(
            errors.NotFound, self.create, flavor='m1.small'
        )
        self.assertIn("'m1.small'", str(error))
        self.assertHolds(before)
