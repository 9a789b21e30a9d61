# SPDX-License-Identifier: Apache-2.0
"""The Nova of the fake cloud."""

import re

from tests.unit.fakecloud.answers import PROJECT, Refused, query_of

_VERSION = {
    'id': 'v2.1',
    'status': 'CURRENT',
    'links': [{'rel': 'self', 'href': 'http://nova.test/v2.1/'}],
    'version': '2.104',
    'min_version': '2.1',
}
#: From which states an action is allowed, what is done then, and to what end.
_ACTIONS = {
    'os-start': ({'SHUTOFF'}, 'powering-on', 'ACTIVE'),
    'os-stop': ({'ACTIVE', 'ERROR'}, 'powering-off', 'SHUTOFF'),
    'unpause': ({'PAUSED'}, 'unpausing', 'ACTIVE'),
    'resume': ({'SUSPENDED'}, 'resuming', 'ACTIVE'),
    'unshelve': ({'SHELVED', 'SHELVED_OFFLOADED'}, 'unshelving', 'ACTIVE'),
    'reboot': ({'ACTIVE'}, 'rebooting', 'ACTIVE'),
}


class Nova:
    """Answers for flavors, limits, key pairs, zones, and servers."""

    def _compute(self, request, path):
        kind, *ids = path.strip('/').split('/')[1:] or ['']
        if kind == 'servers':
            return self._answer_servers(request, *ids)
        if kind == 'os-keypairs':
            return 200, self._keypair(*ids)
        if kind == 'os-server-groups':
            groups = list(self.things['server_groups'].values())
            return 200, {'server_groups': groups}
        return 200, {
            '': {'version': _VERSION},
            'flavors': {'flavors': list(self.things['flavors'].values())},
            'limits': {'limits': {'rate': [], 'absolute': self._absolute()}},
            'os-availability-zone': {'availabilityZoneInfo': self.zones},
        }[kind]

    def _keypair(self, name=None):
        pairs = self.things['keypairs']
        if name is None:
            return {'keypairs': [{'keypair': k} for k in pairs.values()]}
        if name not in pairs:
            raise Refused(404, f'Keypair {name} not found for user u')
        return {'keypair': pairs[name]}

    def _absolute(self):
        servers = self.things['servers'].values()
        return {
            'maxTotalInstances': self.limits['instances'],
            'maxTotalCores': self.limits['cores'],
            'maxTotalRAMSize': self.limits['ram'],
            'totalInstancesUsed': len(servers),
            'totalCoresUsed': sum(s['flavor']['vcpus'] for s in servers),
            'totalRAMUsed': sum(s['flavor']['ram'] for s in servers),
        }

    def _answer_servers(self, request, server_id='detail', what=''):
        if request.method == 'GET' and server_id == 'detail':
            return 200, {'servers': self._servers(query_of(request))}
        if server_id == 'detail':
            body = request.json()
            self.hints = body.get('OS-SCH-HNT:scheduler_hints')
            return 202, {'server': self._boot(body['server'])}
        server = self._one('servers', server_id)
        if what == 'metadata':
            server['metadata'] |= request.json()['metadata']
            return 200, {'metadata': server['metadata']}
        if what == 'action':
            ((action, arguments),) = request.json().items()
            return self._act(server, action, arguments)
        if request.method == 'PUT':
            server |= request.json()['server']
        if request.method == 'DELETE':
            server['OS-EXT-STS:task_state'] = 'deleting'
            server['_steps'] = [server['status'], 'gone']
            return 204, None
        self._advance(server)
        return 200, {'server': self._shown(self._one('servers', server_id))}

    def _act(self, server, action, arguments):
        self.actions.append((action, arguments))
        if action == 'os-getConsoleOutput':
            if server['status'] == 'BUILD':
                raise Refused(409, f'Instance {server["id"]} is not ready')
            machine_id = server['metadata'].get('docker-machine:id', '')
            if callable(self.console):
                return 200, {'output': self.console(server)}
            return 200, {'output': self.console.replace('{id}', machine_id)}
        allowed, task, end = _ACTIONS[action]
        if server['status'] not in allowed:
            text = f"Cannot '{action}' instance {server['id']} while it is in "
            raise Refused(409, f'{text}vm_state {server["status"].lower()}')
        server['OS-EXT-STS:task_state'] = task
        if action == 'reboot':
            server['status'] = 'REBOOT'
        server['_steps'] = [server['status'], end]
        return 202, None

    def _servers(self, query):
        servers = list(self.things['servers'].values())
        if name := query.get('name'):
            servers = [s for s in servers if re.search(name[0], s['name'])]
            # Time passes for those that are waited for.
            for server in servers:
                self._advance(server)
            there = self.things['servers']
            servers = [s for s in servers if s['id'] in there]
        if tags := query.get('tags'):
            wanted = set(tags[0].split(','))
            servers = [s for s in servers if wanted <= {*s['tags']}]
        if status := query.get('status'):
            servers = [s for s in servers if s['status'] == status[0]]
        return [self._shown(s) for s in servers if s['project_id'] == PROJECT]

    def _boot(self, body):
        flavor = self._one('flavors', body['flavorRef'])
        image = self._one('images', body['imageRef'])
        if flavor['ram'] < image['min_ram']:
            text = "Flavor's memory is too small for requested image."
            raise Refused(400, text)
        if len(self.things['servers']) >= self.limits['instances']:
            raise Refused(403, 'Quota exceeded for instances: Requested 1')
        ports = [self._port_to_boot(n['port']) for n in body['networks']]
        self.booted.append(body)
        server = self.add_server(
            body['name'],
            body['metadata'],
            body['tags'],
            ports,
            status=self.statuses[0],
            _steps=self.statuses[1:],
            flavor={**flavor, 'original_name': flavor['name']},
            image={'id': image['id']},
            key_name=body.get('key_name'),
        )
        return {'id': server['id'], 'links': [], 'adminPass': 'x'}

    def _port_to_boot(self, port_id):
        if port_id not in self.things['ports']:
            raise Refused(400, f'Port id {port_id} could not be found.')
        return self.things['ports'][port_id]

    def _advance(self, server):
        status = server['_steps'].pop(0) if server['_steps'] else ''
        if status == 'gone':
            for port in self._ports_of(server):
                port |= {'device_id': '', 'device_owner': ''}
            del self.things['servers'][server['id']]
        elif status:
            server['status'] = status
            if not server['_steps']:
                server['OS-EXT-STS:task_state'] = None
        if status == 'ERROR':
            server['fault'] = {'code': 500, 'message': self.fault}
        elif status == 'ACTIVE':
            self._bind(server)

    def _ports_of(self, server):
        ports = (self.things['ports'].get(p) for p in server['_ports'])
        return [p for p in ports if p]

    def _bind(self, server):
        for port in self._ports_of(server):
            port |= {'device_id': server['id'], 'device_owner': 'compute:nova'}

    def _shown(self, server):
        """Give a server with the addresses that lead to it just now."""
        rows = list(server['addresses'].get('net', ()))
        for port in self._ports_of(server):
            if port['device_id'] != server['id']:
                continue
            found = [('fixed', f['ip_address']) for f in port['fixed_ips']]
            found += [
                ('floating', f['floating_ip_address'])
                for f in self.things['floatingips'].values()
                if f['port_id'] == port['id']
            ]
            rows += [
                {'version': 4, 'addr': addr, 'OS-EXT-IPS:type': kind}
                for kind, addr in found
            ]
        shown = server | {'addresses': {'net': rows}}
        ids = {
            group
            for port in self.things['ports'].values()
            if port.get('device_id') == server['id']
            for group in port['security_groups']
        }
        known = self.things['security-groups']
        names = [{'name': known[i]['name']} for i in ids if i in known]
        # As Nova does, which leaves the key out where there are none.
        return shown | ({'security_groups': names} if names else {})
