# SPDX-License-Identifier: Apache-2.0
"""Neutron: schema, WSGI; no agent anywhere."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pathlib
from typing import Any

import sqlalchemy
from neutron.db import migration

# All models, also those of plugins that are not loaded: `GET /ports` wants
# Port.port_forwardings, which the model of the other side adds.
from neutron.db.migration.models import head

from devcloud.services import wsgi
from devcloud.settings import Settings

# The migration that inserts the rules of new default security groups.
_DEFAULT_RULES = 'c33da356b165'


def serve(settings: Settings) -> None:
    os.environ['OS_NEUTRON_CONFIG_FILES'] = 'neutron.conf'
    os.environ['OS_NEUTRON_CONFIG_DIR'] = str(settings.etc)
    wsgi.say('imported')
    if not settings.database('neutron').exists():
        _make_schema(settings, head.get_metadata())
        wsgi.say('schema')
    # makes the application as it is imported, so it wants the schema first
    api = importlib.import_module('neutron.wsgi.api')
    wsgi.say('application')
    wsgi.run(
        settings,
        'neutron',
        wsgi.server(settings, 'neutron', api.application, threads=8),
    )


def _make_schema(settings: Settings, models: sqlalchemy.MetaData) -> None:
    """From the models: the migrations alter constraints, SQLite can't.

    The data plane opens the file as soon as it is there, so it is made
    under another name.
    """
    target = settings.database('neutron')
    new = target.with_suffix('.new')
    new.unlink(missing_ok=True)
    engine = sqlalchemy.create_engine(f'sqlite:///{new}')
    models.create_all(engine)
    _insert_default_rules(engine)
    versions = _versions()
    wsgi.stamp(
        engine,
        [
            (versions / name).read_text().strip()
            for name in ('EXPAND_HEAD', 'CONTRACT_HEAD')
        ],
    )
    new.rename(target)


def _versions() -> pathlib.Path:
    return (
        pathlib.Path(migration.__file__).parent
        / 'alembic_migrations'
        / 'versions'
    )


def _insert_default_rules(engine: Any) -> None:
    """Without these rows, every project's default group lets nothing out."""
    rules = _load_migration(_DEFAULT_RULES)
    tables = sqlalchemy.MetaData()
    tables.reflect(engine, only=['standardattributes', rules.table_name])
    attributes = tables.tables['standardattributes']
    table = tables.tables[rules.table_name]
    with engine.begin() as connection:
        for template in rules.default_template_rules:
            rule = dict(template)
            inserted = connection.execute(
                attributes.insert().values(
                    description=rule.pop('description'),
                    revision_number=0,
                    resource_type=rules.table_name,
                )
            )
            connection.execute(
                table.insert().values(
                    standard_attr_id=inserted.inserted_primary_key[0], **rule
                )
            )


def _load_migration(revision: str) -> Any:
    (path,) = _versions().glob(f'*/*/{revision}_*.py')
    spec = importlib.util.spec_from_file_location(f'm_{revision}', path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
