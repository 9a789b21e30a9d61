# SPDX-License-Identifier: Apache-2.0
"""The variables that ``env`` sets and unsets."""

from oslotest import base

from dockermachine_osc import environment

URL = 'tcp://10.0.0.5:2376'


class TestNoProxy(base.BaseTestCase):
    def test_no_proxy(self):
        for environ, expected in (
            ({}, ('NO_PROXY', '10.0.0.5')),
            ({'NO_PROXY': ''}, ('NO_PROXY', '10.0.0.5')),
            ({'NO_PROXY': 'a.b'}, ('NO_PROXY', 'a.b,10.0.0.5')),
            ({'NO_PROXY': 'a.b,'}, ('NO_PROXY', 'a.b,10.0.0.5')),
            ({'no_proxy': 'a.b'}, ('no_proxy', 'a.b,10.0.0.5')),
            (
                {'no_proxy': 'a', 'NO_PROXY': 'b'},
                ('no_proxy', 'a,10.0.0.5'),
            ),
            ({'no_proxy': '', 'NO_PROXY': 'b'}, ('NO_PROXY', 'b,10.0.0.5')),
            ({'NO_PROXY': 'a, 10.0.0.5'}, ('NO_PROXY', 'a, 10.0.0.5')),
            (
                {'NO_PROXY': '10.0.0.55,210.0.0.5'},
                ('NO_PROXY', '10.0.0.55,210.0.0.5,10.0.0.5'),
            ),
            ({'NO_PROXY': '*'}, ('NO_PROXY', '*')),
        ):
            self.assertEqual(expected, environment.without_proxy(environ, URL))
