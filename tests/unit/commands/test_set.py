# SPDX-License-Identifier: Apache-2.0
"""Options of the engine as they are typed: create, adopt's too, set, show."""

import io
import json
import tarfile

from dockermachine_osc import engine, pki
from tests.unit.commands import shell

OPTIONS = engine.EngineOptions(
    labels={'a': 'b=c'},
    env={'TOKEN': 's3cret'},
    insecure_registries=('r:5000',),
    registry_mirrors=('https://m1',),
    storage_driver='overlay2',
    opts=('debug', 'dns=192.0.2.1'),
    http_proxy='http://u:s3cret@p1:3128',
    https_proxy='http://p2',
    no_proxy='localhost',
)
GIVEN = [
    *('--engine-label', 'a=b=c', '--engine-env', 'TOKEN=s3cret'),
    *('--engine-insecure-registry', 'r:5000'),
    *('--engine-registry-mirror', 'https://m1'),
    *('--engine-storage-driver', 'overlay2', '--engine-opt', 'debug'),
    *('--engine-opt', 'dns=192.0.2.1'),
    *('--http-proxy', 'http://u:s3cret@p1:3128'),
    *('--https-proxy', 'http://p2', '--no-proxy', 'localhost'),
]


class OptionsTestCase(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        self.ca = pki.Authority.create('registry').certificate
        (self.home / 'ca.crt').write_bytes(self.ca)
        (self.home / 'script').write_text('#!/bin/sh\n')

    def handed_over(self, name='options'):
        _, stdin = self.guest.parcels[-1]
        with tarfile.open(fileobj=io.BytesIO(stdin)) as archive:
            return archive.extractfile(name).read().decode()

    def options(self):
        return engine.EngineOptions.parse(self.handed_over().splitlines())


class TestCreate(OptionsTestCase):
    def test_all(self):
        ran = self.succeeds(
            *('create', 'web1', *GIVEN, '--registry-ca', 'r:5000=~/ca.crt'),
            *('--post-script', '~/script', '-f', 'json'),
        )
        found = self.options()
        self.assertEqual({'r:5000': self.ca}, found.registry_cas)
        self.assertEqual(
            OPTIONS.render(), found.render().split('registry-ca')[0]
        )
        self.assertEqual('#!/bin/sh\n', self.handed_over('post-script'))
        self.assertNotIn('s3cret', ran.stdout + ran.stderr)

    def test_a_variable_that_is_not_on_the_command_line(self):
        self.setenv('TOKEN', 's3cret=x')
        self.succeeds(
            *('create', 'web1', '--engine-env', 'TOKEN'),
            *('--engine-env', 'EMPTY='),
        )
        expected = {'TOKEN': 's3cret=x', 'EMPTY': ''}
        self.assertEqual(expected, self.options().env)

    def test_defaults_for_a_cloud(self):
        self.configure(
            {
                'engine_label': {'a': 1, 'b': 2},
                'engine_env': ['A=x=y'],
                'engine_opt': {'mtu': 1400},
                'engine_registry_mirror': 'https://m1',
                'engine_insecure_registry': ['r1', 'r2'],
                'http_proxy': 'http://p1',
                'registry_ca': {'r1': '~/ca.crt'},
            }
        )
        self.succeeds(
            *('create', 'web1', '--engine-label', 'b=3', '--http-proxy'),
            *('http://p2', '--engine-insecure-registry', 'r3'),
        )
        self.assertEqual(
            engine.EngineOptions(
                labels={'a': '1', 'b': '3'},
                env={'A': 'x=y'},
                opts=('mtu=1400',),
                registry_mirrors=('https://m1',),
                insecure_registries=('r3',),
                http_proxy='http://p2',
                registry_cas={'r1': self.ca},
            ),
            self.options(),
        )

    def test_defaults_that_cannot_be(self):
        for name in ('engine_label', 'engine_env', 'registry_ca'):
            self.configure({name: 'x'})
            self.fails(1, f'{name}: not a mapping', 'create', 'web1')

    def test_refused_before_anything_is_made(self):
        (self.home / 'empty').write_text('')
        (self.home / 'bad').write_text('no certificate')
        for words, *options in (
            ('--engine-label', '--engine-label', '_=x'),
            ('is set by this tool', '--engine-opt', 'tlsverify=false'),
            ('not a URL', '--http-proxy', 'proxy:3128'),
            ('No such file', '--registry-ca', 'r=/nope'),
            ('no certificate', '--registry-ca', f'r={self.home}/bad'),
            ('--registry-ca', '--registry-ca', f'../r={self.home}/ca.crt'),
            ('No such file', '--post-script', '/nope'),
            ('0 bytes long', '--post-script', f'{self.home}/empty'),
        ):
            self.fails(1, words, 'create', 'web1', *options)
            self.fails(1, words, 'adopt', 'web1', *options)
        for words, *options in (
            ('key=value', '--engine-label', 'x'),
            ("'UNSET' is not set here", '--engine-env', 'UNSET'),
            ('key=value', '--registry-ca', 'x'),
        ):
            self.fails(2, words, 'create', 'web1', *options)
        self.assertEqual([], self.fake.mutations())


class TestSet(OptionsTestCase):
    def setUp(self):
        super().setUp()
        self.succeeds('create', 'web1')
        lines = OPTIONS.render().splitlines()
        self.guest.lines = [*(f'option {x}' for x in lines), 'ready told']

    def test_set(self):
        ran = self.succeeds('set', 'web1', '--engine-label', 'c=d')
        self.assertIn('web1: restart the engine once', ran.stderr)
        self.assertEqual({'a': 'b=c', 'c': 'd'}, self.options().labels)
        self.assertEqual(OPTIONS.env, self.options().env)

    def test_set_a_ca(self):
        ran = self.succeeds('set', 'web1', '--registry-ca', 'r=~/ca.crt')
        self.assertIn('need not restart', ran.stderr)
        self.assertEqual({'r': self.ca}, self.options().registry_cas)

    def test_already_so(self):
        visits = len(self.guest.parcels)
        ran = self.succeeds('set', 'web1', *GIVEN)
        self.assertIn('is as it should be', ran.stderr)
        self.assertEqual(visits + 1, len(self.guest.parcels))

    def test_unset_all(self):
        self.succeeds(
            *('set', 'web1', '--unset-engine-label', 'a'),
            *('--unset-engine-env', 'TOKEN'),
            *('--unset-engine-insecure-registry', 'r:5000'),
            *('--unset-engine-registry-mirror', 'https://m1'),
            *('--unset-engine-storage-driver', '--unset-engine-opt', 'debug'),
            *('--unset-engine-opt', 'dns', '--unset-proxy'),
            *('--unset-registry-ca', 'never'),
        )
        self.assertEqual('', self.handed_over())

    def test_nothing_said(self):
        self.fails(
            1, ['--engine-label', '--http-proxy', '--unset-'], 'set', 'web1'
        )

    def test_goes_on_after_a_failure(self):
        self.fails(
            1,
            ["Failed to set machine 'nope'", '1 of 2 machines failed'],
            *('set', 'nope', 'web1', '--engine-opt', 'live-restore'),
        )
        self.assertIn('live-restore', self.options().opts)

    def test_refused_before_the_host_is_asked(self):
        visits = len(self.guest.parcels)
        (self.home / 'bad').write_text('no certificate')
        for words, *options in (
            ('is set by this tool', '--engine-opt', 'host=tcp://0.0.0.0:1'),
            ('no certificate', '--registry-ca', f'r={self.home}/bad'),
        ):
            self.fails(1, words, 'set', 'web1', *options)
        self.assertEqual(visits, len(self.guest.parcels))

    def test_show(self):
        ran = self.succeeds('engine', 'show', 'web1', '-f', 'json')
        self.assertEqual(
            {
                'engine_env': ['TOKEN'],
                'engine_insecure_registry': ['r:5000'],
                'engine_label': {'a': 'b=c'},
                'engine_opt': ['debug', 'dns=192.0.2.1'],
                'engine_registry_mirror': ['https://m1'],
                'engine_storage_driver': 'overlay2',
                'http_proxy': 'http://u:***@p1:3128',
                'https_proxy': 'http://p2',
                'no_proxy': 'localhost',
                'registry_ca': [],
            },
            ran.json,
        )
        self.assertNotIn('s3cret', json.dumps(ran.json) + ran.stderr)
