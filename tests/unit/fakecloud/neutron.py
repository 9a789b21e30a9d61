# SPDX-License-Identifier: Apache-2.0
"""The Neutron of the fake cloud."""

import ipaddress

from tests.unit.fakecloud.answers import PROJECT, Refused, fits, query_of

#: Collections in URLs, and what one of each is called in bodies.
COLLECTIONS = {
    'networks': 'network',
    'subnets': 'subnet',
    'routers': 'router',
    'ports': 'port',
    'floatingips': 'floatingip',
    'security-groups': 'security_group',
}
_VERSION = {
    'id': 'v2.0',
    'status': 'CURRENT',
    'links': [{'rel': 'self', 'href': 'http://neutron.test/v2.0/'}],
}


class Neutron:
    """Answers for networks, ports, addresses, and groups."""

    def _network(self, request, path):
        collection, *ids = path.strip('/').split('/')[1:] or ['']
        if not collection:
            return 200, {'versions': [_VERSION]}
        if collection == 'quotas':
            return 200, {'quota': self._quota_details()}
        if collection == 'security-group-rules' and request.method == 'GET':
            rules = self._rules(query_of(request))
            return 200, {'security_group_rules': rules}
        if collection == 'security-group-rules':
            rules = request.json()['security_group_rules']
            return 201, {'security_group_rules': self._add_rules(rules)}
        if request.method == 'GET' and not ids:
            query = query_of(request)
            fixed = query.pop('fixed_ips', None)
            found = self._list(collection, query)
            if fixed:
                found = [t for t in found if _has_one(t, fixed)]
            return 200, {collection.replace('-', '_'): found}
        key = COLLECTIONS[collection]
        if request.method == 'POST':
            body = request.json()[key]
            self._check_quota(key)
            return 201, {key: getattr(self, f'_create_{key}')(body)}
        thing = self._one(collection, ids[0])
        if request.method == 'PUT':
            self._update(thing, request.json()[key])
        if request.method == 'DELETE':
            getattr(self, f'_before_delete_{key}', lambda thing: None)(thing)
            del self.things[collection][thing['id']]
            return 204, None
        return 200, {key: thing}

    def _update(self, thing, body):
        if 'floating_network_id' in thing and body.get('port_id'):
            self._check_way(thing, body['port_id'])
        thing |= body

    def _used(self, name):
        if name == 'security_group_rule':
            groups = self.things['security-groups'].values()
            return sum(len(g['security_group_rules']) for g in groups)
        collection = next(c for c, n in COLLECTIONS.items() if n == name)
        things = self.things[collection].values()
        return sum(t['project_id'] == PROJECT for t in things)

    def _quota_details(self):
        return {
            name: {'limit': limit, 'used': self._used(name), 'reserved': 0}
            for name, limit in self.quota.items()
        }

    def _check_quota(self, name, need=1):
        if 0 <= self.quota[name] < self._used(name) + need:
            text = f"Quota exceeded for resources: ['{name}']."
            raise Refused(409, text, 'OverQuota')

    def _create_security_group(self, body):
        rules = [
            {'direction': 'egress', 'ethertype': kind, 'protocol': None}
            | {'port_range_min': None, 'remote_ip_prefix': None}
            for kind in ('IPv4', 'IPv6')
        ]
        return self.add_group(body['name'], body['description'], rules)

    def _rules(self, query):
        return [
            rule
            for group in self.things['security-groups'].values()
            for rule in group['security_group_rules']
            if fits({'security_group_id': group['id']} | rule, query)
        ]

    def _add_rules(self, rules):
        self._check_quota('security_group_rule', len(rules))
        keys = ('direction', 'port_range_min', 'remote_ip_prefix')
        for rule in rules:
            group = self._one('security-groups', rule['security_group_id'])
            for there in group['security_group_rules']:
                if all(there[k] == rule[k] for k in keys):
                    text = 'Security group rule already exists. Rule id is 1.'
                    raise Refused(409, text, 'SecurityGroupRuleExists')
        for rule in rules:
            group = self._one('security-groups', rule['security_group_id'])
            group['security_group_rules'].append(rule)
        return rules

    def _create_port(self, body):
        for group in body['security_groups']:
            if group not in self.things['security-groups']:
                text = f'Security group {group} does not exist'
                raise Refused(404, text, 'SecurityGroupNotFound')
        network = self._one('networks', body['network_id'])
        if 'fixed_ips' not in body:
            body['fixed_ips'] = self._allocate(network)
        return self.add_port(network, **body)

    def _allocate(self, network):
        """Give an address of each version that the network has."""
        subnets = self.things['subnets'].values()
        found = {
            s['ip_version']: ipaddress.ip_network(s['cidr'])
            for s in subnets
            if s['network_id'] == network['id']
        }
        number = self._count % 250 + 3
        return [{'ip_address': str(cidr[number])} for cidr in found.values()]

    def _create_floatingip(self, body):
        network = self._one('networks', body['floating_network_id'])
        return self.add_floating_ip(network, **body)

    def _check_way(self, address, port_id):
        """Refuse to lead a floating IP to a port that it cannot lead to."""
        port = self._one('ports', port_id)
        external = address['floating_network_id']
        if not any('.' in f['ip_address'] for f in port['fixed_ips']):
            text = f'Port {port["id"]} has no fixed IPv4 addresses'
            raise Refused(400, text, 'BadRequest')
        ways = [
            self.things['routers'][leg['device_id']]['external_gateway_info']
            for leg in self.things['ports'].values()
            if leg['network_id'] == port['network_id']
            and leg['device_owner'].startswith('network:')
        ]
        if {'network_id': external} not in ways:
            text = f'External network {external} is not reachable'
            raise Refused(404, text, 'ExternalGatewayForFloatingIPNotFound')
        for other in self.things['floatingips'].values():
            if other['port_id'] == port['id'] and other is not address:
                text = 'That fixed IP already has a floating IP'
                raise Refused(409, text, 'FloatingIPPortAlreadyAssociated')

    def _before_delete_security_group(self, group):
        for port in self.things['ports'].values():
            if group['id'] in port['security_groups']:
                text = f'Security Group {group["id"]} in use.'
                raise Refused(409, text, 'SecurityGroupInUse')

    def _before_delete_port(self, port):
        if port['device_id']:
            text = 'rule:delete_port is disallowed by policy'
            raise Refused(403, text, 'PolicyNotAuthorized')
        for address in self.things['floatingips'].values():
            if address['port_id'] == port['id']:
                address['port_id'] = None


def _has_one(port, fixed):
    """Tell whether a port has one of these, as ip_address=192.0.2.1."""
    have = {f'ip_address={f["ip_address"]}' for f in port['fixed_ips']}
    return bool(have & set(fixed))
