# SPDX-License-Identifier: Apache-2.0
"""All of Nova in one process: API, conductor, scheduler, compute.

One process, since they talk over oslo.messaging's in-process transport; as
Nova's own functional tests run it.  The compute service has the database
directly.
"""
from __future__ import annotations

import os
import pathlib
import shlex
from typing import Any

from devcloud.services import placement
from devcloud.services import wsgi
from devcloud.settings import Settings

# Seconds; keystone listens when its bootstrap is done.
_KEYSTONE_TIMEOUT = 180


def serve(settings: Settings) -> None:
    os.environ['OS_NOVA_CONFIG_DIR'] = str(settings.etc)
    from nova.api.openstack import wsgi_app
    # parses the configuration, sets logging and RPC up, once a process: the
    # API's own call of it finds it done
    wsgi_app.init_global_data(
        wsgi_app._get_config_files(), 'osapi_compute', 'devcloud-nova')
    wsgi.say('imported')
    placement.start(settings)
    wsgi.say('placement')
    if not settings.database('nova_api').exists():
        _make_schema(settings)
        wsgi.say('schema')
    wsgi.wait_for_port(settings.ports['keystone'], _KEYSTONE_TIMEOUT)
    services = [_start_conductor(), _start_scheduler(), _start_compute()]
    from nova.wsgi import osapi_compute
    wsgi.say('nova-api')

    def stop() -> None:
        for service in reversed(services):
            for rpc in (service.rpcserver, service.rpcserver_alt):
                if rpc:
                    rpc.stop()

    wsgi.run(settings, 'nova',
             wsgi.server(settings, 'nova', osapi_compute.application,
                         threads=8), stop)


def _make_schema(settings: Settings) -> None:
    """The migrations, and the mappings of cell0 and cell1."""
    from nova.cmd import manage
    from nova.db import migration
    migration.db_sync(database='api')
    cells = manage.CellV2Commands()
    cells.map_cell0(database_connection=(
        f'sqlite:///{settings.database("nova_cell0")}?timeout=60'))
    manage.DbCommands().sync()
    cells.create_cell(name='cell1')


def _start(**kwargs: str) -> Any:
    from nova import service
    started = service.Service.create(**kwargs)
    started.start()
    wsgi.say(kwargs['binary'])
    return started


def _start_conductor() -> Any:
    from nova import objects
    from nova.conductor import rpcapi
    objects.Service.enable_min_version_cache()
    return _start(binary='nova-conductor', topic=rpcapi.RPC_TOPIC)


def _start_scheduler() -> Any:
    from nova.scheduler import rpcapi
    return _start(binary='nova-scheduler', topic=rpcapi.RPC_TOPIC)


def _start_compute() -> Any:
    import nova.conf
    import nova.virt
    import os_brick
    import os_vif
    from nova import context
    from nova import utils
    from nova.compute import rpcapi
    from nova.objects import host_mapping
    from oslo_privsep import priv_context
    # Nova takes drivers from this package only, not from entry points
    nova.virt.__path__.append(
        str(pathlib.Path(__file__).parent.parent / 'virt'))
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    os_brick.setup(nova.conf.CONF)
    os_vif.initialize()
    compute = _start(binary='nova-compute', topic=rpcapi.RPC_TOPIC,
                     topic_alt=rpcapi.RPC_TOPIC_ALT)
    host_mapping.discover_hosts(context.get_admin_context())
    return compute
