# SPDX-License-Identifier: Apache-2.0
"""What the fake services have in common."""

import urllib.parse

#: The project that the tests log in to, and somebody else's.
PROJECT, OTHER = 'a' * 32, 'b' * 32
TIME = '2026-11-22T12:00:00Z'
_NOVA = {
    400: 'badRequest',
    403: 'forbidden',
    404: 'itemNotFound',
    409: 'conflictingRequest',
}


class Refused(Exception):
    """An answer that is an error; the kind is Neutron's type of it."""

    def __init__(self, status, message, kind='HTTPError'):
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind

    def body(self, service):
        """Give the body as that service writes it."""
        if service == 'network':
            body = {'type': self.kind, 'message': self.message, 'detail': ''}
            return {'NeutronError': body}
        body = {'code': self.status, 'message': self.message}
        if service == 'compute':
            return {_NOVA.get(self.status, 'computeFault'): body}
        return {'error': body}


def query_of(request):
    """Give the query; requests-mock's own is in lower case."""
    return urllib.parse.parse_qs(urllib.parse.urlsplit(request.url).query)


def fits(thing, query):
    """Tell whether a thing fits all of a query."""
    return all(str(thing.get(k)) in values for k, values in query.items())
