# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of a whole OpenStack, which can be told to go wrong.

It leads every call of a client through itself: the catalog, the documents of
versions and every link name it in place of the services. So it needs nothing
but the URL of Keystone, and the client nothing but another ``auth_url``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import re
import select
import signal
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import requests

from tests.faults import calls
from tests.faults.calls import Call

if TYPE_CHECKING:
    from tests.faults.faults import Fault

_HOST = '127.0.0.1'
#: Of an answer, what is about the connection to the upstream.
_HOPS = ('connection', 'content-length', 'content-encoding', 'keep-alive')
_HOPS += ('transfer-encoding', 'date', 'server')
#: Seconds for a client to act on a signal, and to give up on an answer.
_REFLEX = 0.03
_ENDURANCE = 90.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came of a call, or what is to be said to have come of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to go wrong, and at which call."""

    call: Call
    fault: Fault


class Proxy(http.server.ThreadingHTTPServer):
    """Listens from the first moment, and serves between start and stop.

    :param auth_url: of the real Keystone.
    :param session: makes the session with which calls are passed on.
    :param plan: what is to go wrong, None for nothing.
    :ivar exchanges: all calls so far.
    """

    daemon_threads = False
    request_queue_size = 64

    def __init__(
        self,
        auth_url: str,
        session: Callable[[], requests.Session] = requests.Session,
        plan: Plan | None = None,
    ) -> None:
        super().__init__((_HOST, 0), _Handler)
        url = urllib.parse.urlsplit(auth_url)
        self.session = session
        self.plan = plan
        self.client = 0
        self.exchanges: list[Exchange] = []
        self.counter = calls.Counter()
        self._origins = {f'{url.scheme}://{url.netloc}': 'identity'}
        self._struck: Exchange | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={'poll_interval': 0.02}
        )
        self.auth_url = self.ours(auth_url.encode()).decode()

    # ------------------------------------------------------------- running

    def arm(self, plan: Plan | None) -> None:
        """Begin to count anew, with something else to go wrong."""
        with self._lock:
            self.plan, self._struck, self.client = plan, None, 0
            self.exchanges, self.counter = [], calls.Counter()

    def start(self, client: int = 0) -> None:
        """Begin to answer.

        :param client: id of the process that faults may send signals to.
        """
        self.client = client
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; all connections are closed when this returns."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Know who is connected."""
        self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        """Forget who was."""
        self._open.discard(request)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up, which is what this is for."""

    # ------------------------------------------------------------- leading

    def ours(self, text: bytes) -> bytes:
        """Name this proxy where a service of the cloud is named."""
        for origin in self._origins:
            _, _, netloc = origin.partition('://')
            mine = f'http://{_HOST}:{self.server_port}/{netloc}'
            text = text.replace(origin.encode(), mine.encode())
        return text

    def theirs(self, path: str) -> tuple[str, str, str]:
        """Give the URL, the service and the path there of a path here."""
        netloc, slash, rest = path[1:].partition('/')
        for origin, service in self._origins.items():
            if origin.endswith(f'://{netloc}'):
                return f'{origin}{slash}{rest}', service, f'/{rest}'
        raise LookupError(path)

    def learn(self, document: bytes) -> None:
        """Learn from a token's catalog where the services are."""
        with contextlib.suppress(ValueError, LookupError, TypeError):
            for entry in json.loads(document)['token']['catalog']:
                for endpoint in entry['endpoints']:
                    found = re.match('https?://[^/]+', endpoint['url'])
                    if found:
                        self._origins.setdefault(found[0], entry['type'])

    # ------------------------------------------------------------ going on

    def treatment(self, exchange: Exchange) -> Callable[[Exchange], None]:
        """Choose what is done with a call."""
        with self._lock:
            self.exchanges.append(exchange)
            plan, struck = self.plan, self._struck
            if plan and struck and plan.fault.again(struck, exchange):
                return plan.fault.treat
            if plan and not struck and plan.call == exchange.call:
                self._struck = exchange
                return plan.fault.treat
        return Exchange.go_through

    @property
    def struck(self) -> bool:
        """Whether the call at which it was to go wrong was made."""
        return self._struck is not None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Proxy

    def setup(self) -> None:
        super().setup()
        self.upstream = self.server.session()
        self.upstream.trust_env = False

    def finish(self) -> None:
        self.upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *args: object) -> None:
        """Say nothing; the exchanges are kept."""

    def _handle(self) -> None:
        length = int(self.headers.get('Content-Length') or 0)
        exchange = Exchange(self, self.rfile.read(length))
        treat = self.server.treatment(exchange)
        try:
            treat(exchange)
        except OSError:
            # Who was hit by the fault has hung up.
            self.close_connection = True

    # So BaseHTTPRequestHandler looks for them.
    do_GET = do_HEAD = do_POST = _handle  # noqa: N815
    do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815


class Exchange:
    """One call that passes here: what a fault can do with it.

    :ivar call: which one it is.
    :ivar token: with which it was made, '' if without.
    :ivar status: what the cloud itself answered, 0 if it was not asked.
    """

    def __init__(self, handler: _Handler, body: bytes) -> None:
        self._handler, self._body, self._proxy = handler, body, handler.server
        self._url, service, path = self._proxy.theirs(handler.path)
        kind = calls.kind(handler.command, service, path, body)
        self.call = self._proxy.counter.next(kind)
        self.token = handler.headers.get('X-Auth-Token') or ''
        self.status = 0

    # ------------------------------------------------- what faults are of

    def go_through(self) -> None:
        """Do what was asked, and give the answer."""
        self.answer(self.carry_out())

    def carry_out(self) -> Answer:
        """Have the cloud do what was asked."""
        names = (*_HOPS, 'host', 'accept-encoding')
        headers = {
            key: value
            for key, value in self._handler.headers.items()
            if key.lower() not in names
        }
        done = self._handler.upstream.request(
            self._handler.command,
            self._url,
            headers=headers,
            data=self._body,
            allow_redirects=False,
        )
        self.status = done.status_code
        if 'X-Subject-Token' in done.headers:
            self._proxy.learn(done.content)
        kept = {
            key: self._proxy.ours(value.encode()).decode()
            for key, value in done.headers.items()
            if key.lower() not in _HOPS
        }
        body = self._proxy.ours(done.content)
        return Answer(done.status_code, kept, body)

    def answer(self, answer: Answer) -> None:
        """Give an answer, whether or not it is the cloud's."""
        handler = self._handler
        handler.send_response(answer.status)
        for key, value in answer.headers.items():
            handler.send_header(key, value)
        # Of what has no body, the length may be none either (RFC 9110, 8.6).
        if answer.status != 204:
            handler.send_header('Content-Length', str(len(answer.body)))
        handler.end_headers()
        if handler.command != 'HEAD':
            handler.wfile.write(answer.body)
        handler.wfile.flush()

    def refuse(self, status: int, **headers: str) -> None:
        """Answer that it was not done, as a service or what is before it."""
        body = {'error': {'code': status, 'message': 'Injected fault'}}
        named = {key.replace('_', '-'): v for key, v in headers.items()}
        kind = {'Content-Type': 'application/json'}
        self.answer(Answer(status, kind | named, json.dumps(body).encode()))

    def reset(self) -> None:
        """Break the connection: the client gets a TCP reset."""
        handler = self._handler
        handler.close_connection = True
        connection = handler.connection
        # To close with a linger of no time at all sends RST (tcp(7)).
        at_once = struct.pack('ii', 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        os.close(connection.detach())

    def keep_silent(self) -> None:
        """Say nothing until the client has given up."""
        readable = [self._handler.connection]
        select.select(readable, [], [], _ENDURANCE)

    def send(self, number: signal.Signals) -> None:
        """Send the client a signal, and let it act on that."""
        if self._proxy.client:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._proxy.client, number)
        time.sleep(_REFLEX)


def calls_of(exchanges: Sequence[Exchange]) -> list[Call]:
    """Give the calls that were made, in their order."""
    return [exchange.call for exchange in exchanges]
