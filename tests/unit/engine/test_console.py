# SPDX-License-Identifier: Apache-2.0
"""Console logs, as they are and as somebody would like them to be."""

import base64
import struct

import hypothesis
from hypothesis import strategies
from oslotest import base

from dockermachine_osc import engine
from tests.unit import fuzz

ID = 'f03e0517-e3d5-4654-a70f-fc7db1e78a11'


def key(kind, *parts):
    strings = [kind.encode(), *parts]
    blob = b''.join(struct.pack('>I', len(s)) + s for s in strings)
    return f'{kind} {base64.b64encode(blob).decode()}'


ED25519 = key('ssh-ed25519', bytes(range(32)))
OTHER = key('ssh-ed25519', bytes(range(1, 33)))
ECDSA = key('ecdsa-sha2-nistp256', b'nistp256', b'\x04' + bytes(64))
RSA = key('ssh-rsa', b'\x01\x00\x01', b'\x00' + bytes(range(1, 256)))
# cloud-init 22.4.2 on Debian 12, between messages of the kernel
BLOCK = f"""
[    3.1] cloud-init[301]: Cloud-init v. 22.4.2 running 'modules:final'
<14>Nov 22 15:02:14 cloud-init: #########################################
<14>Nov 22 15:02:14 cloud-init: -----BEGIN SSH HOST KEY FINGERPRINTS-----
<14>Nov 22 15:02:14 cloud-init: 256 SHA256:CnLgo5 root@web1 (ED25519)
<14>Nov 22 15:02:14 cloud-init: -----END SSH HOST KEY FINGERPRINTS-----
-----BEGIN SSH HOST KEY KEYS-----
{ECDSA} root@web1
{ED25519} root@web1
{RSA} root@web1
-----END SSH HOST KEY KEYS-----
[    3.6] cloud-init[301]: Cloud-init v. 22.4.2 finished
"""


def ours(*facts, machine_id=ID):
    return ''.join(f'\ndocker-machine {machine_id} {f} end\n' for f in facts)


class ConsoleTest(base.BaseTestCase):
    def read(self, text):
        return engine.read_console(text, ID)

    def test_our_lines(self):
        text = 'login: [  OK  ] Reached target' + ours(
            'login debian',
            f'hostkey {RSA}',
            f'hostkey {ED25519}',
            'installed 28.2.2',
        )
        for form in (text, text.replace('\n', '\r\n'), text + text):
            facts = self.read(form)
            self.assertEqual('debian', facts.login)
            self.assertEqual((ED25519, RSA), facts.host_keys)
            self.assertEqual('28.2.2', facts.installed)
            self.assertIsNone(facts.failure)

    def test_block_of_cloud_init(self):
        facts = self.read(BLOCK)
        self.assertEqual((ED25519, ECDSA, RSA), facts.host_keys)
        self.assertIsNone(facts.login)

    def test_both_agree(self):
        facts = self.read(ours(f'hostkey {ED25519}') + BLOCK)
        self.assertEqual((ED25519, ECDSA, RSA), facts.host_keys)

    def test_block_that_is_still_being_written(self):
        facts = self.read(BLOCK[: BLOCK.index(RSA) + 40])
        self.assertEqual((ED25519, ECDSA), facts.host_keys)

    def test_colours(self):
        text = ours(f'hostkey {ED25519}').replace('\nd', '\n\x1b[0;32md')
        self.assertEqual((ED25519,), self.read(text).host_keys)

    def test_contradiction(self):
        for text in (
            ours(f'hostkey {ED25519}', f'hostkey {OTHER}'),
            ours(f'hostkey {OTHER}') + BLOCK,
            BLOCK + BLOCK.replace(ED25519, OTHER),
        ):
            self.assertEqual((), self.read(text).host_keys)
        facts = self.read(ours('login debian', 'login root'))
        self.assertIsNone(facts.login)

    def test_of_another_machine(self):
        text = ours('login debian', f'hostkey {ED25519}', machine_id='x')
        self.assertEqual(engine.ConsoleFacts(), self.read(text))

    def test_cut_lines(self):
        whole = ours('login debian', f'hostkey {ED25519}')
        self.assertEqual(
            engine.ConsoleFacts(), self.read(whole[:40] + '\n' + whole[-20:])
        )
        cut = whole.replace('debian end', 'deb\n[  3.2] random: ian end')
        self.assertIsNone(self.read(cut).login)

    def test_damaged_keys(self):
        kind, blob = ED25519.split()
        for bad in (
            f'{kind} {blob[:-4]}',
            f'{kind} {blob}AAAA',
            f'{kind} {blob[:40]}!{blob[41:]}',
            f'ssh-rsa {blob}',
            f'ssh-dss {blob}',
            f'ssh-ed25519-cert-v01@openssh.com {blob}',
            f'{kind} {blob} {kind} {blob}',
            kind,
            f'{kind}  {blob}',
        ):
            facts = self.read(ours(f'hostkey {bad}'))
            self.assertEqual((), facts.host_keys, bad)

    def test_hostile_users(self):
        for user in ('-oProxyCommand=x', 'a b', 'a@b', '$(x)', '', 'x' * 33):
            self.assertIsNone(self.read(ours(f'login {user}')).login)

    def test_failure_is_printable_and_short(self):
        text = ours('failed \x1b[2Japt-get: \u202eno\x07 network' + 'x' * 999)
        failure = self.read(text).failure
        self.assertTrue(failure.startswith('apt-get: no network'))
        self.assertLessEqual(len(failure), 200)

    def test_end(self):
        text = ''.join(f'line {n}\r\n\n' for n in range(99))
        text += 'stuck\x1b[2J\u202e here\x07'
        end = engine.console_end(text)
        self.assertEqual('stuck here', end[-1])
        self.assertEqual('line 98', end[-2])
        self.assertEqual(12, len(end))
        self.assertEqual((), engine.console_end('\n \r'))

    def test_endless_log(self):
        text = 'x' * (5 << 20) + ours('login debian') + '\n' * 1000
        self.assertEqual('debian', self.read(text).login)
        self.assertEqual(engine.ConsoleFacts(), self.read('x' * (5 << 20)))

    @fuzz.tries(200)
    @hypothesis.given(
        strategies.lists(
            strategies.sampled_from(
                [
                    'docker-machine ',
                    f'{ID} ',
                    'hostkey ',
                    'login ',
                    'debian',
                    ' end\n',
                    '\n',
                    ED25519,
                    OTHER,
                    RSA[:50],
                    '\x1b[',
                    '\0',
                    '-----BEGIN SSH HOST KEY KEYS-----\n',
                    '\r',
                    ' ',
                ]
            )
            | strategies.text(max_size=9),
            max_size=40,
        )
    )
    def test_anything(self, pieces):
        facts = self.read(''.join(pieces))
        self.assertIn(facts.login, (None, 'debian'))
        self.assertIn(facts.host_keys, ((), (ED25519,), (OTHER,)))
