# SPDX-License-Identifier: Apache-2.0
"""The engine's options: what is refused, and how they travel."""

import hypothesis
from hypothesis import strategies
from oslotest import base

from dockermachine_osc import errors
from dockermachine_osc.engine import options
from tests.unit import fuzz

Options = options.EngineOptions
TEXT = strategies.text(
    strategies.characters().filter(str.isprintable), min_size=1
)


class CheckTest(base.BaseTestCase):
    def refused(self, words, **given):
        error = self.assertRaises(errors.InvalidRequest, Options, **given)
        self.assertIn(words, str(error))
        return str(error)

    def test_labels(self):
        for key in ('', 'a b', '-a', 'a\n', 'ü'):
            self.refused('--engine-label', labels={key: 'x'})
        self.refused('control characters', labels={'a': 'x\x1b[2J'})
        self.refused('control characters', labels={'a': 'x\ny'})
        self.refused('control characters', labels={'a': 'x\udc80'})
        self.refused('is missing', labels={'a': ''})
        Options(labels={'com.example/a': 'any "thing" $HOME'})

    def test_environment(self):
        for key in ('1A', 'A-B', '', 'A\n'):
            self.refused('no name of a variable', env={key: 'x'})
        said = self.refused('control characters', env={'A': 'secret\x00'})
        self.assertNotIn('secret', said)
        for key in ('LISTEN_FDS', 'NOTIFY_SOCKET', 'DOCKER_OPTS'):
            self.refused('belongs to the unit', env={key: 'x'})
        self.refused(
            'contradicts --http-proxy',
            env={'HTTP_PROXY': 'x'},
            http_proxy='http://proxy',
        )
        Options(env={'HTTP_PROXY': 'x', 'EMPTY': ''})

    def test_registries(self):
        for registry in ('http://r', 'r/x', 'r:x', '', '-r', 'r r'):
            self.refused(
                '--engine-insecure-registry', insecure_registries=(registry,)
            )
        good = ('r', 'r.example.com:5000', '192.0.2.0/24', '[::1]:5000')
        Options(insecure_registries=good)
        for mirror in ('mirror.example.com', 'ftp://x', 'https://x y', ''):
            self.refused(
                '--engine-registry-mirror', registry_mirrors=(mirror,)
            )
        said = self.refused(
            'no user and password', registry_mirrors=('https://a:pass@m',)
        )
        self.assertNotIn('a:pass', said)
        self.refused('--engine-storage-driver', storage_driver='a b')

    def test_flags(self):
        for opt, words in (
            ('host=tcp://0.0.0.0:1', 'is set by this tool'),
            ('tls', 'is set by this tool'),
            ('tlsverify=false', 'is set by this tool'),
            ('tlscacert=/x', 'is set by this tool'),
            ('config-file=/x', 'belongs to the host'),
            ('pidfile=/x', 'belongs to the host'),
            ('label=a=b', '--engine-label'),
            ('https-proxy=x', '--https-proxy'),
            ('H=tcp://0.0.0.0:1', 'not the long name'),
            ('--debug', 'not the long name'),
            ('', 'not the long name'),
            ('debug -H=x', 'not the long name'),
            ('log-opt=a\nb', 'control characters'),
        ):
            self.refused(words, opts=(opt,))
        for folder in (
            *('', 'data', '/', '//', '/etc/x', '/var/lib', '/var/lib/'),
            *('/srv/../etc', '/run/docker', '/proc', '/home'),
        ):
            self.refused('data-root', opts=(f'data-root={folder}',))
        Options(opts=('debug', 'data-root=/mnt/data', 'bip=10.9.0.1/16'))

    def test_proxies(self):
        for url in (
            *('proxy:3128', 'ftp://p', 'http://', 'http://p/x', 'http://p p'),
            *('http://u:p@w@p', 'http://u:"@p', 'http://p:x', 'http://p\n'),
        ):
            said = self.refused('not a URL', http_proxy=url)
            self.assertNotIn('u:p', said)
            self.refused('--https-proxy', https_proxy=url)
        for names in ('a b', 'a,,b', 'a\nb', '$x'):
            self.refused('--no-proxy', no_proxy=names)
        Options(
            http_proxy='http://u:p%40w@p.example.com:3128',
            https_proxy='https://[2001:db8::1]:3128/',
            no_proxy='localhost,.example.com,10.0.0.0/8, *.local',
        )

    def test_cas(self):
        for registry in ('', '../x', 'a/b', 'r..s', '.', 'r:x', 'https://r'):
            self.refused('--registry-ca', registry_cas={registry: b'x'})
        self.refused('bytes long', registry_cas={'r': b'x' * 70000})

    def test_too_much(self):
        many = {f'k{i}': 'x' * 1000 for i in range(600)}
        self.refused('characters long', labels=many)

    def test_nothing_secret_is_shown(self):
        found = Options(
            env={'A': 's3cret'}, http_proxy='http://u:s3cret@proxy:3128'
        )
        self.assertNotIn('s3cret', repr(found))
        self.assertTrue(found.proxies_are_secret())
        self.assertEqual(
            'http://u:***@proxy:3128', options.masked(found.http_proxy)
        )
        self.assertEqual('http://proxy', options.masked('http://proxy'))


class TravelTest(base.BaseTestCase):
    @fuzz.tries(100)
    @hypothesis.given(TEXT, TEXT, strategies.binary(max_size=100))
    def test_there_and_back(self, label, variable, pem):
        found = Options(
            labels={'a': label, 'b': label},
            env={'A': variable, 'B': ''},
            opts=(f'log-opt={label}', 'debug'),
            registry_cas={'r:5000': pem, '[::1]': b'x'},
        )
        lines = found.render().split('\n')[:-1]
        self.assertEqual(found, Options.parse(lines))

    def test_nothing(self):
        self.assertEqual('', Options().render())
        self.assertFalse(Options())
        self.assertTrue(Options(opts=('debug',)))

    def test_damaged(self):
        for line in (
            '',
            'label',
            'exec /bin/x',
            'opt host=x',
            'registry-ca r !',
        ):
            lines = ['label a=b', line]
            error = self.assertRaises(
                errors.EngineFailure, Options.parse, lines
            )
            self.assertIn('/etc/docker-machine/options', error.hint)

    def test_proxies_alone(self):
        found = Options(
            labels={'a': 'b'}, env={'A': 'secret'}, http_proxy='http://p'
        )
        self.assertEqual('http-proxy http://p\n', found.proxies().render())

    def test_restart(self):
        before = Options(labels={'a': 'b'}, registry_cas={'r': b'x'})
        for after, needed in (
            (Options(labels={'a': 'b'}), False),
            (Options(labels={'a': 'b'}, registry_cas={'s': b''}), False),
            (Options(labels={'a': 'c'}, registry_cas={'r': b'x'}), True),
        ):
            self.assertEqual(needed, after.needs_restart(before))
