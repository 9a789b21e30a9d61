# SPDX-License-Identifier: Apache-2.0
"""Asking an engine for its version over mutual TLS."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.client
import json
import pathlib
import re
import socket
import ssl
import threading

from dockermachine_osc import errors
from dockermachine_osc.waiting import Deadline

_MAX_ANSWER = 64 * 1024
# The DER of object identifier 2.5.29.14, RFC 5280, section 4.2.1.2.
_SUBJECT_KEY_IDENTIFIER = bytes.fromhex('0603551d0e')
_TEXT = re.compile(r'[ -~]{1,100}')
# Seconds for one of several tries.
_TRY = 3.0
# Seconds for a connection: it is the kernel that accepts it, however busy the
# engine is, and a packet that got lost is sent again after one (RFC 6298).
_CONNECT = 1.5


# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED,
# X509_STORE_CTX_get_error(3).
_DATES = {9: 'is not valid yet', 10: 'has expired'}


class EngineUnreachable(errors.EngineFailure):
    """No connection to the engine's address can be had."""


class EngineRefused(EngineUnreachable):
    """Nothing listens on the engine's port."""


class EngineTimeout(EngineUnreachable):
    """Nobody answers at all: off, no route, or a closed security group."""


class EngineUntrusted(errors.EngineFailure):
    """The engine's certificate does not prove that it is the engine."""


class ClientRefused(errors.EngineFailure):
    """The engine does not accept our certificate."""


class AnswerUnknown(errors.EngineFailure):
    """Something answers, and it is no engine."""


@dataclasses.dataclass(frozen=True)
class EngineFacts:
    """What an engine says of itself at GET /version."""

    version: str
    api_version: str
    os: str
    arch: str
    kernel: str


def ask(
    address: str, port: int, folder: pathlib.Path, timeout: float
) -> EngineFacts:
    """Ask the engine who it is, and make sure that it is the right one.

    :param address: a host name or an address, IPv6 with or without brackets.
    :param folder: has ca.pem, cert.pem and key.pem.
    :param timeout: seconds for the answer; a host that does not even accept
        the connection is given up sooner.
    :raises EngineFailure: one of the classes of this module.
    """
    address = address.removeprefix('[').removesuffix(']')
    where = f'[{address}]:{port}' if ':' in address else f'{address}:{port}'
    context = _context(folder)
    connection = http.client.HTTPSConnection(
        address, port, timeout=timeout, context=context
    )
    try:
        plain = socket.create_connection(
            (address, port), min(timeout, _CONNECT)
        )
        plain.settimeout(timeout)
        connection.sock = context.wrap_socket(plain, server_hostname=address)
        body = _get(connection, timeout)
    except (OSError, http.client.HTTPException) as error:
        raise _classified(error, where) from error
    finally:
        connection.close()
    return read_facts(body, where)


def wait_ready(
    address: str,
    port: int,
    folder: pathlib.Path,
    deadline: Deadline,
) -> EngineFacts:
    """Ask until the engine answers, often: a port that refuses costs nothing.

    What waiting cannot mend is raised at once: a certificate of somebody
    else, ours refused, an answer that is no engine's.

    :param deadline: at least one try is made.
    :raises EngineFailure: one of the classes of this module.
    """
    silent: EngineUnreachable | None = None
    for _ in deadline.polls(first=0.02, most=0.1, factor=1.6):
        most = max(0.1, min(_TRY, deadline.remaining))
        try:
            return ask(address, port, folder, most)
        except EngineUnreachable as error:
            silent = error
    raise silent or deadline.exceeded('The engine did not answer')


def _context(folder: pathlib.Path) -> ssl.SSLContext:
    """Trust the machine's own CA and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(folder / 'ca.pem')
        context.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
    except (OSError, ssl.SSLError) as error:
        raise errors.StoreFailure(
            f'The certificates in {folder} cannot be used: {error}.'
        ) from error
    if _is_strict(context):
        # Python 3.13 sets it by default.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def _is_strict(context: ssl.SSLContext) -> bool:
    """Tell whether a chain of this CA can pass the strict checks.

    A CA has to have a subject key identifier, which those of Docker Machine
    lack. Who is trusted does not depend on it: this very CA, and no other.
    """
    return all(
        _SUBJECT_KEY_IDENTIFIER in authority
        for authority in context.get_ca_certs(binary_form=True)
    )


def _get(connection: http.client.HTTPSConnection, timeout: float) -> bytes:
    """Read the answer to GET /version, which needs no version of the API.

    :raises TimeoutError: if the answer is not whole in time, however steadily
        it comes: the time of a socket is that for each of its bytes.
    """
    late = threading.Event()
    timer = threading.Timer(timeout, _hang_up, (connection.sock, late))
    timer.start()
    try:
        body = _answer(connection)
    except (OSError, http.client.HTTPException):
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError('the answer does not end')
    return body


def _hang_up(connection: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        # That of TLS would take the connection from whoever reads from it.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _answer(connection: http.client.HTTPSConnection) -> bytes:
    # With TLS 1.3 the engine refuses our certificate when we talk already.
    # What it says then is still to be read, whatever became of the request.
    with contextlib.suppress(OSError):
        connection.request('GET', '/version')
    response = connection.getresponse()
    body = b''
    while chunk := response.read1(_MAX_ANSWER):
        body += chunk
        if len(body) > _MAX_ANSWER:
            raise http.client.HTTPException('the answer is too long')
    if response.status != http.HTTPStatus.OK:
        raise http.client.HTTPException(f'HTTP status {response.status}')
    return body


def _classified(error: Exception, where: str) -> errors.EngineFailure:
    """Turn what the socket said into what it means."""
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error, where)
    # An engine that is going down hangs up, which is both.
    if isinstance(error, OSError):
        return _unreachable(error, where)
    return AnswerUnknown(f'{where} does not answer as an engine: {error}.')


def _tls_failure(error: ssl.SSLError, where: str) -> errors.EngineFailure:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _DATES:
            return _not_valid_now(_DATES[error.verify_code], where)
        return EngineUntrusted(
            f'The certificate at {where} is not the one of this machine: '
            f'{error.verify_message}.'
        )
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return EngineUnreachable(f'{where} hung up during the TLS handshake.')
    reason = (error.reason or str(error)).lower().replace('_', ' ')
    if 'alert' in reason and re.search('cert|unknown ca|denied', reason):
        return ClientRefused(
            f'The engine at {where} refuses our certificate ({reason}).',
            'By its clock it may not be valid: openstack docker machine '
            'check compares the clocks; cert renew makes another',
        )
    return AnswerUnknown(f'{where} does not speak TLS as we do ({reason}).')


def _not_valid_now(problem: str, where: str) -> EngineUntrusted:
    now = datetime.datetime.now(datetime.UTC)
    return EngineUntrusted(
        f'The certificate at {where} {problem}, by the clock here: '
        f'{now:%Y-%m-%d %H:%M} UTC.',
        'If that is not the time, set this clock. Else: openstack docker '
        'machine cert renew',
    )


def _unreachable(error: OSError, where: str) -> EngineUnreachable:
    if isinstance(error, TimeoutError):
        return EngineTimeout(
            f'Nobody answers at {where}.',
            'The security group may be closed for this address.',
        )
    if isinstance(error, ConnectionRefusedError):
        return EngineRefused(f'No engine listens at {where}.')
    text = error.strerror or str(error)
    return EngineUnreachable(f'{where} cannot be reached: {text}.')


def read_facts(body: bytes | str, where: str) -> EngineFacts:
    """Read what an engine says of itself, as JSON.

    :raises AnswerUnknown: it is something else.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    names = ('Version', 'ApiVersion', 'Os', 'Arch', 'KernelVersion')
    values = [
        answer.get(name) if isinstance(answer, dict) else None
        for name in names
    ]
    good = [v for v in values if isinstance(v, str) and _TEXT.fullmatch(v)]
    if len(good) != len(names):
        raise AnswerUnknown(f'{where} answers, but not as an engine does.')
    return EngineFacts(*good)
