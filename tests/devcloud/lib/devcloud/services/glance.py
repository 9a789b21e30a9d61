# SPDX-License-Identifier: Apache-2.0
"""Glance: schema, WSGI."""

from __future__ import annotations

import os

import sqlalchemy
from alembic.script import ScriptDirectory
from glance.common import wsgi_app
from glance.db.sqlalchemy import alembic_migrations, models, models_metadef

from devcloud.services import wsgi
from devcloud.settings import Settings


def serve(settings: Settings) -> None:
    os.environ['OS_GLANCE_CONFIG_DIR'] = str(settings.etc)
    wsgi.say('imported')
    if not settings.database('glance').exists():
        _make_schema(settings)
        wsgi.say('schema')
    application = wsgi_app.init_app()
    wsgi.say('application')
    wsgi.run(
        settings,
        'glance',
        wsgi.server(settings, 'glance', application, threads=6),
    )


def _make_schema(settings: Settings) -> None:
    """From the models: the migrations run, too, but take 10 s."""
    engine = sqlalchemy.create_engine(
        f'sqlite:///{settings.database("glance")}'
    )
    models.BASE.metadata.create_all(engine)
    models_metadef.BASE_DICT.metadata.create_all(engine)
    config = alembic_migrations.get_alembic_config(engine)
    wsgi.stamp(engine, ScriptDirectory.from_config(config).get_heads())
