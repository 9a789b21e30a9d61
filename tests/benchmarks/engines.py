# SPDX-License-Identifier: Apache-2.0
"""Engines, as many as one likes: one that answers, one that never does.

    python -m tests.benchmarks.engines

Prints the two ports; reads the folder in which tests/benchmarks/keys.py has
written the certificate, and serves until its stdin ends.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import socket
import ssl
import sys
import threading
from typing import Any

from tests.benchmarks import keys

_VERSION = {
    'Version': '20.10.24+dfsg1',
    'ApiVersion': '1.41',
    'Os': 'linux',
    'Arch': 'amd64',
    'KernelVersion': '6.1.0',
}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(_VERSION).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Engine(http.server.ThreadingHTTPServer):
    """Shakes hands in the thread of the connection.

    :param context: with its certificate, by the time that it serves.
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self,
        context: ssl.SSLContext,
        address: str = '127.0.0.1',
        port: int = 0,
    ) -> None:
        super().__init__((address, port), _Handler)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those who go away."""


def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    engine = Engine(context)
    # Its queue is full, so the kernel drops what comes: as at a host that is
    # off, or behind a closed security group.
    dead = socket.create_server(('127.0.0.1', 0), backlog=0)
    filling = socket.create_connection(dead.getsockname())
    print(engine.server_port, dead.getsockname()[1], flush=True)
    folder = pathlib.Path(sys.stdin.readline().strip())
    context.load_cert_chain(folder / keys.ENGINE, folder / keys.ENGINE_KEY)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    sys.stdin.read()
    filling.close()


if __name__ == '__main__':
    main()
