# SPDX-License-Identifier: Apache-2.0
"""Make oslo.db safe on SQLite files with several writers.

With oslo.db's own settings parallel writers fail at once: a transaction
that reads before it writes begins deferred, and when it wants the write lock
SQLite answers SQLITE_BUSY without waiting, whatever the time-out.  So:

1. WAL: readers and the writer never wait for each other.
2. A *writer* transaction of enginefacade starts with BEGIN IMMEDIATE, so two
   writers queue up on the busy time-out.
3. 'database is locked' is reported as DBDeadlock, which services retry.
4. Connections are kept in a pool; opening the file for each transaction
   (oslo.db's NullPool) costs a tenth of the CPU time.

https://www.sqlite.org/isolation.html, https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import sqlalchemy
from oslo_db import exception
from oslo_db.sqlalchemy import enginefacade, engines, exc_filters
from sqlalchemy import event, pool
from sqlalchemy import exc as sqla_exc

_BUSY_TIMEOUT_MS = 60000
_WRITER = 'devcloud_writer'


def install() -> None:
    """Patch oslo.db in this process; call once, before engines are made."""
    _patch_engines()
    _patch_facade()
    exc_filters.filters(
        'sqlite', sqla_exc.OperationalError, r'.*database (table )?is locked'
    )(_raise_deadlock)


def _raise_deadlock(
    error: Exception, match: Any, engine_name: str, is_disconnect: bool
) -> None:
    raise exception.DBDeadlock(error)


def _patch_engines() -> None:
    inner = engines.create_engine

    def create_engine(*args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault('_engine_target', _pooled_engine)
        _switch_to_wal(kwargs.get('sql_connection') or args[0])
        engine = inner(*args, **kwargs)
        if engine.dialect.name == 'sqlite':
            _listen(engine)
        return engine

    engines.create_engine = create_engine


def _pooled_engine(url: Any, **kwargs: Any) -> tuple[Any, Any]:
    if url.get_backend_name() == 'sqlite' and url.database:
        kwargs.update(
            poolclass=pool.QueuePool,
            pool_size=10,
            max_overflow=50,
            pool_pre_ping=False,
        )
        kwargs['connect_args'] = {
            **(kwargs.get('connect_args') or {}),
            'check_same_thread': False,
        }
    engine = sqlalchemy.create_engine(url, **kwargs)
    return engine, engine


def _patch_facade() -> None:
    factory = enginefacade._TransactionFactory
    session, connection = factory._create_session, factory._create_connection

    def create_session(self: Any, mode: Any, bind: Any = None) -> Any:
        if bind is None and mode is enginefacade._WRITER:
            if not self._started:
                self._start()
            if self._writer_engine.dialect.name == 'sqlite':
                bind = self._writer_engine.execution_options(**{_WRITER: True})
        return session(self, mode, bind=bind)

    def create_connection(self: Any, mode: Any) -> Any:
        made = connection(self, mode)
        if mode is enginefacade._WRITER and made.dialect.name == 'sqlite':
            made = made.execution_options(**{_WRITER: True})
        return made

    factory._create_session = create_session
    factory._create_connection = create_connection


def _switch_to_wal(connection: str) -> None:
    """WAL is a lasting property of the file, so it is set once an engine.

    On each connect it would now and then fail with 'locked', since this
    pragma does not always wait for the busy time-out.
    """
    url = sqlalchemy.engine.make_url(connection)
    if url.get_backend_name() != 'sqlite' or not url.database:
        return
    for _ in range(200):
        database = sqlite3.connect(url.database, timeout=60)
        try:
            mode = database.execute('PRAGMA journal_mode = WAL').fetchone()
            if mode[0] == 'wal':
                return
        except sqlite3.OperationalError:
            pass  # another process is switching it: ask again
        finally:
            database.close()
        time.sleep(0.05)
    raise RuntimeError(f'cannot switch {url.database} to WAL')


def _listen(engine: Any) -> None:
    # SQLAlchemy ignores insert=True for connection events, so oslo.db's own
    # BEGIN has to go for ours to be the one
    for listener in list(engine.dispatch.begin):
        if listener.__name__ == '_sqlite_emit_begin':
            event.remove(engine, 'begin', listener)
    event.listen(engine, 'connect', _connected)
    event.listen(engine, 'begin', _begin)


def _connected(dbapi_connection: Any, record: Any) -> None:
    dbapi_connection.execute(f'PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}')
    # a power cut may lose data, a killed process may not: good enough here
    dbapi_connection.execute('PRAGMA synchronous = OFF')


def _begin(connection: Any) -> None:
    if 'in_transaction' not in connection.info:
        writer = connection.get_execution_options().get(_WRITER)
        connection.exec_driver_sql('BEGIN IMMEDIATE' if writer else 'BEGIN')
        connection.info['in_transaction'] = True
