# SPDX-License-Identifier: Apache-2.0
"""Two projects, one name: each command means the one that is named.

One of the two is used with an application credential throughout.
"""

from __future__ import annotations

import typing

from tests.functional import base, devcloud

DEMO, DEMO_BY_PASSWORD = 'devcloud-appcred', 'devcloud'
TIGHT = 'devcloud-tight'


class TwoProjectsTest(base.FunctionalTest):
    def test_same_name_in_two_projects(self) -> None:
        self.tight_project()
        self.machine = self.name('twin', DEMO)
        self.addCleanup(devcloud.clean, TIGHT, self.machine)
        self._create_both()
        for cloud in (DEMO, TIGHT):
            self._listed_and_shown(cloud)
            self._env_leads_to_its_own(cloud)
        self._other_users_of_the_project()
        self._other_certificate_is_refused()
        self._deleted_one_by_one()

    def _create_both(self) -> None:
        """Both at the same time, from one workstation."""
        options = ('--image', base.DOCKER_IMAGE, '-f', 'json')
        running = {
            cloud: self.here.start(
                'create', self.machine, *options, cloud=cloud
            )
            for cloud in (DEMO, TIGHT)
        }
        for process in running.values():
            self.addCleanup(process.kill)
        done = {cloud: process.wait() for cloud, process in running.items()}
        for result in done.values():
            self.assertEqual(0, result.code, result)
        self.machines: dict[str, dict[str, typing.Any]] = {
            cloud: result.json for cloud, result in done.items()
        }
        contexts = {m['docker_context'] for m in self.machines.values()}
        self.assertEqual(2, len(contexts))
        self.assertIn(self.machine, contexts)
        self.assertEqual(contexts | {'default'}, set(self.here.contexts()))

    def _listed_and_shown(self, cloud: str) -> None:
        listed = self.here.machine('list', '-f', 'json', cloud=cloud).json
        own = self.machines[cloud]
        rows = [r['ID'] for r in listed if r['Name'] == self.machine]
        self.assertEqual([own['id']], rows)
        shown = self.here.machine(
            'show', self.machine, '-f', 'json', cloud=cloud
        ).json
        self.assertEqual(own['id'], shown['id'])
        self.assertEqual(own['url'], shown['url'])

    def _env_leads_to_its_own(self, cloud: str) -> None:
        env = self.here.machine('env', self.machine, cloud=cloud).out
        self.assertIn(f'"{self.machines[cloud]["url"]}"', env)
        script = f'{env}\ndocker info -f "{{{{.ID}}}}"'
        by_env = self.here.run('sh', '-euc', script).out
        by_context = self.here.docker(
            *('--context', self.machines[cloud]['docker_context']),
            *('info', '-f', '{{.ID}}'),
        ).out
        self.assertEqual(by_context, by_env)

    def _other_users_of_the_project(self) -> None:
        """A password in place of the credential, and a colleague."""
        own = self.machines[DEMO]
        for cloud in (DEMO_BY_PASSWORD, 'devcloud-alice'):
            shown = self.here.machine(
                'show', self.machine, '-f', 'json', cloud=cloud
            ).json
            self.assertEqual(own['id'], shown['id'])
        env = self.here.machine(
            'env', self.machine, cloud=DEMO_BY_PASSWORD
        ).out
        self.assertIn(own['url'], env)

    def _other_certificate_is_refused(self) -> None:
        """The CA of one machine lets nobody in to another."""
        folders = {
            cloud: machine['local_files']
            for cloud, machine in self.machines.items()
        }
        done = self.here.docker(
            *('-H', self.machines[DEMO]['url'], '--tlsverify'),
            *('--tlscacert', f'{folders[DEMO]}/ca.pem'),
            *('--tlscert', f'{folders[TIGHT]}/cert.pem'),
            *('--tlskey', f'{folders[TIGHT]}/key.pem', 'ps'),
            code=None,
        )
        self.assertNotEqual(0, done.code)
        self.assertRegex(done.err, base.REFUSED)
        self.assertEqual('', done.out)

    def _deleted_one_by_one(self) -> None:
        self.here.machine('delete', self.machine, cloud=TIGHT)
        self.assertEqual([], devcloud.belongings(TIGHT, self.machine))
        gone = self.machines[TIGHT]['docker_context']
        self.assertNotIn(gone, self.here.contexts())
        self._env_leads_to_its_own(DEMO)
        self.here.machine('delete', self.machine, cloud=DEMO)
        self.assertNothingLeft(self.machine)
