# SPDX-License-Identifier: Apache-2.0
"""The fake cloud: what it holds, what it was asked, and its small services.

Keystone and Glance are here, Nova and Neutron have modules of their own.
"""

import copy
import email.utils
import ipaddress
import re
import threading
import urllib.parse

import fixtures
import openstack
import requests
import requests_mock

from tests.unit.fakecloud import sdk
from tests.unit.fakecloud.adopting import Adopting
from tests.unit.fakecloud.answers import PROJECT, TIME, Refused, fits, query_of
from tests.unit.fakecloud.cinder import Cinder
from tests.unit.fakecloud.neutron import COLLECTIONS, Neutron
from tests.unit.fakecloud.nova import Nova

AUTH_URL = 'http://keystone.test/v3'
ENDPOINTS = {
    'identity': AUTH_URL,
    'compute': 'http://nova.test/v2.1',
    'network': 'http://neutron.test',
    'image': 'http://glance.test',
    'volume': 'http://cinder.test/v3',
}
_SERVICES = {
    urllib.parse.urlsplit(url).hostname: service
    for service, url in ENDPOINTS.items()
}


class FakeCloud(Adopting, Neutron, Nova, Cinder, fixtures.Fixture):
    """A cloud and what it holds, by collection and id, as the APIs show it.

    :ivar log: every request, as 'METHOD service path'.
    :ivar queries: the same with the query.
    :ivar booted: the bodies of the servers asked for.
    :ivar hints: what the scheduler was told with the last of them.
    :ivar actions: what servers were told to do, (action, arguments).
    :ivar statuses: what new servers go through, a step at each look.
    :ivar console: what servers print; '{id}' stands for the machine's id.
    :ivar admin: whether we see what belongs to other projects.
    :ivar date: what the services say that time it is, '' for nothing.
    """

    def __init__(self):
        self.log, self.queries, self.booted = [], [], []
        self.actions, self.hints = [], None
        names = (*COLLECTIONS, 'images', 'flavors', 'servers', 'keypairs')
        names += ('server_groups', 'volume_types')
        self.things = {name: {} for name in names}
        self.limits = {'instances': 10, 'cores': 20, 'ram': 51200}
        self.quota = {'network': 100, 'port': 500, 'floatingip': 50}
        self.quota |= {'security_group': 10, 'security_group_rule': 100}
        self.zones = [{'zoneName': 'nova', 'zoneState': {'available': True}}]
        self.statuses = ['BUILD', 'ACTIVE']
        self.fault = 'No valid host was found.'
        self.console = ''
        self.admin = False
        self.date = email.utils.formatdate(usegmt=True)
        self._hooks, self._count, self._lock = [], 0, threading.RLock()

    def _setUp(self):
        sdk.remember_fields()
        mocker = requests_mock.Mocker()
        mocker.start()
        self.addCleanup(mocker.stop)
        mocker.add_matcher(self.serve)

    def connect(self):
        """Log in, as a member of the project."""
        connection = openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            region_name='RegionOne',
            auth={
                'auth_url': AUTH_URL,
                'username': 'demo',
                'password': 'pw',
                'project_id': PROJECT,
                'user_domain_id': 'default',
            },
        )
        self.addCleanup(connection.close)
        return connection

    # ------------------------------------------------ what tests arrange

    def new_id(self):
        """Give a fresh id."""
        self._count += 1
        return f'{self._count:08x}-0000-4000-8000-000000000000'

    def add(self, collection, project=PROJECT, **body):
        """Put a thing there, as its API would show it."""
        body = {'id': self.new_id(), 'project_id': project, **body}
        self.things[collection][body['id']] = body
        return body

    def add_image(self, name, distro='debian', **more):
        body = {'name': name, 'os_distro': distro, 'status': 'active'}
        body |= {'os_hidden': False, 'visibility': 'public', 'shared': True}
        body |= {'os_type': 'linux', 'min_ram': 256, 'min_disk': 5}
        return self.add('images', **body | more)

    def add_flavor(self, name, vcpus=1, ram=2048, disk=20, **more):
        body = {'name': name, 'vcpus': vcpus, 'ram': ram, 'disk': disk}
        return self.add('flavors', **body, **more)

    def add_network(self, name, external=False, shared=False, **more):
        body = {'name': name, 'router:external': external, 'shared': shared}
        body['subnets'] = []
        network = self.add('networks', **body | more)
        if 'subnets' not in more:
            self.add_subnet(network)
        return network

    def add_subnet(self, network, cidr='10.20.0.0/24', **more):
        block = ipaddress.ip_network(cidr)
        body = {'network_id': network['id'], 'ip_version': block.version}
        body |= {'cidr': cidr, 'gateway_ip': str(block[1]), 'name': ''}
        body |= {'ipv6_address_mode': None, 'shared': network['shared']}
        subnet = self.add('subnets', network['project_id'], **body | more)
        network['subnets'].append(subnet['id'])
        return subnet

    def add_router(self, gateway, *networks, project=PROJECT):
        info = {'network_id': gateway['id']} if gateway else None
        body = {'name': 'router', 'external_gateway_info': info}
        router = self.add('routers', project, **body)
        for network in networks:
            leg = {'device_id': router['id']}
            leg['device_owner'] = 'network:router_interface'
            self.add_port(network, project=project, **leg)
        return router

    def add_port(self, network, project=PROJECT, **more):
        address = f'10.20.0.{self._count % 250 + 3}'
        fixed = {'subnet_id': 'x', 'ip_address': address}
        body = {'name': '', 'description': '', 'device_id': ''}
        body |= {'device_owner': '', 'security_groups': []}
        body['port_security_enabled'] = True
        body |= {'network_id': network['id'], 'fixed_ips': [fixed]}
        return self.add('ports', project, **body | more)

    def add_floating_ip(self, network, **more):
        address = f'172.24.4.{self._count % 250 + 3}'
        body = {'floating_ip_address': address, 'description': ''}
        body |= {'floating_network_id': network['id'], 'port_id': None}
        return self.add('floatingips', **body | more)

    def add_group(self, name, description='', rules=(), **more):
        body = {'name': name, 'description': description, 'created_at': TIME}
        body['security_group_rules'] = list(rules)
        return self.add('security-groups', **body | more)

    def add_server(self, name, metadata=(), tags=(), ports=(), **more):
        body = {'name': name, 'status': 'ACTIVE', 'created': TIME}
        body |= {'metadata': dict(metadata), 'tags': list(tags)}
        body |= {'OS-EXT-STS:task_state': None, 'key_name': None}
        body |= {'OS-EXT-AZ:availability_zone': 'nova', 'addresses': {}}
        body |= {'_ports': [p['id'] for p in ports], '_steps': []}
        flavor = {'original_name': 'm1.small', 'vcpus': 1, 'ram': 2048}
        body |= {'flavor': flavor, 'image': {'id': self.new_id()}}
        server = self.add('servers', **body | more)
        if server['status'] == 'ACTIVE':
            self._bind(server)
        return server

    def add_keypair(self, name, public_key):
        body = {'name': name, 'public_key': public_key, 'type': 'ssh'}
        self.things['keypairs'][name] = body

    def on(self, pattern, hook, after=False, always=False):
        """Call a hook once, before or after the first request that matches.

        The hook may raise Refused, or anything that comes of a request.

        :param always: call it at each request that matches.
        """
        self._hooks.append((re.compile(pattern), hook, after, always))

    def refuse(
        self, pattern, status, message='Refused', kind='HTTPError', **options
    ):
        refused = _raiser(Refused(status, message, kind))
        self.on(pattern, refused, **options)

    def forget_hooks(self):
        """Be well again."""
        self._hooks.clear()

    def lose_answer(self, pattern, after=True):
        """Drop the connection, having done what is asked for, or not."""
        error = requests.exceptions.ConnectionError('Connection reset')
        self.on(pattern, _raiser(error), after)

    def holds(self):
        """Give a copy of everything, to be compared later."""
        return copy.deepcopy(self.things)

    def mutations(self):
        """Give the requests that were not for looking, at consoles too."""
        quiet = re.compile('GET|POST identity|POST compute .*/action')
        return [line for line in self.log if not quiet.match(line)]

    # --------------------------------------------------------- answering

    def serve(self, request):
        """Answer as a matcher of requests-mock."""
        url = urllib.parse.urlsplit(request.url)
        service = _SERVICES[url.hostname]
        line = f'{request.method} {service} {url.path}'
        with self._lock:
            self.log.append(line)
            self.queries.append(f'{line}?{url.query}')
            try:
                self._run_hooks(line, after=False)
                answer = getattr(self, f'_{service}')(request, url.path)
                self._run_hooks(line, after=True)
            except Refused as error:
                answer = error.status, error.body(service)
            status, body, *more = answer
            headers = {'Content-Type': 'application/json'}
            if self.date:
                headers['Date'] = self.date
            return requests_mock.create_response(
                request,
                status_code=status,
                # What Nova keeps for itself starts with a line here.
                json=_public(body),
                headers=headers | dict(*more),
            )

    def _run_hooks(self, line, after):
        for hook in list(self._hooks):
            pattern, call, when, always = hook
            if when == after and pattern.search(line):
                if not always:
                    self._hooks.remove(hook)
                call()

    def _identity(self, request, path):
        if request.method == 'GET':
            link = {'rel': 'self', 'href': AUTH_URL}
            version = {'id': 'v3.14', 'status': 'stable', 'links': [link]}
            return 200, {'version': version}
        user = {'id': 'u', 'name': 'demo', 'domain': {'id': 'default'}}
        project = {'id': PROJECT, 'name': 'demo', 'domain': {'id': 'default'}}
        token = {'methods': ['password'], 'user': user, 'project': project}
        token |= {'expires_at': '2099-01-01T00:00:00.000000Z'}
        token |= {'issued_at': '2026-11-22T12:00:00.000000Z', 'catalog': []}
        token['roles'] = [{'id': 'r', 'name': 'member'}]
        for service, url in ENDPOINTS.items():
            if service == 'volume' and not self.volume_service:
                continue
            endpoint = {'id': 'e', 'interface': 'public', 'url': url}
            endpoint |= {'region': 'RegionOne', 'region_id': 'RegionOne'}
            kind = {'volume': 'block-storage'}.get(service, service)
            entry = {'type': kind, 'name': service}
            token['catalog'].append({**entry, 'endpoints': [endpoint]})
        return 201, {'token': token}, {'X-Subject-Token': 'token'}

    def _image(self, request, path):
        if not path.startswith('/v2/images'):
            link = {'rel': 'self', 'href': 'http://glance.test/v2/'}
            version = {'id': 'v2.18', 'status': 'CURRENT', 'links': [link]}
            return 300, {'versions': [version]}
        if found := re.fullmatch('/v2/images/(.+)', path):
            return 200, self._one('images', found[1])
        query = query_of(request)
        query.pop('limit', None)
        hidden = query.pop('os_hidden', ['False'])
        return 200, {
            'images': self._list('images', query | {'os_hidden': hidden})
        }

    # --------------------------------------------------------- in common

    def _one(self, collection, thing_id):
        things = self.things[collection]
        if thing_id not in things or not self._visible(things[thing_id]):
            words = {'servers': 'Instance', 'ports': 'Port'}
            kind = words.get(collection, collection)
            text = f'{kind} {thing_id} could not be found.'
            raise Refused(404, text, 'NotFound')
        return things[thing_id]

    def _list(self, collection, query):
        things = self.things[collection].values()
        return [t for t in things if self._visible(t) and fits(t, query)]

    def _visible(self, thing):
        public = thing.get('router:external') or thing.get('shared')
        return self.admin or public or thing['project_id'] == PROJECT


def _public(body):
    if isinstance(body, dict):
        return {k: _public(v) for k, v in body.items() if k[:1] != '_'}
    if isinstance(body, list):
        return [_public(item) for item in body]
    return body


def _raiser(error):
    def hook():
        raise error

    return hook
