# SPDX-License-Identifier: Apache-2.0
"""The configuration files of every service of a cloud.

Standard library only: the launcher writes them, before any service runs.
Options that have their default value are left out.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Mapping

from devcloud.settings import HOST, REGION, Settings

Section = Mapping[str, object]

# None of the services may send notifications: nobody reads them.
_QUIET = {'driver': 'noop'}
# oslo.messaging's in-process transport; nova is one process for its sake.
_TRANSPORT = 'fake://'
# Seconds; the default of most sessions is none, and one lost answer would
# hang a request for ever.
_TIMEOUT = 60


@dataclasses.dataclass(frozen=True)
class Writer:
    """Writes the configuration of one cloud.

    :ivar venv: the virtual environment whose ``etc`` has the paste files
    :ivar password: of the service users and the admin
    """

    settings: Settings
    venv: pathlib.Path
    password: str

    def write_all(self) -> None:
        """Make the folders and write every file.

        :raises OSError: when the disk does not let it
        """
        for folder in ('db', 'etc', 'fernet', 'credential'):
            path = self.settings.cloud_dir / folder
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (
            'log',
            'run',
            'images',
            'instances',
            'guests',
            'lock',
            'tmp',
            'nova',
            'staging',
        ):
            (self.settings.cloud_dir / folder).mkdir(exist_ok=True)
        self._ini('keystone.conf', self._keystone())
        self._ini('glance-api.conf', self._glance())
        self._ini('placement.conf', self._placement())
        self._ini('neutron.conf', self._neutron())
        self._ini('nova.conf', self._nova())
        shutil.copy(
            self.venv / 'etc/nova/api-paste.ini',
            self.settings.etc / 'api-paste.ini',
        )

    def _ini(self, name: str, sections: Mapping[str, Section]) -> None:
        lines = []
        for section, options in sections.items():
            lines.append(f'[{section}]')
            lines += [
                f'{key} = {_text(value)}' for key, value in options.items()
            ]
            lines.append('')
        path = self.settings.etc / name
        path.write_text('\n'.join(lines))
        path.chmod(0o600)

    # -------------------------------------------------------- common sections
    def _dir(self, name: str) -> str:
        return str(self.settings.cloud_dir / name)

    def _log(self, name: str) -> dict[str, object]:
        return {
            'log_file': self._dir(f'log/{name}.log'),
            'use_stderr': False,
            'debug': bool(os.environ.get('DEVCLOUD_DEBUG')),
        }

    def _database(self, name: str) -> dict[str, object]:
        return {
            'connection': f'sqlite:///{self.settings.database(name)}'
            f'?timeout={_TIMEOUT}',
            'sqlite_synchronous': False,
        }

    def _auth(self, user: str) -> dict[str, object]:
        return {
            'auth_type': 'password',
            'auth_url': self.settings.urls['keystone'],
            'username': user,
            'password': self.password,
            'project_name': 'service',
            'region_name': REGION,
            'user_domain_id': 'default',
            'project_domain_id': 'default',
        }

    def _client(self, user: str) -> dict[str, object]:
        return {**self._auth(user), 'timeout': _TIMEOUT}

    def _authtoken(self, user: str) -> dict[str, object]:
        return {
            **self._auth(user),
            'www_authenticate_uri': self.settings.urls['keystone'],
            'service_token_roles': 'service',
            'service_token_roles_required': True,
            'http_connect_timeout': 30,
        }

    def _oslo(self) -> dict[str, Section]:
        return {
            'oslo_concurrency': {'lock_path': self._dir('lock')},
            'oslo_messaging_notifications': _QUIET,
        }

    # ------------------------------------------------------------ per service
    def _keystone(self) -> dict[str, Section]:
        fernet = {'key_repository': self._dir('fernet')}
        return {
            'DEFAULT': self._log('keystone'),
            'database': self._database('keystone'),
            # seconds: a day, so that no test outlives its token
            'token': {'provider': 'fernet', 'expiration': 86400},
            'fernet_tokens': fernet,
            'fernet_receipts': fernet,
            'credential': {'key_repository': self._dir('credential')},
            # bcrypt's least: passwords are random and the host is local
            'identity': {'password_hash_rounds': 4},
            # dogpile.cache.memory hands one object to every thread
            'cache': {
                'enabled': True,
                'backend': 'dogpile.cache.memory_pickle',
            },
            'oslo_messaging_notifications': _QUIET,
        }

    def _glance(self) -> dict[str, Section]:
        staging = self._dir('staging')
        store = {'filesystem_store_datadir': staging}
        return {
            'DEFAULT': {
                **self._log('glance'),
                'enabled_backends': 'disk:file',
                'image_cache_dir': staging,
                'node_staging_uri': f'file://{staging}',
                'transport_url': _TRANSPORT,
                'bind_port': self.settings.ports['glance'],
                'worker_self_reference_url': self.settings.urls['glance'],
            },
            'database': self._database('glance'),
            'glance_store': {'default_backend': 'disk'},
            'disk': {'filesystem_store_datadir': self._dir('images')},
            'os_glance_staging_store': store,
            'os_glance_tasks_store': store,
            'keystone_authtoken': self._authtoken('glance'),
            'paste_deploy': {
                'flavor': 'keystone',
                'config_file': self.venv / 'etc/glance/glance-api-paste.ini',
            },
            **self._oslo(),
        }

    def _placement(self) -> dict[str, Section]:
        return {
            'DEFAULT': self._log('placement'),
            'placement_database': self._database('placement'),
            'api': {'auth_strategy': 'keystone'},
            'keystone_authtoken': self._authtoken('placement'),
        }

    def _neutron(self) -> dict[str, Section]:
        return {
            'DEFAULT': self._neutron_default(),
            'database': self._database('neutron'),
            'keystone_authtoken': self._authtoken('neutron'),
            'nova': self._client('nova'),
            'placement': self._client('placement'),
            # the defaults of other projects; the tight one has its own
            'quotas': {
                'quota_floatingip': 50,
                'quota_port': 500,
                'quota_security_group': 10,
                'quota_security_group_rule': 100,
            },
            'ml2': {
                'type_drivers': 'flat,local',
                # no encapsulation, so guests get the uplink's whole MTU
                'project_network_types': 'local',
                'mechanism_drivers': 'devcloud',
                'extension_drivers': 'port_security',
            },
            'ml2_type_flat': {'flat_networks': 'public'},
            'securitygroup': {'enable_security_group': True},
            **self._oslo(),
        }

    def _neutron_default(self) -> dict[str, object]:
        return {
            **self._log('neutron'),
            'state_path': self.settings.cloud_dir,
            'host': HOST,
            'core_plugin': 'ml2',
            'service_plugins': 'devcloud_l3',
            'transport_url': _TRANSPORT,
            'auth_strategy': 'keystone',
            'dhcp_agent_notification': False,
            'api_paste_config': self.venv / 'etc/neutron/api-paste.ini',
            # ports are ACTIVE when bound: nova must not wait for an event,
            # but wants to hear of a floating IP
            'notify_nova_on_port_status_changes': False,
            'notify_nova_on_port_data_changes': True,
            'rpc_workers': 0,
            'rpc_state_report_workers': 0,
            'api_workers': 1,
            # a process is known by its command line, see processes.py
            'setproctitle': 'off',
            'global_physnet_mtu': uplink_mtu(),
        }

    def _nova(self) -> dict[str, Section]:
        keystone, glance = self._auth('nova'), self.settings.urls['glance']
        return {
            'DEFAULT': self._nova_default(),
            'api': {'auth_strategy': 'keystone'},
            'api_database': self._database('nova_api'),
            'database': self._database('nova_cell1'),
            'wsgi': {'api_paste_config': self.settings.etc / 'api-paste.ini'},
            'keystone_authtoken': self._authtoken('nova'),
            'service_user': {**keystone, 'send_service_user_token': True},
            'placement': self._client('placement'),
            'glance': {
                'endpoint_override': glance,
                'region_name': REGION,
                'timeout': _TIMEOUT,
            },
            'neutron': {
                **self._client('neutron'),
                'endpoint_override': self.settings.urls['neutron'],
            },
            'cinder': keystone,
            'vnc': {'enabled': False},
            'scheduler': {'workers': 1},
            'conductor': {'workers': 1},
            'quota': {'instances': 20, 'cores': 40, 'ram': 81920},
            'filter_scheduler': {'track_instance_changes': False},
            **self._oslo(),
        }

    def _nova_default(self) -> dict[str, object]:
        return {
            **self._log('nova'),
            'host': HOST,
            'my_ip': '127.0.0.1',
            'state_path': self._dir('nova'),
            'instances_path': self.settings.instances,
            'tempdir': self._dir('tmp'),
            'transport_url': _TRANSPORT,
            # the class is put beside nova's own drivers by services/nova.py
            'compute_driver': 'nspawn_driver.NspawnDriver',
            'concurrency_backend': 'threading',
            # there is no metadata service
            'force_config_drive': True,
            'enabled_apis': 'osapi_compute',
            # after `down` and `up` guests run again, as after a power cut
            'resume_guests_state_on_host_boot': True,
            'report_interval': 30,
            'service_down_time': 120,
            'reserved_host_memory_mb': 0,
            'reserved_host_disk_mb': 0,
            # guests share the host's memory and disk, and use little of it
            'cpu_allocation_ratio': 64,
            'ram_allocation_ratio': 8,
            'disk_allocation_ratio': 64,
            'shutdown_timeout': 10,
            # four services share one process and its pools
            'default_thread_pool_size': 40,
            'cell_worker_thread_pool_size': 20,
            'max_concurrent_builds': 10,
            'osapi_compute_workers': 1,
        }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def uplink_mtu() -> int:
    """Bytes; of the interface with the default route, else 1500.

    Tunnels and virtual machines have less than 1500, and a guest that does
    not know it hangs in the middle of its first download.
    """
    try:
        routes = pathlib.Path('/proc/net/route').read_text().splitlines()
        device = next(
            fields[0]
            for fields in map(str.split, routes)
            if fields[1] == '00000000'
        )
        mtu = pathlib.Path(f'/sys/class/net/{device}/mtu').read_text()
        return int(mtu)
    except (OSError, StopIteration):
        return 1500


def resolvers() -> list[str]:
    """The host's name servers that a guest can reach, too: no loopback."""
    servers: list[str] = []
    for path in ('/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'):
        try:
            lines = pathlib.Path(path).read_text().splitlines()
        except OSError:
            continue
        words = [line.split() for line in lines]
        servers += [
            w[1]
            for w in words
            if w[:1] == ['nameserver']
            and len(w) > 1
            and ':' not in w[1]
            and not w[1].startswith('127.')
            and w[1] not in servers
        ]
    return servers
