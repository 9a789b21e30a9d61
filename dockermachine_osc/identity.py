# SPDX-License-Identifier: Apache-2.0
"""Which project of which cloud is meant, told without asking any network."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.parse
from collections.abc import Mapping

#: What tells the project in the auth section of a cloud's configuration.
_PROJECT_KEYS = (
    'project_id',
    'project_name',
    'application_credential_id',
    'application_credential_name',
    'trust_id',
    'system_scope',
    'domain_id',
    'domain_name',
)
_IDENTIFYING = (
    *_PROJECT_KEYS,
    'project_domain_id',
    'project_domain_name',
    'user_domain_id',
    'user_domain_name',
    'username',
    'user_id',
    'region_name',
    'service_provider',
    'remote_project_id',
    'remote_project_name',
    'remote_project_domain_id',
    'remote_project_domain_name',
)
_OLD_KEYS = {'tenant_id': 'project_id', 'tenant_name': 'project_name'}


def fingerprint(config: Mapping[str, object]) -> str:
    """Tell, offline, which user, project and region a configuration means.

    :param config: a cloud's configuration as ``get_configuration()`` of
        osc-lib's client manager returns it. Of its values only those that
        identify count, never one that is secret.
    :returns: 64 hexadecimal digits.
    """
    # What comes from the environment stands outside of the auth section
    # until the client manager has authenticated.
    known = dict(config)
    auth = config.get('auth')
    if isinstance(auth, Mapping):
        known |= {key: value for key, value in auth.items() if value}
    for old, new in _OLD_KEYS.items():
        known[new] = known.get(new) or known.get(old)
    parts = {key: known[key] for key in _IDENTIFYING if known.get(key)}
    parts['auth_url'] = normalised(str(known.get('auth_url') or ''))
    if not any(key in parts for key in _PROJECT_KEYS) and config.get('cloud'):
        parts['cloud'] = config['cloud']
    text = json.dumps(
        {key: str(value) for key, value in parts.items()}, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()


def normalised(auth_url: str) -> str:
    """Give the same text for all the ways to write one Keystone's address."""
    url = urllib.parse.urlsplit(auth_url.strip())
    path = re.sub(r'/v[23](\.\d+)?$', '', url.path.rstrip('/')).rstrip('/')
    host = url.netloc.rpartition('@')[2].lower()
    default = {'http': ':80', 'https': ':443'}.get(url.scheme, '')
    return f'{url.scheme}://{host.removesuffix(default)}{path}'
