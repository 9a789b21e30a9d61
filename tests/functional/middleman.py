# SPDX-License-Identifier: Apache-2.0
"""A man in the middle on the devcloud's network.

Sits where the router is: what the workstation sends to a machine's ports of
SSH and of the engine comes to servers of his, with keys of his, who let
everybody in and remember what they are given.
"""

from __future__ import annotations

import contextlib
import logging
import pathlib
import socket
import ssl
import subprocess
import threading
import uuid
from typing import Any

import fixtures
import paramiko

from dockermachine_osc import pki
from tests.functional import devcloud

logging.getLogger('paramiko').setLevel(logging.CRITICAL)

# Before the devcloud's own rules for floating IPs, which come at -100.
_RULES = """\
table ip {table} {{
  chain in_between {{
    type nat hook output priority -150; policy accept;
    ip daddr {address} tcp dport 22 redirect to :{ssh}
    ip daddr {address} tcp dport 2376 redirect to :{engine}
  }}
}}
"""


class Middleman(fixtures.Fixture):
    """In between while it is used.

    :param address: the machine's.
    :param names: that his certificate names.
    :ivar met: how often somebody came, by 'ssh' and 'engine'.
    :ivar got: what he was given: names and ways of log-ins, commands, and
        what was sent through TLS.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.met = {'ssh': 0, 'engine': 0}
        self.got: list[str] = []
        self._host_keys: list[paramiko.PKey] = [
            paramiko.ECDSAKey.generate(),
            paramiko.RSAKey.generate(2048),
        ]

    def _setUp(self) -> None:
        ports = {
            'ssh': self._listen(self._ssh),
            'engine': self._listen(self._engine),
        }
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        # An authority of the same name as the machine's own.
        authority = pki.Authority.create('machine')
        issued = authority.server([self.address])
        (folder / 'pem').write_bytes(issued.certificate + issued.key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / 'pem')
        table = f'middleman_{devcloud.PORT}_{uuid.uuid4().hex[:8]}'
        rules = _RULES.format(table=table, address=self.address, **ports)
        subprocess.run(['nft', '-f', '-'], input=rules, text=True, check=True)
        self.addCleanup(
            subprocess.run, ['nft', 'delete', 'table', 'ip', table], check=True
        )

    def _listen(self, serve: Any) -> int:
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)
        self.addCleanup(server.shutdown, socket.SHUT_RDWR)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    client.settimeout(30)
                    threading.Thread(
                        target=serve, args=(client,), daemon=True
                    ).start()

        threading.Thread(target=accept, daemon=True).start()
        return int(server.getsockname()[1])

    def _ssh(self, client: socket.socket) -> None:
        self.met['ssh'] += 1
        transport = paramiko.Transport(client)
        for key in self._host_keys:
            transport.add_server_key(key)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_Everybody(self.got))

    def _engine(self, client: socket.socket) -> None:
        self.met['engine'] += 1
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(client, server_side=True) as trusting,
        ):
            self.got.append(f'through TLS: {trusting.recv(65536)!r}')
            trusting.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')


class _Everybody(paramiko.ServerInterface):
    """Lets everybody in, and notes what they show and say."""

    def __init__(self, got: list[str]) -> None:
        self._got = got

    def check_auth_none(self, username: str) -> int:
        self._got.append(f'{username} without a proof')
        return paramiko.common.AUTH_SUCCESSFUL

    def check_auth_password(self, username: str, password: str) -> int:
        self._got.append(f'{username} with password {password}')
        return paramiko.common.AUTH_SUCCESSFUL

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._got.append(f'{username} with key {key.get_base64()}')
        return paramiko.common.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return 'none,publickey,password'

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self._got.append(f'channel {kind}')
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(
        self, channel: paramiko.Channel, command: bytes
    ) -> bool:
        self._got.append(f'command {command!r}')
        return True
