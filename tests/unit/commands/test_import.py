# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine import."""

import fixtures

from tests import docker_machine
from tests.unit.commands import shell
from tests.unit.machines import adopting


class ImportTest(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        self.host = self.useFixture(adopting.Host())
        self.host.failures.clear()
        port = self.fake.add_port(self.private)
        address = self.fake.add_floating_ip(self.public, port_id=port['id'])
        self.address = address['floating_ip_address']
        self.server = self.fake.add_server('web1', ports=[port])
        self.setenv('MACHINE_STORAGE_PATH', None)
        self.tree = docker_machine.Tree(self.home / '.docker' / 'machine')
        shown = self.tree.authority.server('web1', [self.address])
        name = 'dockermachine_osc.engine.shown_certificate'
        self.useFixture(
            fixtures.MonkeyPatch(name, lambda *a: shown.certificate)
        )

    def add(self, name='web1', driver='openstack', **fields):
        key = docker_machine.key_pem(docker_machine.shared_key())
        fields = {'MachineId': self.server['id'], **fields}
        return self.tree.add(
            name, driver, key, IPAddress=self.address, **fields
        )

    def test_table(self):
        self.add()
        self.add('box', 'virtualbox')
        idle = self.fake.add_floating_ip(self.public)['floating_ip_address']
        before = self.fake.holds()
        ran = self.succeeds('import', '--dry-run', '-f', 'json')
        self.assertHolds(before)
        box, web, left = ran.json
        self.assertEqual(
            {
                'Kind': 'machine',
                'Name': 'box',
                'Driver': 'virtualbox',
                'Server': None,
                'Verdict': 'skipped',
                'Why': "machines of driver 'virtualbox' are not taken over",
                'Next': None,
            },
            box,
        )
        self.assertEqual(
            ('web1', 'importable'), (web['Server'], web['Verdict'])
        )
        self.assertEqual(
            ('floating IP', idle, None, 'leftover'),
            (left['Kind'], left['Name'], left['Driver'], left['Verdict']),
        )

    def test_import(self):
        self.add()
        ran = self.succeeds('import', '-c', 'Verdict', '-f', 'value')
        self.assertEqual('imported\n', ran.stdout)
        self.assertIn('web1: imported', ran.stderr)
        self.assertEqual('imported', self._show()['origin'])
        ran = self.succeeds('import', 'web1', '-f', 'json')
        self.assertEqual(['already'], [row['Verdict'] for row in ran.json])

    def _show(self):
        return self.succeeds('show', 'web1', '-f', 'json').json

    def test_path(self):
        self.add()
        moved = self.home / 'elsewhere'
        self.tree.root.rename(moved)
        self.fails(1, '--path', 'import')
        self.succeeds('import', '--path', str(moved), '--dry-run')
        self.setenv('MACHINE_STORAGE_PATH', str(moved))
        self.succeeds('import', '--dry-run')

    def test_exit_codes(self):
        """A refusal fails after the table; so does a name that is skipped."""
        folder = self.add()
        self.add('box', 'virtualbox')
        (folder / 'id_rsa').chmod(0o644)
        ran = self.fails(1, 'Not taken over: web1', 'import', '-f', 'json')
        self.assertEqual('refused', ran.json[1]['Verdict'])
        (folder / 'id_rsa').chmod(0o600)
        self.fails(1, 'Not taken over: box', 'import', 'box', 'web1')
        self.assertEqual('running', self._show()['state'])
        self.fails(1, 'has no machine web9', 'import', 'web9')
