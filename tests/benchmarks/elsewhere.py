# SPDX-License-Identifier: Apache-2.0
"""A cloud whose guests boot on other computers, as those of real clouds do.

    python -m tests.benchmarks.elsewhere SECONDS

The cloud is that of the unit tests, behind real HTTP, and a boot takes
SECONDS in which nothing is done here. Then the host says on its console what
it has to say, and there are a real port that greets as SSH and a real engine's
TLS, at an address of loopback for each machine. Prints the URL of Keystone,
and serves until its stdin ends.
"""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import socketserver
import ssl
import sys
import tempfile
import threading
from typing import Any

from cryptography.hazmat.primitives import serialization

from tests.benchmarks.engines import Engine
from tests.benchmarks.standins import SSH_PORT
from tests.faults.proxy import Proxy
from tests.faults.standin import StandIn
from tests.unit import selfsigning, workbench
from tests.unit.fakecloud import AUTH_URL

_MANY = 1000


class _Greeter(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b'SSH-2.0-elsewhere\r\n')


class _Ssh(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Elsewhere(StandIn):
    """A cloud that boots guests in so many seconds."""

    def __init__(self, seconds: float, folder: pathlib.Path) -> None:
        self._numbers = itertools.count(1)
        super().__init__()
        self._seconds, self._folder = seconds, folder
        self._consoles: dict[str, str] = {}
        self.console = self._console
        self.limits = dict.fromkeys(self.limits, _MANY * _MANY)
        self.quota = dict.fromkeys(self.quota, _MANY)

    def add_floating_ip(self, *arguments: Any, **more: Any) -> dict[str, Any]:
        """Give an address of loopback."""
        added: dict[str, Any] = super().add_floating_ip(*arguments, **more)
        number = next(self._numbers)
        address = f'127.77.{number // 250}.{number % 250 + 1}'
        added['floating_ip_address'] = address
        return added

    def _boot(self, body: dict[str, Any]) -> dict[str, Any]:
        server: dict[str, Any] = super()._boot(body)
        timer = threading.Timer(self._seconds, self._up, (server, body))
        timer.daemon = True
        timer.start()
        return server

    def _console(self, server: dict[str, Any]) -> str:
        return self._consoles.get(server['id'], '')

    def _up(self, server: dict[str, Any], body: dict[str, Any]) -> None:
        """Be there: with keys, SSH, and the engine."""
        facts = body['metadata']
        machine_id = facts['docker-machine:id']
        address = facts['docker-machine:address']
        asked, ca = selfsigning.told(body['user_data'])
        der, key = selfsigning.make(asked)
        text = workbench.CONSOLE + selfsigning.on_console(machine_id, der)
        self._consoles[server['id']] = text.replace('{id}', machine_id)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        own = self._folder / f'{machine_id}.pem'
        own.write_text(ssl.DER_cert_to_PEM_cert(der) + pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own)
        context.load_verify_locations(cadata=ca)
        context.verify_mode = ssl.CERT_REQUIRED
        for there in (
            _Ssh((address, SSH_PORT), _Greeter),
            Engine(context, address, 2376),
        ):
            threading.Thread(target=there.serve_forever, daemon=True).start()


def main() -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        cloud = Elsewhere(float(sys.argv[1]), pathlib.Path(folder))
        proxy = Proxy(AUTH_URL, cloud.session)
        proxy.start()
        stack.callback(proxy.stop)
        print(proxy.auth_url, flush=True)
        sys.stdin.read()


if __name__ == '__main__':
    main()
