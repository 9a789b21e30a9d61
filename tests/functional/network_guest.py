# SPDX-License-Identifier: Apache-2.0
"""A server of a devcloud that answers and asks over the network."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.functional import own_cloud

OPEN, OTHER, FAR = 8000, 8001, 8010
# Answers each line with the address that it sees the client at.
SERVER = """
import socket, socketserver, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(self.client_address[0].encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
class Server6(Server):
    address_family = socket.AF_INET6
    def server_bind(self):
        # IPv4 has a server of its own
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()
for port in (8000, 8001, 8010):
    for kind in (Server, Server6):
        server = kind(('', port), Handler)
        threading.Thread(target=server.serve_forever).start()
"""
CLIENT = """
import socket, sys
address, port, source, patience = sys.argv[1:]
try:
    with socket.create_connection(
        (address, int(port)), float(patience), (source, 0) if source else None
    ) as talk:
        talk.sendall(b'?\\n')
        print(talk.recv(100).decode() or 'closed')
except TimeoutError:
    print('silence')
except OSError as error:
    print(error.strerror)
"""


class Guest:
    """A server with one port, and a program that answers."""

    def __init__(
        self, cloud: own_cloud.Cloud, user: Any, network: Any, group: Any
    ) -> None:
        self._cloud, self.user, self.group = cloud, user, group
        self.port = user.network.create_port(
            network_id=network.id, security_groups=[group.id]
        )
        addresses = [f['ip_address'] for f in self.port.fixed_ips]
        self.fixed = next(a for a in addresses if ':' not in a)
        self.fixed6 = next((a for a in addresses if ':' in a), '')
        self.server = user.compute.create_server(
            name=own_cloud.unique('dataplane'),
            image_id=user.image.find_image('debian-12').id,
            flavor_id=user.compute.find_flavor('m1.small').id,
            networks=[{'port': self.port.id}],
        )

    def wait(self) -> None:
        """Until it runs, has its address and answers."""
        self.user.compute.wait_for_server(self.server, interval=0.2)
        self.leader = self._cloud.show(self.server.id)['leader']
        own_cloud.soon(
            lambda: (
                self.fixed in self.speak('ip', '-4', 'addr')
                and self.fixed6 in self.speak('ip', '-6', 'addr')
                and 'default' in self.speak('ip', 'route')
            ),
            'address and route',
        )
        self.run('systemd-run', 'python3', '-c', SERVER)
        own_cloud.soon(lambda: self.ask('::1', FAR) == '::1', 'server')

    def run(self, *command: str) -> str:
        """What a command says in the guest, whatever its exit status."""
        return self._cloud.guest('exec', self.server.id, '--', *command).stdout

    def speak(self, *command: str) -> str:
        """As `run`, but only the guest's network: that is much faster."""
        return subprocess.run(
            ['nsenter', '--net', '--target', str(self.leader), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    def ask(
        self,
        address: str,
        port: int = OPEN,
        source: str = '',
        patience: float = own_cloud.PATIENCE,
    ) -> str:
        """What somebody says to this guest, or why nothing is said."""
        client = (sys.executable, '-ISc', CLIENT)
        return self.speak(
            *client, address, str(port), source, str(patience)
        ).strip()

    def is_silent(
        self, address: str, port: int = OPEN, source: str = ''
    ) -> bool:
        """Nobody answers this guest, nor refuses."""
        return self.ask(address, port, source, own_cloud.SILENCE) == 'silence'

    def is_refused(self, address: str, port: int = OPEN) -> bool:
        """The network says no; the kernel limits how often it does."""
        said = self.ask(address, port, '', own_cloud.SILENCE)
        return said in ('No route to host', 'silence')

    def pings(self, address: str) -> bool:
        return ' 0% packet loss' in self.run(
            'ping', '-c', '1', '-W', '1', address
        )

    def join(self, *groups: Any) -> None:
        """Be in these security groups and no other."""
        self.port = self.user.network.update_port(
            self.port, security_groups=[g.id for g in groups]
        )


def tcp(port: int) -> dict[str, Any]:
    """A rule's fields for one port."""
    return {'port_range_min': port, 'port_range_max': port}


def package_archive(guest: Guest) -> str:
    """Where the guest's apt is told to go."""
    text = guest.run('cat', '/etc/apt/sources.list')
    found = re.search(r'(https?://\S+) (\S+)', text)
    if not found:
        raise own_cloud.Failure(text)
    return f'{found[1]}/dists/{found[2]}/InRelease'


def outside_address(guest: Guest) -> str:
    """An address that a guest with a way out reaches."""
    host = package_archive(guest).split('/')[2].split(':')[0]
    return guest.run('getent', 'ahostsv4', host).split()[0]


@contextlib.contextmanager
def connection(address: str) -> Iterator[socket.socket]:
    with socket.create_connection((address, OPEN), own_cloud.SOON) as talk:
        yield talk


def heard(talk: socket.socket, patience: float = own_cloud.PATIENCE) -> bool:
    """Whether the other side of an open connection answers."""
    talk.settimeout(patience)
    talk.sendall(b'?\n')
    try:
        return bool(talk.recv(100))
    except TimeoutError:
        return False
