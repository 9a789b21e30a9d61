# SPDX-License-Identifier: Apache-2.0
"""What Nova is asked when a server becomes a machine, and stops being one."""

from tests.unit.fakecloud.answers import Refused


class Adopting:
    """Answers for tags, single metadata items and groups of servers."""

    def _answer_servers(self, request, server_id='detail', what='', *rest):
        if what == 'tags' or (what == 'metadata' and rest):
            server = self._one('servers', server_id)
            return self._change_item(request.method, server, what, rest[0])
        return super()._answer_servers(request, server_id, what)

    def _change_item(self, method, server, what, key):
        there = server[what]
        if method == 'PUT':
            if key not in there:
                there.append(key)
            return 201, None
        if key not in there:
            words = {'tags': 'tag', 'metadata': 'metadata item'}
            raise Refused(404, f'{words[what]} {key} does not exist')
        del there[there.index(key) if what == 'tags' else key]
        return 204, None

    def _act(self, server, action, arguments):
        change = {
            'addSecurityGroup': self._join,
            'removeSecurityGroup': self._part,
        }.get(action)
        if change is None:
            return super()._act(server, action, arguments)
        self.actions.append((action, arguments))
        group = self._one('security-groups', arguments['name'])['id']
        for port in self._ports_of(server):
            change(port['security_groups'], group, server)
        return 202, None

    def _join(self, groups, group, server):
        # Neutron makes a set of what Nova gives it.
        if group not in groups:
            groups.append(group)

    def _part(self, groups, group, server):
        if group not in groups:
            text = f'Security group {group} not associated with the instance '
            raise Refused(404, text + server['id'])
        groups.remove(group)
