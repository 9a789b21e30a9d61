# SPDX-License-Identifier: Apache-2.0
"""Clients that an engine must not let in, and ports as seen from here."""

from __future__ import annotations

import pathlib
import socket
import ssl
import tempfile
import warnings

from dockermachine_osc import pki

_PATIENCE = 10.0
# Seconds after which a port that says nothing is taken for closed: the
# network's rules drop what they do not let through.
_SILENCE = 1.0


def open_ports(
    address: str, ports: tuple[int, ...] = (22, 80, 443, 2375, 2376, 8080)
) -> list[int]:
    """Give the ports that can be connected to."""
    found = []
    for port in ports:
        try:
            socket.create_connection((address, port), _SILENCE).close()
        except OSError:
            continue
        found.append(port)
    return found


def identity(folder: pathlib.Path) -> bytes:
    """Give the certificate and the key of a machine's client."""
    return (folder / 'cert.pem').read_bytes() + (
        folder / 'key.pem'
    ).read_bytes()


def forged(machine: str) -> bytes:
    """Give those by an authority with the very name of a machine's own."""
    issued = pki.Authority.create(machine).client(f'{machine} client')
    return issued.certificate + issued.key


class Door:
    """The port of an engine.

    :param folder: with the ca.pem of the engine's authority.
    """

    def __init__(self, address: str, port: int, folder: pathlib.Path) -> None:
        self._where = (address, port)
        self._ca = folder / 'ca.pem'

    def lets_in(self, who: bytes | None) -> bool:
        """Tell whether the engine answers; who is PEM, None for nobody."""
        context = self._context(who)
        try:
            return self._status(context) == b'HTTP/1.1 200'
        except (ssl.SSLError, ConnectionResetError):
            return False

    def speaks_tls_1_1(self, who: bytes) -> bool:
        """Tell whether the engine takes up what is out of date."""
        context = self._context(who)
        # Else our own library would not say it, either.
        context.set_ciphers('ALL:@SECLEVEL=0')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            self._status(context)
        except ssl.SSLError as error:
            if 'PROTOCOL_VERSION' not in str(error.reason):
                raise
            return False
        return True

    def _context(self, who: bytes | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._ca))
        if who:
            with tempfile.NamedTemporaryFile() as file:
                file.write(who)
                file.flush()
                context.load_cert_chain(file.name)
        return context

    def _status(self, context: ssl.SSLContext) -> bytes:
        with (
            socket.create_connection(self._where, _PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=self._where[0]) as talk,
        ):
            talk.sendall(b'GET /_ping HTTP/1.1\r\nHost: engine\r\n\r\n')
            return talk.recv(12)
