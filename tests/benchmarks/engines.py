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


class _Engine(http.server.ThreadingHTTPServer):
    """Shakes hands in the thread of the connection."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those who go away."""


def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    engine = _Engine(context)
    # Nobody accepts, so the first stay without an answer, the others even
    # without a connection, as behind a closed security group.
    dead = socket.create_server(('127.0.0.1', 0), backlog=1)
    print(engine.server_port, dead.getsockname()[1], flush=True)
    folder = pathlib.Path(sys.stdin.readline().strip())
    context.load_cert_chain(folder / keys.ENGINE, folder / keys.ENGINE_KEY)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == '__main__':
    main()
