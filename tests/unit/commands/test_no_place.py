# SPDX-License-Identifier: Apache-2.0
"""A workstation where nothing can be written."""

from tests.unit.commands import shell


class NoPlaceTest(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        # Not even root makes folders in there.
        self.setenv('DOCKER_MACHINE_OSC_HOME', '/sys/nowhere')

    def test_what_the_cloud_knows_is_shown(self):
        self.succeeds('list')

    def test_create(self):
        self.fails(
            1, ['/sys/nowhere', 'DOCKER_MACHINE_OSC_HOME'], 'create', 'a'
        )
        self.assertEqual([], self.fake.mutations())

    def test_env(self):
        self.fails(1, 'has no keys on this workstation', 'env', 'a')
