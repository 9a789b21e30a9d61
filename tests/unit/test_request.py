# SPDX-License-Identifier: Apache-2.0
"""What is refused without asking any cloud."""

from pathlib import Path

import fixtures
from oslotest import base

from dockermachine_osc import errors
from dockermachine_osc.nics import Nic
from dockermachine_osc.request import CreateRequest

PORTS = (Nic(port='p'), Nic(port='q'))


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
            allow_cidrs=('192.0.2.0/24', '192.0.2.7', '2001:db8::/32'),
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
            ('--allow-cidr', {'security_groups': ('g',), 'allow_cidrs': 'x'}),
            ('exist already', {'security_groups': ('g',), 'nics': PORTS}),
            ('exist already', {'nics': PORTS, 'allow_cidrs': ('::/0',)}),
            ('IPv4', {'ip_version': 6, 'floating_ip': '192.0.2.1'}),
            ('IPv4', {'ip_version': 6, 'external_network': 'public'}),
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
                ('2001:db8::1/64',),
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

    def test_nics(self):
        for words, *nics in (
            ('exclude each other', Nic('n', 'p')),
            ("'p' has its addresses", Nic(port='p', v4_fixed_ip='10.0.0.1')),
            ('on which network is 10.0.0.1', Nic(v4_fixed_ip='10.0.0.1')),
            ('v4-fixed-ip=x is not', Nic('n', v4_fixed_ip='x')),
            ('v4-fixed-ip=2001:db8', Nic('n', v4_fixed_ip='2001:db8::1')),
            ('v6-fixed-ip=10.0', Nic('n', v6_fixed_ip='10.0.0.1')),
            ('v6-fixed-ip=fe80', Nic('n', v6_fixed_ip='fe80::1%eth0')),
            ("tag 'a/b'", Nic('n', tag='a/b')),
            ('60 characters', Nic('n', tag='x' * 61)),
            ("Network 'n' is given twice", Nic('n'), Nic('n', tag='x')),
            ("Port 'p' is given twice", Nic(port='p'), Nic('n'), PORTS[0]),
        ):
            self.refuses(words, nics=tuple(nics))

    def test_key_file_that_is_not_there(self):
        self.refuses(
            '/nope: no such file', key_name='mine', ssh_key=Path('/nope')
        )


def _engine(source, version):
    return {'engine_source': source, 'engine_version': version}
