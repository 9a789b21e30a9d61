# SPDX-License-Identifier: Apache-2.0
"""Placement: schema, WSGI; lives in Nova's process.

It has its own ConfigOpts and its own engine facade, so unlike the other
services it can share a process.
"""

from __future__ import annotations

import threading

from oslo_config import cfg
from placement import conf, db_api, deploy
from placement import wsgi as placement_wsgi
from placement.db.sqlalchemy import migration

from devcloud.services import wsgi
from devcloud.settings import Settings


def start(settings: Settings) -> None:
    """Serve from a thread; returns when the port is open."""
    config = cfg.ConfigOpts()
    conf.register_opts(config)
    placement_wsgi._parse_args(
        config, [''], [str(settings.etc / 'placement.conf')]
    )
    db_api.configure(config)
    if not settings.database('placement').exists():
        migration.upgrade('head')
    listener = wsgi.server(
        settings, 'placement', deploy.loadapp(config), threads=6
    )
    threading.Thread(target=listener.run, daemon=True).start()
