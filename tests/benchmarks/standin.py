# SPDX-License-Identifier: Apache-2.0
"""Keystone and Nova over HTTP, with as many machines as one likes.

    python -m tests.benchmarks.standin COUNT [ADDRESS PORT]...

It only has to be fast, and say what the real ones say: what a list of servers
looks like is that of a Nova 2025.1 with microversion 2.96, its pages are as
long as Nova's by default (osapi_max_limit), and a full page names the next.
The servers are rendered once. A process of its own, so that it takes no time
from those that ask it; prints its port, and ends when its stdin does.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
import urllib.parse
from typing import Any

from dockermachine_osc import record

#: Nova's osapi_max_limit.
PAGE = 1000
PROJECT = '46737802ebde47759209f49821bd75d1'
REGION = 'RegionOne'
_IMAGE = '1327dd25-d02c-4c8f-8eab-434f935ae847'
_EXPIRES = '2099-01-01T00:00:00Z'
#: Asked by the benchmark itself: how many calls there were since.
CALLS = '/calls'


class Machines:
    """The servers, as bytes of JSON."""

    def __init__(self, servers: list[dict[str, Any]]) -> None:
        self._all = [json.dumps(server).encode() for server in servers]
        self._index = {s['id']: n + 1 for n, s in enumerate(servers)}

    def page(self, url: str, query: dict[str, str]) -> bytes:
        """Give what follows on a marker."""
        begin = self._index[query['marker']] if 'marker' in query else 0
        end = begin + min(PAGE, int(query.get('limit', PAGE)))
        found = self._all[begin:end]
        text = b'{"servers": [' + b', '.join(found) + b']'
        if len(found) == end - begin:
            last = json.loads(found[-1])['id']
            more = urllib.parse.urlencode({**query, 'marker': last})
            links = [{'rel': 'next', 'href': f'{url}?{more}'}]
            text += b', "servers_links": ' + json.dumps(links).encode()
        return text + b'}'


def places(words: list[str]) -> list[tuple[str, int]]:
    """Read ADDRESS PORT... of the first machines."""
    return list(zip(words[::2], map(int, words[1::2]), strict=True))


def server(number: int, address: str = '', port: int = 2376) -> dict[str, Any]:
    """Give a machine as Nova shows it."""
    name, machine_id = f'm{number:05}', f'{number:032x}'
    server_id = f'{number:08x}-0000-4000-8000-{number:012x}'
    fixed = f'10.{number >> 16}.{number >> 8 & 255}.{number & 255}'
    address = (
        address or f'172.{24 + (number >> 16)}{fixed[fixed.index(".", 3) :]}'
    )
    facts = _record(machine_id, number, address, port)
    return {
        'accessIPv4': '',
        'accessIPv6': '',
        'addresses': {
            'private': [
                _address(fixed, 'fixed'),
                _address(address, 'floating'),
            ]
        },
        'created': '2026-11-23T01:43:47Z',
        'flavor': {
            'vcpus': 1,
            'ram': 2048,
            'disk': 20,
            'ephemeral': 0,
            'swap': 0,
            'original_name': 'm1.small',
            'extra_specs': {},
        },
        'hostId': '774a58d2d0741320f6d79b62378078a4495ea054d6cc48f3c09a3590',
        'id': server_id,
        'image': {'id': _IMAGE, 'links': _links(f'images/{_IMAGE}')},
        'links': _links(f'servers/{server_id}') * 2,
        'metadata': facts.to_metadata(),
        'name': name,
        'status': 'ACTIVE',
        'tenant_id': PROJECT,
        'user_id': 'e6c42521f04a4eafa79330bc4752b28f',
        'updated': '2026-11-23T01:44:00Z',
        'OS-DCF:diskConfig': 'MANUAL',
        'progress': 0,
        'OS-EXT-AZ:availability_zone': 'nova',
        'config_drive': 'True',
        'key_name': None,
        'OS-SRV-USG:launched_at': '2026-11-23T01:43:50.960707',
        'OS-SRV-USG:terminated_at': None,
        'OS-EXT-STS:task_state': None,
        'OS-EXT-STS:vm_state': 'active',
        'OS-EXT-STS:power_state': 1,
        'os-extended-volumes:volumes_attached': [],
        'locked': False,
        'description': None,
        'tags': [record.TAG],
        'trusted_image_certificates': None,
        'locked_reason': None,
        'OS-EXT-SRV-ATTR:hostname': name,
        'pinned_availability_zone': None,
        'security_groups': [{'name': 'docker-machine-521bdfd90721'}],
    }


def _record(
    machine_id: str, number: int, address: str, port: int
) -> record.Record:
    kinds = ('port_id', 'floating_ip_id', 'security_group_id')
    ids = {
        kind: f'{number:08x}-0000-4000-8000-00000000000{digit}'
        for digit, kind in enumerate(kinds)
    }
    sums = ('ca', 'server', 'client')
    fingerprints = {f'{kind}_fingerprint': machine_id * 2 for kind in sums}
    expires = {f'{kind}_expires': _EXPIRES for kind in sums}
    return record.Record(
        id=machine_id,
        state=record.READY,
        timeout=600,
        address=address,
        engine_port=port,
        engine_version='20.10.24+dfsg1',
        engine_source='auto',
        ssh_user='debian',
        host_key='ssh-ed25519 '
        'AAAAC3NzaC1lZDI1NTE5AAAAIKQi4D/e00p2UeOSm3vuo3wOI47lVc87kHNTfALkafAk',
        image='debian-12-docker',
        **ids,
        **fingerprints,
        **expires,
    )


def _address(address: str, kind: str) -> dict[str, Any]:
    return {
        'version': 4,
        'addr': address,
        'OS-EXT-IPS:type': kind,
        'OS-EXT-IPS-MAC:mac_addr': 'fa:16:3e:77:fc:11',
    }


def _links(path: str) -> list[dict[str, str]]:
    return [{'rel': 'bookmark', 'href': f'http://127.0.0.1:8774/{path}'}]


class StandIn(http.server.ThreadingHTTPServer):
    """Serves them.

    :ivar calls: how many calls were answered.
    """

    daemon_threads = True

    def __init__(self, machines: Machines) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.machines, self.calls = machines, 0
        self.url = f'http://127.0.0.1:{self.server_port}'
        self.catalog = [
            self._service('identity', '/v3'),
            self._service('compute', '/v2.1'),
            self._service('image', '/image'),
        ]

    def _service(self, kind: str, path: str) -> dict[str, Any]:
        endpoint = {'id': kind, 'interface': 'public'}
        endpoint |= {'region': REGION, 'region_id': REGION}
        endpoint['url'] = self.url + path
        return {'type': kind, 'name': kind, 'endpoints': [endpoint]}


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection, on which many calls may come."""

    protocol_version = 'HTTP/1.1'
    # An answer's end would wait for an acknowledgement of its beginning.
    disable_nagle_algorithm = True
    server: StandIn

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        if url.path == CALLS:
            calls, self.server.calls = self.server.calls, 0
            return self._say(200, {'calls': calls})
        self.server.calls += 1
        if url.path == '/v2.1/servers/detail':
            query = dict(urllib.parse.parse_qsl(url.query))
            here = self.server.url + url.path
            return self._send(200, self.server.machines.page(here, query))
        known = _documents(self.server.url)
        if url.path.rstrip('/') in known:
            return self._say(*known[url.path.rstrip('/')])
        return self._say(404, {'error': {'code': 404, 'message': self.path}})

    def do_POST(self) -> None:
        self.server.calls += 1
        self.rfile.read(int(self.headers['Content-Length']))
        token = _token(self.server.catalog)
        self._send(201, json.dumps(token).encode(), ('X-Subject-Token', 'x'))

    def _say(self, status: int, body: Any) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, body: bytes, *more: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _documents(url: str) -> dict[str, tuple[int, Any]]:
    """Give what is small, by its path."""
    nova = {'id': 'v2.1', 'status': 'CURRENT', 'version': '2.96'}
    nova |= {'min_version': '2.1', 'links': _self(f'{url}/v2.1/')}
    keystone = {
        'id': 'v3.14',
        'status': 'stable',
        'links': _self(f'{url}/v3/'),
    }
    glance = {'id': 'v2.9', 'status': 'CURRENT'}
    glance['links'] = _self(f'{url}/image/v2/')
    image = {'id': _IMAGE, 'name': 'debian-12-docker', 'status': 'active'}
    return {
        '/v2.1': (200, {'version': nova}),
        '/v3': (200, {'version': keystone}),
        '/image': (300, {'versions': [glance]}),
        '/image/v2/images': (200, {'images': [image]}),
        '/v2.1/flavors/detail': (200, {'flavors': []}),
    }


def _self(url: str) -> list[dict[str, str]]:
    return [{'rel': 'self', 'href': url}]


def _token(catalog: list[dict[str, Any]]) -> dict[str, Any]:
    domain = {'id': 'default', 'name': 'Default'}
    return {
        'token': {
            'methods': ['password'],
            'user': {'id': 'u', 'name': 'demo', 'domain': domain},
            'project': {'id': PROJECT, 'name': 'demo', 'domain': domain},
            'roles': [{'id': 'r', 'name': 'member'}],
            'issued_at': '2026-11-22T12:00:00.000000Z',
            'expires_at': '2099-01-01T00:00:00.000000Z',
            'catalog': catalog,
        }
    }


def main() -> None:
    count, *words = sys.argv[1:]
    wanted = places(words)
    wanted += [('', 2376)] * (int(count) - len(wanted))
    servers = [server(n + 1, *place) for n, place in enumerate(wanted)]
    standin = StandIn(Machines(servers))
    threading.Thread(target=standin.serve_forever, daemon=True).start()
    print(standin.server_port, flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()
