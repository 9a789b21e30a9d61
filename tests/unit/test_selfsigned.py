# SPDX-License-Identifier: Apache-2.0
"""What a host says of itself is compared with what it was asked for."""

import ssl

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from oslotest import base

from dockermachine_osc import errors, selfsigned
from tests.unit import selfsigning

NAMES = ('192.0.2.7', '2001:db8::7', 'web1.example', 'WEB1')


class TestSelfSigned(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.asked = selfsigned.ask(NAMES)

    def accepted(self, der):
        return selfsigned.accepted(der, self.asked)

    def test_what_is_asked(self):
        begins, ends, names = self.asked.render().split(' ')
        self.assertRegex(begins, '^[0-9]{14}Z$')
        self.assertLess(begins, ends)
        self.assertEqual(
            'IP:192.0.2.7,IP:2001:db8::7,DNS:web1.example,DNS:web1,'
            'DNS:localhost,IP:127.0.0.1',
            names,
        )

    def test_no_name(self):
        self.assertRaises(errors.InvalidRequest, selfsigned.ask, ['a b'])

    def test_as_asked(self):
        der, _ = selfsigning.make(self.asked.render())
        self.assertEqual(
            der, ssl.PEM_cert_to_DER_cert(self.accepted(der).decode())
        )

    def test_one_for_more_names(self):
        """Nobody else is to be taken for this machine, nor it for others."""
        text = self.asked.render()
        for other in (f'{text},DNS:bank.example', text.rpartition(',')[0]):
            der, _ = selfsigning.make(other)
            self.assertIsNone(self.accepted(der), other)

    def test_other_dates(self):
        begins, ends, names = self.asked.render().split(' ')
        for other in (f'20200101000000Z {ends}', f'{begins} 20990101000000Z'):
            der, _ = selfsigning.make(f'{other} {names}')
            self.assertIsNone(self.accepted(der), other)

    def test_one_that_could_sign_others(self):
        der, _ = selfsigning.make(self.asked.render(), authority=True)
        self.assertIsNone(self.accepted(der))

    def test_another_purpose(self):
        der, _ = selfsigning.make(
            self.asked.render(), purpose=ExtendedKeyUsageOID.CLIENT_AUTH
        )
        self.assertIsNone(self.accepted(der))

    def test_another_curve(self):
        der, _ = selfsigning.make(self.asked.render(), curve=ec.SECP384R1())
        self.assertIsNone(self.accepted(der))

    def test_signed_by_somebody_else(self):
        """Who shows it need not have the key."""
        other = ec.generate_private_key(ec.SECP256R1())
        der, _ = selfsigning.make(self.asked.render(), issuer=other)
        self.assertIsNone(self.accepted(der))

    def test_anything(self):
        der, _ = selfsigning.make(self.asked.render())
        broken = bytearray(der)
        broken[len(broken) // 2] ^= 1
        for text in (b'', b'x', der[:-1], der + b'x', bytes(broken)):
            self.assertIsNone(self.accepted(text), text)
