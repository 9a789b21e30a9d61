# SPDX-License-Identifier: Apache-2.0
"""The machine's limits that all guests share."""

import pathlib

import fixtures
from devcloud import guests
from oslotest import base


class RoomTest(base.BaseTestCase):
    def test_only_ever_raised(self):
        folder = self.useFixture(fixtures.TempDir()).path
        limit = pathlib.Path(folder, 'max_user_instances')
        for before, after in (('128', 2048), ('2048', 2048), ('9999', 9999)):
            limit.write_text(f'{before}\n')
            guests.make_room(limit)
            self.assertEqual(after, int(limit.read_text()))
