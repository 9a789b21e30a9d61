# SPDX-License-Identifier: Apache-2.0
"""What all services share: an HTTP server, an access log, a tidy end."""

from __future__ import annotations

import logging
import os
import pathlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy
import waitress
from sqlalchemy import orm

from devcloud.settings import Settings

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_STARTED = time.monotonic()


def say(text: str) -> None:
    """A line with the seconds since the start, to ``log/<service>.out``."""
    print(f'{time.monotonic() - _STARTED:7.2f} {text}', flush=True)


class AccessLog:
    """One line a request: time service method path status ms user-agent.

    All services of a cloud share the file; a line is one write(2) to a file
    opened to append, so lines stay whole.
    """

    def __init__(
        self, path: pathlib.Path, service: str, application: Application
    ) -> None:
        self._service = service
        self._application = application
        self._file = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644
        )

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        start = time.time()
        path = environ['SCRIPT_NAME'] + environ['PATH_INFO']
        if environ.get('QUERY_STRING'):
            path += '?' + environ['QUERY_STRING']
        status = '-'

        def respond(code: str, *args: Any) -> Any:
            nonlocal status
            status = code.split(maxsplit=1)[0]
            return start_response(code, *args)

        result = self._application(environ, respond)
        agent = (environ.get('HTTP_USER_AGENT') or '-').split() or ['-']
        ms = (time.time() - start) * 1000
        line = (
            f'{start:.3f} {self._service} {environ["REQUEST_METHOD"]} '
            f'{path} {status} {ms:.0f}ms {agent[0]}\n'
        )
        os.write(self._file, line.encode())
        return result


def server(
    settings: Settings, service: str, application: Application, threads: int
) -> Any:
    """Listen on the service's port of 127.0.0.1; not yet serving."""
    # 'task queue depth' at every burst of requests
    logging.getLogger('waitress.queue').setLevel(logging.ERROR)
    logged = AccessLog(settings.log / 'access.log', service, application)
    return waitress.create_server(
        logged,
        host='127.0.0.1',
        port=settings.ports[service],
        threads=threads,
        ident=None,
        connection_limit=500,
        # bytes and seconds
        max_request_body_size=8 << 30,
        channel_timeout=300,
        clear_untrusted_proxy_headers=True,
    )


def run(
    settings: Settings,
    name: str,
    listener: Any,
    at_stop: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM; does not return.

    The launcher waits for the ready file and knows it by the pid in it.
    """
    # now, and not in the threads of the first requests
    orm.configure_mappers()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=listener.run, daemon=True).start()
    (settings.run / f'{name}.ready').write_text(f'{os.getpid()}\n')
    say('ready')
    # a wait without a limit can not be interrupted by a signal's handler
    while not stop.wait(3600):
        pass
    listener.close()
    if at_stop:
        at_stop()
    logging.shutdown()
    os._exit(0)


def wait_for_port(port: int, timeout: float) -> None:
    """Return when somebody listens on the port of 127.0.0.1.

    :raises TimeoutError: when nobody does within `timeout` seconds
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f'nobody listens on 127.0.0.1:{port}')


def stamp(engine: Any, heads: Iterable[str]) -> None:
    """Tell Alembic that a schema made from the models is at `heads`."""
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                'CREATE TABLE alembic_version '
                '(version_num VARCHAR(32) NOT NULL PRIMARY KEY)'
            )
        )
        for revision in heads:
            connection.execute(
                sqlalchemy.text('INSERT INTO alembic_version VALUES (:r)'),
                {'r': revision},
            )
    engine.dispose()
