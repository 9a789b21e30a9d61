# SPDX-License-Identifier: Apache-2.0
"""A create that was killed: prune finds it from any workstation."""

from __future__ import annotations

import signal
import time

from tests.functional import base, devcloud


class PruneTest(base.FunctionalTest):
    """In the project that no other test uses at this time."""

    def test_killed_create(self) -> None:
        self.cloud = self.tight_project()
        before = devcloud.holdings(self.cloud)
        self._kill()
        elsewhere = self.workstation()
        young = elsewhere.machine('prune', '-f', 'json', cloud=self.cloud).json
        self.assertEqual([], young)
        # Neutron tells whole seconds.
        time.sleep(1)
        prune = ('prune', '--older-than', '1', '-f', 'json')
        listed = elsewhere.machine(*prune, '--dry-run', cloud=self.cloud).json
        kinds = {row['Kind'] for row in listed}
        self.assertLessEqual({'server', 'port', 'floating IP'}, kinds)
        self.assertEqual({False}, {row['Removed'] for row in listed})
        self.assertNotEqual(before, devcloud.holdings(self.cloud))
        gone = elsewhere.machine(*prune, cloud=self.cloud).json
        self.assertEqual({True}, {row['Removed'] for row in gone})
        self.assertEqual(before, devcloud.holdings(self.cloud))
        self.assertEqual([], elsewhere.machine(*prune, cloud=self.cloud).json)

    def _kill(self) -> None:
        """Kill a create as soon as it has made a server."""
        name = self.name('killed', self.cloud)
        running = self.here.start(
            'create', name, '--image', base.DOCKER_IMAGE, cloud=self.cloud
        )
        self.addCleanup(running.kill)
        devcloud.wait_for(
            'a server',
            lambda: f'server {name}' in devcloud.belongings(self.cloud, name),
        )
        running.signal(signal.SIGKILL)
        self.assertEqual(-signal.SIGKILL, running.wait().code)
