# SPDX-License-Identifier: Apache-2.0
"""The extension as a part of `openstack`."""

from __future__ import annotations

from tests.functional import base

VERBS = ('create', 'delete', 'env', 'list', 'show')


class ProgramTest(base.FunctionalTest):
    def test_help(self) -> None:
        done = self.here.run('openstack', 'help', 'docker', 'machine')
        for verb in VERBS:
            self.assertIn(f'  docker machine {verb}\n', done.out)
        one = self.here.run('openstack', 'docker', 'machine', 'list', '--help')
        self.assertIn('List the machines of the project', one.out)
        self.assertEqual('', one.err)

    def test_other_commands_are_left_alone(self) -> None:
        done = self.here.openstack('server', 'list', '-f', 'json')
        self.assertEqual('', done.err)
        self.assertIsInstance(done.json, list)

    def test_empty_list(self) -> None:
        """In a project that never has a machine: the administrator's own."""
        done = self.here.machine('list', '-f', 'json', cloud='devcloud-admin')
        self.assertEqual('', done.err)
        self.assertEqual([], done.json)

    def test_wrong_password(self) -> None:
        self.here.configure('devcloud', password='wrong')
        said = self.refused('list')
        self.assertIn('HTTP 401', said)
