# SPDX-License-Identifier: Apache-2.0
"""Offline, a configuration has to lead to the scope it led to online."""

from oslotest import base

from dockermachine_osc import identity
from tests.unit.test_store import AUTH_URL


class TestFingerprint(base.BaseTestCase):
    config = {
        'auth': {
            'auth_url': AUTH_URL,
            'username': 'ann',
            'password': 'secret',
            'project_name': 'demo',
            'project_domain_name': 'Default',
            'user_domain_name': 'Default',
        },
        'region_name': 'RegionOne',
        'cloud': 'devcloud',
        'verbose_level': 1,
    }

    def changed(self, top=None, **auth):
        config = self.config | (top or {})
        return identity.fingerprint(config | {'auth': config['auth'] | auth})

    def test_what_does_not_identify(self):
        same = identity.fingerprint(self.config)
        for other in (
            self.changed(password='other'),
            self.changed(token='other'),
            self.changed(auth_url='https://keystone.example:5000'),
            self.changed(trust_id=None, project_id=''),
            self.changed({'cloud': 'another name for it'}),
            self.changed({'verbose_level': 3, 'timing': True}),
        ):
            self.assertEqual(same, other)

    def test_what_does(self):
        others = {
            identity.fingerprint(self.config),
            self.changed(auth_url='https://other.example:5000/v3'),
            self.changed(username='bob'),
            self.changed(project_name='other'),
            self.changed(project_id='1234'),
            self.changed(project_domain_name='Other'),
            self.changed(user_domain_name='Other'),
            self.changed(trust_id='1234'),
            self.changed(system_scope='all'),
            self.changed(application_credential_id='1234'),
            self.changed({'region_name': 'RegionTwo'}),
        }
        self.assertEqual(11, len(others))

    def test_from_the_environment(self):
        """Such values stand in the auth section only after the login."""
        before = {k: v for k, v in self.config.items() if k != 'auth'}
        before |= self.config['auth'] | {'auth': {'project_name': 'demo'}}
        self.assertEqual(
            identity.fingerprint(self.config), identity.fingerprint(before)
        )

    def test_tenant_is_the_old_word(self):
        auth = dict(self.config['auth'])
        auth['tenant_name'] = auth.pop('project_name')
        self.assertEqual(
            identity.fingerprint(self.config),
            identity.fingerprint(self.config | {'auth': auth}),
        )

    def test_only_the_cloud_tells(self):
        auth = {'auth_url': AUTH_URL, 'token': 'secret'}
        one, two = (
            identity.fingerprint({'auth': auth, 'cloud': cloud})
            for cloud in ('one', 'two')
        )
        self.assertNotEqual(one, two)

    def test_strange_configurations(self):
        for config in (
            {},
            {'auth': None},
            {'auth': 'x'},
            {'auth': {'auth_url': 5, 'project_id': 7}},
        ):
            self.assertEqual(64, len(identity.fingerprint(config)))
