# SPDX-License-Identifier: Apache-2.0
"""Ask every service something, under a time limit.

The first request to a service is slow (policies and plugins are loaded then)
and once in a hundred starts one was seen to hang, so the launcher makes the
first requests.  Standard library only.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from devcloud import errors, processes, secret
from devcloud.settings import Settings

# Seconds for one answer, and how often it is asked for.
_TIMEOUT, _ATTEMPTS = 30, 3
_QUESTIONS = (
    ('nova', '/servers/detail'),
    ('nova', '/flavors/detail'),
    ('glance', '/v2/images'),
    ('neutron', '/v2.0/networks'),
    ('neutron', '/v2.0/ports'),
    ('neutron', '/v2.0/security-groups'),
    ('neutron', '/v2.0/floatingips'),
    ('placement', '/resource_providers'),
)
# No proxy, whatever the environment says: it is this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(settings: Settings) -> bool:
    """Whether Keystone can be talked to at all."""
    request = urllib.request.Request(settings.urls['keystone'])
    try:
        with _OPENER.open(request, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def all_services(settings: Settings) -> None:
    """Return when every service has answered as it should.

    :raises DevcloudError: when one does not, with where its stacks are
    """
    token = _ask(
        settings, 'keystone', '/auth/tokens', data=_password(settings)
    )['X-Subject-Token']
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for answer in [
            pool.submit(
                _ask,
                settings,
                service,
                path,
                headers={'X-Auth-Token': str(token)},
            )
            for service, path in _QUESTIONS
        ]:
            answer.result()


def _password(settings: Settings) -> dict[str, Any]:
    domain = {'id': 'default'}
    user = {
        'name': 'admin',
        'domain': domain,
        'password': secret.read(settings),
    }
    return {
        'auth': {
            'identity': {'methods': ['password'], 'password': {'user': user}},
            'scope': {'project': {'name': 'admin', 'domain': domain}},
        }
    }


def _ask(
    settings: Settings,
    service: str,
    path: str,
    data: dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """The answer's headers."""
    url = settings.urls[service] + path
    body = json.dumps(data).encode() if data else None
    reason = ''
    for _ in range(_ATTEMPTS):
        request = urllib.request.Request(
            url,
            body,
            {
                'Content-Type': 'application/json',
                'User-Agent': 'devcloud-probe',
                **(headers or {}),
            },
        )
        try:
            with _OPENER.open(request, timeout=_TIMEOUT) as response:
                response.read()
                return response.headers
        except OSError as error:
            reason = str(error)
            _dump_stacks(settings, service)
    output = settings.log / f'{_process(service)}.out'
    raise errors.DevcloudError(
        f'{service} does not answer {url}: {reason}. What its threads were '
        f'at is at the end of {output}, more in {settings.log}.'
    )


def _process(service: str) -> str:
    return 'nova' if service == 'placement' else service


def _dump_stacks(settings: Settings, service: str) -> None:
    process = processes.of_cloud(settings).get(_process(service))
    if process:
        os.kill(process.pid, signal.SIGUSR1)
