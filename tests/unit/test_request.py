# SPDX-License-Identifier: Apache-2.0
"""What is refused without asking any cloud."""

from pathlib import Path

import fixtures
from oslotest import base

from dockermachine_osc import errors
from dockermachine_osc.request import CreateRequest


class TestRequest(base.BaseTestCase):
    def refuses(self, *expected, name='web1', **options):
        request = CreateRequest(name, **options)
        error = self.assertRaises(errors.InvalidRequest, request.check)
        for words in expected:
            self.assertIn(words, str(error))

    def test_plain(self):
        CreateRequest('web1').check()

    def test_everything(self):
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'key').touch()
        CreateRequest(
            'Web-1.example.org',
            floating_ip='192.0.2.1',
            key_name='mine',
            ssh_key=folder / 'key',
            ssh_user='debian',
            engine_source='https://get.docker.com',
            engine_version='28.2',
            allow_cidrs=('192.0.2.0/24', '192.0.2.7'),
            tls_sans=('web1.example.org', '2001:db8::1'),
            properties={'k': 'v' * 255},
            tags=('a' * 60,),
        ).check()

    def test_names(self):
        for name in ('', '-x', 'x-', 'a b', 'a/b', '..', 'x' * 64, 'ü'):
            self.refuses('name of a machine', name=name)

    def test_contradictions(self):
        for words, options in (
            (
                '--floating-ip',
                {'no_floating_ip': True, 'floating_ip': '192.0.2.1'},
            ),
            (
                '--external-network',
                {'no_floating_ip': True, 'external_network': 'public'},
            ),
            ('--network', {'network': 'n', 'port': 'p'}),
            ('--allow-cidr', {'security_groups': ('g',), 'allow_cidrs': 'x'}),
            ('--port', {'security_groups': ('g',), 'port': 'p'}),
            ('--allow-cidr', {'port': 'p', 'allow_cidrs': ('0.0.0.0/0',)}),
            ('--engine-port', {'engine_port': 22}),
            ('--key-name', {'ssh_key': Path('/etc/hosts')}),
            ('nothing is installed', _engine('image', '28')),
            ('nothing is installed', _engine('none', '28')),
        ):
            self.refuses(words, **options)

    def test_values(self):
        for words, field, *values in (
            (
                '--allow-cidr',
                'allow_cidrs',
                ('x',),
                ('192.0.2.7/24',),
                ('::/0',),
            ),
            (
                '--floating-ip',
                'floating_ip',
                'x',
                '192.0.2.0/24',
                '2001:db8::1',
            ),
            ('--tls-san', 'tls_sans', ('a b',), ('-x',), ('x' * 254,), ('',)),
            ('--tls-san', 'tls_sans', ('a,b',), ('*.example.org',)),
            ('--tag', 'tags', ('',), ('x' * 61,), ('a/b',), ('a,b',)),
            ('--ssh-user', 'ssh_user', '-oProxyCommand=x', 'a b', 'x' * 33),
            ('--engine-source', 'engine_source', 'x', 'ftp://x', 'http://a b'),
            ('--engine-version', 'engine_version', '-y', '1 2', '$(x)'),
            ('own', 'properties', {'docker-machine:id': 'x'}),
            (
                '255',
                'properties',
                {'': 'x'},
                {'x' * 256: ''},
                {'x': 'x' * 256},
            ),
        ):
            for value in values:
                self.refuses(words, **{field: value})

    def test_key_file_that_is_not_there(self):
        self.refuses(
            '/nope: no such file', key_name='mine', ssh_key=Path('/nope')
        )


def _engine(source, version):
    return {'engine_source': source, 'engine_version': version}
