# SPDX-License-Identifier: Apache-2.0
"""Fill a new cloud through its own APIs, and write its clouds.yaml.

``python -m devcloud.seed``, in the services' virtual environment, once: a
cloud whose seeding was cut short is made anew.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import ipaddress
import secrets
from typing import Any

import openstack
import yaml

from devcloud import conf, files, secret
from devcloud import settings as devcloud_settings
from devcloud.settings import REGION, Settings

# name, virtual CPUs, MB of memory, GB of disk
_FLAVORS = (
    ('m1.nano', 1, 64, 1),
    ('m1.tiny', 1, 512, 1),
    ('m1.small', 1, 2048, 20),
    ('m1.medium', 2, 4096, 40),
    ('m1.large', 4, 8192, 80),
)
# name, the base tree of its guests, Debian's version
_IMAGES = (
    ('debian-12', 'debian12', '12'),
    ('debian-12-docker', 'debian12-docker', '12'),
    ('debian-13', 'debian13', '13'),
)
# The data of an image is never read: guest_base names what a guest is.
_DATA = bytes(65536)
_COMPUTE_QUOTA = {'instances': 1, 'cores': 2, 'ram': 4096}
# a port for the router's interface is among the six
_NETWORK_QUOTA = {'floating_ips': 1, 'ports': 6, 'security_groups': 3}


@dataclasses.dataclass(frozen=True)
class User:
    """A user, and the project that it is a member of."""

    name: str
    project: str
    password: str


class Seeder:
    """Seeds one cloud."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin_user = User('admin', 'admin', secret.read(settings))
        self._admin = self._connect(self._admin_user)
        self._users = {
            name: User(name, project, secrets.token_urlsafe(18))
            for name, project in (
                ('demo', 'demo'),
                ('alice', 'demo'),
                ('tight', 'tight'),
            )
        }
        self._projects: dict[str, str] = {}

    def seed(self) -> None:
        """Everything; raises what the SDK raises."""
        self._identities()
        public = self._external_network()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            tasks = [
                pool.submit(task)
                for task in (
                    self._flavors,
                    self._images,
                    lambda: self._demo_networks(public),
                    lambda: self._tight_networks(public),
                )
            ]
        for task in tasks:
            task.result()
        self._quotas()
        self._write_clouds_yaml()

    def _connect(self, user: User) -> Any:
        return openstack.connect(
            load_yaml_config=False, load_envvars=False, **self._cloud(user)
        )

    # ------------------------------------------------------------- identity
    def _identities(self) -> None:
        identity = self._admin.identity
        member = identity.find_role('member', ignore_missing=False)
        for name in ('demo', 'tight'):
            made = identity.create_project(name=name, domain_id='default')
            self._projects[name] = made.id
        for user in self._users.values():
            project = self._projects[user.project]
            made = identity.create_user(
                name=user.name,
                password=user.password,
                domain_id='default',
                default_project_id=project,
            )
            identity.assign_project_role_to_user(project, made.id, member.id)

    def _application_credential(self, user: User) -> dict[str, Any]:
        connection = self._connect(user)
        made = connection.identity.create_application_credential(
            connection.current_user_id, f'{user.name}-automation'
        )
        return {
            'auth_type': 'v3applicationcredential',
            'auth': {
                'auth_url': self._settings.urls['keystone'],
                'application_credential_id': made.id,
                'application_credential_secret': made.secret,
            },
            **_COMMON,
        }

    # ----------------------------------------------------- compute and image
    def _flavors(self) -> None:
        for number, (name, vcpus, ram, disk) in enumerate(_FLAVORS, 1):
            self._admin.compute.create_flavor(
                id=str(number), name=name, vcpus=vcpus, ram=ram, disk=disk
            )

    def _images(self) -> None:
        for name, base, version in _IMAGES:
            self._admin.image.create_image(
                name,
                data=_DATA,
                disk_format='raw',
                container_format='bare',
                visibility='public',
                min_ram=256,
                min_disk=5,
                wait=True,
                guest_base=base,
                os_type='linux',
                os_distro='debian',
                os_version=version,
                os_admin_user='debian',
            )

    # ------------------------------------------------------------- networks
    def _external_network(self) -> Any:
        network = self._admin.network.create_network(
            name='public',
            is_router_external=True,
            provider_network_type='flat',
            provider_physical_network='public',
        )
        cidr = self._settings.external_cidr
        self._admin.network.create_subnet(
            name='public-subnet',
            network_id=network.id,
            ip_version=4,
            cidr=str(cidr),
            gateway_ip=str(cidr[1]),
            is_dhcp_enabled=False,
            allocation_pools=[{'start': str(cidr[10]), 'end': str(cidr[250])}],
        )
        return network

    def _demo_networks(self, public: Any) -> None:
        demo = self._connect(self._users['demo']).network
        routed = _make_network(demo, 'private', self._settings.private_cidr)
        _make_router(demo, 'router1', public, routed)
        _make_network(demo, 'backend', self._settings.backend_cidr)
        _make_network(
            demo,
            'dual',
            self._settings.dual_cidr,
            self._settings.dual_ipv6_cidr,
        )
        _make_network(demo, 'ipv6', self._settings.ipv6_cidr)

    def _tight_networks(self, public: Any) -> None:
        tight = self._connect(self._users['tight']).network
        routed = _make_network(tight, 'tight-net', self._settings.tight_cidr)
        _make_router(tight, 'tight-router', public, routed)

    # --------------------------------------------------------------- quotas
    def _quotas(self) -> None:
        project = self._projects['tight']
        self._admin.compute.update_quota_set(project, **_COMPUTE_QUOTA)
        self._admin.network.update_quota(project, **_NETWORK_QUOTA)

    # ----------------------------------------------------------- clouds.yaml
    def _cloud(self, user: User) -> dict[str, Any]:
        return {
            'auth': {
                'auth_url': self._settings.urls['keystone'],
                'username': user.name,
                'password': user.password,
                'project_name': user.project,
                'user_domain_name': 'Default',
                'project_domain_name': 'Default',
            },
            **_COMMON,
        }

    def _write_clouds_yaml(self) -> None:
        demo, tight = self._users['demo'], self._users['tight']
        clouds = {
            'devcloud': self._cloud(demo),
            'devcloud-alice': self._cloud(self._users['alice']),
            'devcloud-tight': self._cloud(tight),
            'devcloud-appcred': self._application_credential(demo),
            'devcloud-tight-appcred': self._application_credential(tight),
            'devcloud-admin': self._cloud(self._admin_user),
        }
        files.write_private(
            self._settings.clouds_yaml,
            yaml.safe_dump({'clouds': clouds}, sort_keys=False),
        )


_COMMON = {
    'region_name': REGION,
    'identity_api_version': '3',
    'interface': 'public',
}


def _make_network(
    api: Any,
    name: str,
    *cidrs: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> Any:
    """A network and its subnets, of which the first is returned.

    Without DHCP and router advertisements: the config drive carries the
    addresses.
    """
    network = api.create_network(name=name)
    subnets = [
        api.create_subnet(
            name=f'{name}-subnet' + ('-v6' if number else ''),
            network_id=network.id,
            ip_version=cidr.version,
            cidr=str(cidr),
            gateway_ip=str(cidr[1]),
            is_dhcp_enabled=False,
            # the resolvers that guests reach are IPv4
            dns_nameservers=conf.resolvers() if cidr.version == 4 else [],
        )
        for number, cidr in enumerate(cidrs)
    ]
    return subnets[0]


def _make_router(api: Any, name: str, public: Any, subnet: Any) -> None:
    router = api.create_router(
        name=name, external_gateway_info={'network_id': public.id}
    )
    api.add_interface_to_router(router, subnet_id=subnet.id)


if __name__ == '__main__':
    Seeder(devcloud_settings.current()).seed()
