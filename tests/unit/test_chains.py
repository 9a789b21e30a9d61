# SPDX-License-Identifier: Apache-2.0
"""Certificates of Docker Machine, and those that do not belong together."""

import datetime

from oslotest import base

from dockermachine_osc import chains, errors, pki
from tests import docker_machine


class CheckTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.authority = docker_machine.shared_authority()
        self.ca = self.authority.pair.certificate
        self.client = self.authority.client()

    def fails(self, words, ca, pair, key=None):
        error = self.assertRaises(
            errors.StoreFailure,
            chains.check,
            ca,
            pair.certificate,
            key or pair.key,
        )
        self.assertIn(words, str(error))

    def test_theirs(self):
        chains.check(self.ca, self.client.certificate, self.client.key)
        self.assertFalse(chains.is_strict(self.ca))

    def test_ours(self):
        authority = pki.Authority.create('web1')
        client = authority.client('web1 client')
        chains.check(authority.certificate, client.certificate, client.key)
        self.assertTrue(chains.is_strict(authority.certificate))

    def test_another_ca(self):
        """Both have the same subject, as after a race of two creates."""
        other = docker_machine.Authority()
        self.fails('not issued by its CA', self.ca, other.client())

    def test_another_key(self):
        other = self.authority.client()
        self.fails('do not belong together', self.ca, self.client, other.key)
        self.fails('do not belong together', self.ca, self.client, b'no key')

    def test_no_ca(self):
        self.fails('is no CA', self.client.certificate, self.client)

    def test_damaged(self):
        self.fails('CA is damaged', b'x', self.client)
        damaged = docker_machine.Pair(b'x', self.client.key)
        self.fails('client certificate is damaged', self.ca, damaged)

    def test_expired(self):
        old = docker_machine.Authority(-datetime.timedelta(days=2))
        self.fails('CA expired on', old.pair.certificate, old.client())
        # A certificate may be over before its CA.
        self.fails('client certificate expired on', self.ca, old.client())

    def test_key_of_the_ca(self):
        self.assertTrue(chains.is_key_of(self.ca, self.authority.pair.key))
        self.assertFalse(chains.is_key_of(self.ca, self.client.key))
        self.assertFalse(chains.is_key_of(self.ca, b'no key'))

    def test_our_authority_goes_on_with_theirs(self):
        """What is issued later is verified by both sides."""
        loaded = pki.Authority.load(self.ca, self.authority.pair.key)
        client = loaded.client('web1 client')
        chains.check(self.ca, client.certificate, client.key)
