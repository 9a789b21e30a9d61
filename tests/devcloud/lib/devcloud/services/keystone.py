# SPDX-License-Identifier: Apache-2.0
"""Keystone: schema, bootstrap, WSGI."""

from __future__ import annotations

import base64
import os
import pathlib
import uuid
from typing import Any

from keystone.cmd import bootstrap
from keystone.common import provider_api
from keystone.common.sql import upgrades
from keystone.server import wsgi as keystone_wsgi

from devcloud import kcache, secret
from devcloud.services import wsgi
from devcloud.settings import REGION, Settings

_CATALOG = (
    ('glance', 'image'),
    ('placement', 'placement'),
    ('nova', 'compute'),
    ('neutron', 'network'),
)


def serve(settings: Settings) -> None:
    os.environ['OS_KEYSTONE_CONFIG_DIR'] = str(settings.etc)
    fresh = not settings.database('keystone').exists()
    if fresh:
        for name in ('fernet', 'credential'):
            _make_keys(settings.cloud_dir / name)
    kcache.install()
    wsgi.say('imported')
    application = keystone_wsgi.initialize_public_application()
    wsgi.say('application')
    if fresh:
        upgrades.offline_sync_database_to_version()
        wsgi.say('schema')
        _bootstrap(settings, secret.read(settings))
        wsgi.say('bootstrap')
    wsgi.run(
        settings,
        'keystone',
        wsgi.server(settings, 'keystone', application, threads=6),
    )


def _make_keys(folder: pathlib.Path) -> None:
    """What ``keystone-manage fernet_setup`` does: a staged, a primary key."""
    for name in '01':
        key = base64.urlsafe_b64encode(os.urandom(32))
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(key)


def _bootstrap(settings: Settings, password: str) -> None:
    # the application has loaded them already
    bootstrap.backends.load_backends = lambda: None
    boot = bootstrap.Bootstrapper()
    boot.admin_username, boot.admin_password = 'admin', password
    boot.project_name, boot.admin_role_name = 'admin', 'admin'
    boot.region_id, boot.service_name = REGION, 'keystone'
    url = settings.urls['keystone']
    boot.public_url = boot.internal_url = boot.admin_url = url
    boot.bootstrap()
    apis = provider_api.ProviderAPIs
    project = uuid.uuid4().hex
    apis.resource_api.create_project(
        project,
        {
            'id': project,
            'name': 'service',
            'domain_id': 'default',
            'enabled': True,
            'description': '',
            'is_domain': False,
            'parent_id': 'default',
        },
    )
    for name, kind in _CATALOG:
        _add_user(apis, name, password, project)
        _add_endpoints(apis, name, kind, settings.urls[name])


def _add_user(apis: Any, name: str, password: str, project: str) -> None:
    user = apis.identity_api.create_user(
        {
            'name': name,
            'password': password,
            'domain_id': 'default',
            'enabled': True,
            'default_project_id': project,
        }
    )
    for role in apis.role_api.list_roles():
        if role['name'] in ('admin', 'service'):
            apis.assignment_api.add_role_to_user_and_project(
                user['id'], project, role['id']
            )


def _add_endpoints(apis: Any, name: str, kind: str, url: str) -> None:
    service = uuid.uuid4().hex
    apis.catalog_api.create_service(
        service,
        {
            'id': service,
            'name': name,
            'type': kind,
            'enabled': True,
            'description': '',
        },
    )
    for interface in ('public', 'internal', 'admin'):
        endpoint = uuid.uuid4().hex
        apis.catalog_api.create_endpoint(
            endpoint,
            {
                'id': endpoint,
                'interface': interface,
                'url': url,
                'service_id': service,
                'region_id': REGION,
                'enabled': True,
            },
        )
