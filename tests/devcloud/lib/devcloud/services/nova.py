# SPDX-License-Identifier: Apache-2.0
"""All of Nova in one process: API, conductor, scheduler, compute.

One process, since they talk over oslo.messaging's in-process transport; as
Nova's own functional tests run it.  The compute service has the database
directly.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import shlex
from typing import Any

import nova.conf
import nova.virt
import os_brick
import os_vif
from nova import context, objects, service, utils
from nova.api.openstack import wsgi_app
from nova.cmd import manage
from nova.compute import rpcapi as compute_rpcapi
from nova.conductor import rpcapi as conductor_rpcapi
from nova.db import migration
from nova.objects import host_mapping
from nova.scheduler import rpcapi as scheduler_rpcapi
from oslo_privsep import priv_context

from devcloud.services import placement, wsgi
from devcloud.settings import Settings

# Seconds; keystone listens when its bootstrap is done.
_KEYSTONE_TIMEOUT = 180


def serve(settings: Settings) -> None:
    os.environ['OS_NOVA_CONFIG_DIR'] = str(settings.etc)
    # parses the configuration, sets logging and RPC up, once a process: the
    # API's own call of it finds it done
    wsgi_app.init_global_data(
        wsgi_app._get_config_files(), 'osapi_compute', 'devcloud-nova'
    )
    wsgi.say('imported')
    placement.start(settings)
    wsgi.say('placement')
    if not settings.database('nova_api').exists():
        _make_schema(settings)
        wsgi.say('schema')
    wsgi.wait_for_port(settings.ports['keystone'], _KEYSTONE_TIMEOUT)
    services = [_start_conductor(), _start_scheduler(), _start_compute()]
    # makes the application as it is imported
    osapi_compute = importlib.import_module('nova.wsgi.osapi_compute')
    wsgi.say('nova-api')

    def stop() -> None:
        for each in reversed(services):
            for rpc in (each.rpcserver, each.rpcserver_alt):
                if rpc:
                    rpc.stop()

    wsgi.run(
        settings,
        'nova',
        wsgi.server(settings, 'nova', osapi_compute.application, threads=8),
        stop,
    )


def _make_schema(settings: Settings) -> None:
    """The migrations, and the mappings of cell0 and cell1."""
    migration.db_sync(database='api')
    cells = manage.CellV2Commands()
    cells.map_cell0(
        database_connection=(
            f'sqlite:///{settings.database("nova_cell0")}?timeout=60'
        )
    )
    manage.DbCommands().sync()
    cells.create_cell(name='cell1')


def _start(**kwargs: str) -> Any:
    started = service.Service.create(**kwargs)
    started.start()
    wsgi.say(kwargs['binary'])
    return started


def _start_conductor() -> Any:
    objects.Service.enable_min_version_cache()
    return _start(binary='nova-conductor', topic=conductor_rpcapi.RPC_TOPIC)


def _start_scheduler() -> Any:
    return _start(binary='nova-scheduler', topic=scheduler_rpcapi.RPC_TOPIC)


def _start_compute() -> Any:
    # Nova takes drivers from this package only, not from entry points
    nova.virt.__path__.append(
        str(pathlib.Path(__file__).parent.parent / 'virt')
    )
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    os_brick.setup(nova.conf.CONF)
    os_vif.initialize()
    compute = _start(
        binary='nova-compute',
        topic=compute_rpcapi.RPC_TOPIC,
        topic_alt=compute_rpcapi.RPC_TOPIC_ALT,
    )
    host_mapping.discover_hosts(context.get_admin_context())
    return compute
