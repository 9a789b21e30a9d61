# SPDX-License-Identifier: Apache-2.0
"""Several machines by one command, each with keys of its own."""

from __future__ import annotations

import typing

from tests.functional import base, devcloud


class FleetTest(base.FunctionalTest):
    def test_create_stop_start_delete(self) -> None:
        stem = self.name('fleet')
        names = [f'{stem}-{number}' for number in (1, 2, 3)]
        for name in names:
            self.addCleanup(devcloud.clean, 'devcloud', name)
        create = ('create', stem, '--count', '3', '-f', 'json')
        made = self.here.machine(*create, '--image', base.DOCKER_IMAGE).json
        self.assertEqual(names, [row['Name'] for row in made])
        shown = [
            self.here.machine('show', n, '-f', 'json').json for n in names
        ]
        self._share_the_group_alone(shown)
        self._refuse_each_other(*shown[:2])
        self.here.machine('stop', *names)
        listed = self.here.machine('list', '--name', stem, '-f', 'json').json
        self.assertEqual(['stopped'] * 3, [row['State'] for row in listed])
        self.here.machine('start', *names)
        for name in names:
            told = self.here.docker(
                '--context', name, 'info', '-f', '{{.Name}}'
            )
            self.assertEqual(name, told.out.strip())
        self.here.machine('delete', *names)
        for name in names:
            self.assertEqual([], devcloud.belongings('devcloud', name))
            self.assertEqual([], self.here.traces(name))

    def _share_the_group_alone(self, shown: list[typing.Any]) -> None:
        for kind, count in (
            ('security_group_id', 1),
            ('floating_ip_id', 3),
            ('port_id', 3),
        ):
            self.assertEqual(count, len({m['owned'][kind] for m in shown}))

    def _refuse_each_other(self, one: typing.Any, other: typing.Any) -> None:
        keys = one['local_files']
        docker = (
            '--tlsverify',
            f'--tlscacert={other["local_files"]}/ca.pem',
            f'--tlscert={keys}/cert.pem',
            f'--tlskey={keys}/key.pem',
        )
        self.here.docker(*docker, '-H', other['url'], 'version', code=1)
