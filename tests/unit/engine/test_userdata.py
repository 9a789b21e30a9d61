# SPDX-License-Identifier: Apache-2.0
"""User data: what cloud-init finds in them."""

import base64
import email
import email.mime.multipart
import email.mime.text
import gzip
import json
import pathlib
import random
import subprocess

import fixtures
from oslotest import base

from dockermachine_osc import engine, errors
from dockermachine_osc.engine import settings as engine_settings
from dockermachine_osc.engine import userdata

BLOB = 'AAAAC3NzaC1lZDI1NTE5AAAAIAPNbn4NzGMMXAMNoQrjF371gH7dsR7lxcYKiG37FP5x'
KEY = f'ssh-ed25519 {BLOB}'
SETTINGS = engine.EngineSettings('m1', version='28')


def config_of(text):
    head, _, body = text.partition('\n')
    assert head == '#cloud-config', head
    return json.loads(body)


def noise(length):
    """Printable text that does not compress."""
    return base64.b64encode(random.Random(1).randbytes(length))


#: What each user data say of ours.
OURS = {'ssh_authorized_keys', 'ssh_genkeytypes', 'bootcmd'}


class OwnDataTest(base.BaseTestCase):
    def config(self):
        return config_of(engine.user_data(SETTINGS, KEY + ' me@x').decode())

    def test_who_may_log_in(self):
        self.assertEqual([KEY], self.config()['ssh_authorized_keys'])

    def test_nothing_that_costs_time(self):
        config = self.config()
        self.assertEqual(OURS | {'runcmd'}, set(config))
        self.assertNotIn('rsa', config['ssh_genkeytypes'])

    def test_early_command_brings_script_and_settings(self):
        (command,) = self.config()['bootcmd']
        self.assertEqual(
            ['cloud-init-per', 'instance', 'docker-machine'], command[:3]
        )
        top = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        home = top / 'home'
        # What the command does, with its folder moved and the verb printed.
        code = command[5].replace('/etc/docker-machine', str(home))
        code = code.replace('exec sh ', 'exec printf "%s\\n" ')
        done = subprocess.run(
            ['sh', '-c', code, *command[6:]],
            capture_output=True,
            check=True,
            text=True,
        )
        script = home / 'setup.sh'
        self.assertEqual(engine_settings.boot_script(), script.read_bytes())
        text = SETTINGS.render(KEY)
        self.assertEqual(f'{script}\nearly\n{text}\n', done.stdout)

    def test_proxies_unless_they_are_secret(self):
        for url, seen in (
            ('http://proxy:3128', True),
            ('http://u:s3cret@proxy:3128', False),
        ):
            options = engine.EngineOptions(
                labels={'a': 'b'}, env={'A': 's3cret'}, http_proxy=url
            )
            data = engine.user_data(SETTINGS, KEY, options=options)
            (command,) = config_of(data.decode())['bootcmd']
            self.assertEqual(seen, f'http-proxy {url}\n' == command[-1])
            self.assertNotIn('s3cret', str(command))
            self.assertNotIn('label', str(command))
            deferred = any('defer=yes' in word for word in command)
            self.assertEqual(not seen, deferred)

    def test_small_enough_for_any_way(self):
        # Horizon takes no more than 16 KiB to look at or reuse
        self.assertLess(len(engine.user_data(SETTINGS, KEY)), 16384)

    def test_no_public_key(self):
        for key in (
            '',
            'ssh-ed25519',
            KEY + '\n' + KEY,
            '-----BEGIN X',
            'é x',
        ):
            self.assertRaises(
                errors.InvalidRequest, engine.user_data, SETTINGS, key
            )


class ExtraDataTest(base.BaseTestCase):
    def parts(self, extra):
        data = engine.user_data(SETTINGS, KEY, extra)
        message = email.message_from_bytes(data)
        leaves = [p for p in message.walk() if not p.is_multipart()]
        own = {p.get_filename(): p for p in leaves[-2:]}
        return leaves[:-2], own

    def test_ours_merges_in_front_whatever_their_rule_is(self):
        theirs, own = self.parts(b'#cloud-config\nruncmd: [a]\n')
        part = own['docker-machine']
        self.assertEqual('text/cloud-config', part.get_content_type())
        self.assertIn('list(prepend)', part['X-Merge-Type'])
        config = config_of(part.get_payload(decode=True).decode())
        self.assertEqual(OURS, set(config))
        self.assertIn('hold=', config['bootcmd'][0][-1])
        self.assertEqual(1, len(theirs))

    def test_our_script_sorts_before_any_other(self):
        _, own = self.parts(b'#!/bin/sh\ndate\n')
        part = own['00-docker-machine']
        self.assertEqual('text/x-shellscript', part.get_content_type())
        names = ['part-001', 'runcmd', '00-docker-machine', 'install.sh']
        self.assertEqual('00-docker-machine', min(names))

    def test_every_type_that_cloud_init_tells_by_its_beginning(self):
        for beginning in (
            b'#!/bin/sh\n',
            b'#cloud-config\n',
            b'#cloud-config-archive\n',
            b'#cloud-boothook\n',
            b'#include\n',
            b'#include-once\n',
            b'#part-handler\n',
            b'## template: jinja\n#cloud-config\n',
            b'\n\n#cloud-config\n',
        ):
            extra = beginning + 'x: ü\n'.encode()
            (part,), _ = self.parts(extra)
            # cloud-init looks at the text itself
            self.assertEqual('text/plain', part.get_content_type())
            self.assertEqual(extra.lstrip(), part.get_payload(decode=True))

    def multipart(self):
        message = email.mime.multipart.MIMEMultipart()
        for text, kind in (
            ('#cloud-config\nx: y\n', 'cloud-config'),
            ('#!/bin/sh\ndate\n', 'x-shellscript'),
        ):
            message.attach(email.mime.text.MIMEText(text, kind))
        return message.as_bytes()

    def test_multipart(self):
        for extra in (self.multipart(), gzip.compress(self.multipart())):
            theirs, own = self.parts(extra)
            self.assertEqual(
                ['text/cloud-config', 'text/x-shellscript'],
                [part.get_content_type() for part in theirs],
            )
            self.assertEqual(2, len(own))

    def test_compressed_text(self):
        (part,), _ = self.parts(gzip.compress(b'#cloud-config\nx: y\n'))
        self.assertEqual(
            b'#cloud-config\nx: y\n', part.get_payload(decode=True)
        )

    def test_empty(self):
        self.assertEqual(
            engine.user_data(SETTINGS, KEY),
            engine.user_data(SETTINGS, KEY, b''),
        )

    def test_unknown(self):
        for extra in (
            b'hello',
            b'{"ignition": {}}',
            b'\x00\x01',
            b'\x1f\x8bnot really',
            b'Subject: x\n\nhello',
        ):
            self.assertRaises(
                errors.InvalidRequest, engine.user_data, SETTINGS, KEY, extra
            )

    def test_long_text_is_compressed(self):
        extra = b'#!/bin/sh\n' + b'# a line that repeats\n' * 5000
        data = engine.user_data(SETTINGS, KEY, extra)
        self.assertLess(len(base64.b64encode(data)), userdata.LIMIT)
        self.assertIn(b'00-docker-machine', gzip.decompress(data))

    def test_limit(self):
        extra = b'#!/bin/sh\n#' + noise(20_000)
        data = engine.user_data(SETTINGS, KEY, extra)
        self.assertLessEqual(len(base64.b64encode(data)), userdata.LIMIT)
        error = self.assertRaises(
            errors.InvalidRequest,
            engine.user_data,
            SETTINGS,
            KEY,
            b'#!/bin/sh\n#' + noise(60_000),
        )
        self.assertIn('65535', str(error))

    def test_a_bomb_does_not_fill_the_memory(self):
        bomb = gzip.compress(b'#cloud-config\n' + bytes(50_000_000))
        self.assertRaises(
            errors.InvalidRequest, engine.user_data, SETTINGS, KEY, bomb
        )


class SettingsTest(base.BaseTestCase):
    def test_render(self):
        settings = engine.EngineSettings('m-1', 'docker', '28.2', 2377)
        self.assertEqual(
            'machine_id=m-1\nsource=docker\nversion=28.2\nport=2377\n'
            f'access=tls\ndata_disk=0\npublic_key={KEY}\nhold=9\n',
            settings.render(KEY + ' a comment', 9),
        )

    def test_good(self):
        for source in (*engine.SOURCES, 'https://x.example/a?b=c&d=%20'):
            engine.EngineSettings('m1', source)
        for version in ('28', '28.2.2', '5:28.2~rc1-1', '20.10.24+dfsg1-1'):
            engine.EngineSettings('m1', version=version)

    def test_bad(self):
        for values in (
            {'machine_id': ''},
            {'machine_id': 'a b'},
            {'machine_id': 'a\nport=1'},
            {'source': 'ftp://x'},
            {'source': 'https://x y'},
            {'source': "https://x'y"},
            {'source': 'https://x\nversion=1'},
            {'version': 'v28'},
            {'version': '28; reboot'},
            {'version': '28\n'},
            {'port': 0},
            {'port': 65536},
        ):
            self.assertRaises(
                errors.InvalidRequest,
                engine.EngineSettings,
                **({'machine_id': 'm1'} | values),
            )
