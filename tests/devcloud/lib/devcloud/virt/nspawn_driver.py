# SPDX-License-Identifier: Apache-2.0
"""Nova virt driver whose instances are the devcloud's guests.

Nova loads a driver by ``importutils`` from ``nova.virt``: this directory is
appended to ``nova.virt.__path__`` before the compute service is made, and
nova.conf says ``compute_driver = nspawn_driver.NspawnDriver``.

A guest's name is the instance's uuid, the one name that never changes and
never repeats.  The image's property ``guest_base`` names its base tree, and
``guest_delay`` the seconds that a build takes longer.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
import time
import typing

import nova.conf
from nova import exception, objects
from nova.compute import power_state
from nova.virt import driver, hardware

from devcloud.guest import base, errors
from devcloud.guest import instance as guests
from devcloud.virt import handover, inventory

CONF = nova.conf.CONF
NO_SUCH = errors.Code.NO_SUCH_INSTANCE
WRONG_STATE = errors.Code.WRONG_STATE
COMMAND_LIMIT_S = 120


class GuestCommandError(exception.NovaException):
    """The guest command failed; the message is its own."""


def _guest(
    *args: str, allowed: tuple[int, ...] = (), limit: float = COMMAND_LIMIT_S
) -> str:
    """Run the guest command; returns what it prints.

    :raises GuestCommandError: when it exits with a code that is not allowed
    """
    try:
        done = subprocess.run(
            [sys.executable, '-m', 'devcloud.guest', *args],
            check=False,
            text=True,
            errors='replace',
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        raise GuestCommandError(
            f'guest {args[0]}: not done within {limit:g} s'
        ) from None
    if done.returncode not in (errors.Code.OK, *allowed):
        raise GuestCommandError(done.stderr.strip())
    return done.stdout


def _state(instance: typing.Any) -> str | None:
    """ "running", "stopped", or None when there is no such guest."""
    try:
        return str(guests.describe(instance.uuid)['state'])
    except errors.GuestError:
        return None


def _property(instance: typing.Any, name: str) -> str:
    # ImageMeta drops the properties that it does not know; the instance's
    # own copy keeps them.
    return str(instance.system_metadata.get(f'image_{name}') or '')


class NspawnDriver(driver.ComputeDriver):
    """One hypervisor: this machine."""

    capabilities = dict(
        driver.ComputeDriver.capabilities,
        supports_image_type_raw=True,
        supports_image_type_qcow2=False,
        has_imagecache=False,
        supports_evacuate=False,
        supports_attach_interface=False,
    )

    # ------------------------------------------------------------- the host
    def init_host(self, host: str) -> None:
        pathlib.Path(CONF.instances_path).mkdir(parents=True, exist_ok=True)

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        return [CONF.host]

    def get_host_ip_addr(self) -> str:
        return str(CONF.my_ip)

    def get_host_uptime(self) -> str:
        return inventory.uptime()

    def get_available_resource(self, nodename: str) -> dict[str, typing.Any]:
        return inventory.resources(nodename)

    def update_provider_tree(
        self,
        provider_tree: typing.Any,
        nodename: str,
        allocations: typing.Any = None,
    ) -> None:
        """Tell Placement what there is; the scheduler lives on it."""
        ratios = self._get_allocation_ratios(
            provider_tree.data(nodename).inventory
        )
        disk = self._get_reserved_host_disk_gb_from_config()
        provider_tree.update_inventory(
            nodename, inventory.of_placement(ratios, disk)
        )

    # -------------------------------------------------------- what is there
    def list_instances(self) -> list[str]:
        return guests.names()

    def list_instance_uuids(self) -> list[str]:
        return guests.names()

    def instance_exists(self, instance: typing.Any) -> bool:
        return _state(instance) is not None

    def get_info(
        self, instance: typing.Any, use_cache: bool = True
    ) -> hardware.InstanceInfo:
        """:raises InstanceNotFound: when there is no such guest"""
        state = _state(instance)
        if state is None:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        return hardware.InstanceInfo(
            state=power_state.RUNNING
            if state == 'running'
            else power_state.SHUTDOWN
        )

    # ----------------------------------------------------------- life cycle
    def spawn(
        self,
        context: typing.Any,
        instance: typing.Any,
        image_meta: typing.Any,
        injected_files: typing.Any,
        admin_password: str | None,
        allocations: typing.Any,
        network_info: typing.Any = None,
        block_device_info: typing.Any = None,
        power_on: bool = True,
        accel_info: typing.Any = None,
    ) -> None:
        """Make and boot the guest; rebuild comes here, too.

        :raises BuildAbortException: with the reason; the server is in ERROR
            and this is its fault
        """
        time.sleep(float(_property(instance, 'guest_delay') or 0))
        base_name = self._base(instance)
        try:
            with tempfile.TemporaryDirectory(dir=CONF.instances_path) as drive:
                handover.write_config_drive(
                    pathlib.Path(drive),
                    instance,
                    injected_files,
                    admin_password,
                    network_info,
                )
                _guest(
                    'start',
                    instance.uuid,
                    '--uuid',
                    instance.uuid,
                    '--base',
                    base_name,
                    '--config-drive',
                    drive,
                    '--hostname',
                    instance.hostname,
                    *handover.guest_options(network_info),
                )
            if not power_on:
                _guest('stop', instance.uuid, '--force')
            self._remove_if_deleted(context, instance)
        except (GuestCommandError, handover.NoBridgeError) as error:
            raise exception.BuildAbortException(
                instance_uuid=instance.uuid, reason=str(error)
            ) from None

    @staticmethod
    def _remove_if_deleted(context: typing.Any, instance: typing.Any) -> None:
        """Nova does not keep a deletion from overtaking a rebuild."""
        try:
            objects.Instance.get_by_uuid(context, instance.uuid)
        except exception.InstanceNotFound:
            _guest('destroy', instance.uuid, allowed=(NO_SUCH,))
            raise

    @staticmethod
    def _base(instance: typing.Any) -> str:
        name = _property(instance, 'guest_base')
        try:
            base.built(name)
        except errors.GuestError as error:
            raise exception.ImageUnacceptable(
                image_id=instance.image_ref,
                reason=f'property guest_base: {error}',
            ) from None
        return name

    def destroy(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any = None,
        destroy_disks: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        _guest('destroy', instance.uuid, allowed=(NO_SUCH,))

    def cleanup(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any = None,
        destroy_disks: bool = True,
        migrate_data: typing.Any = None,
        destroy_vifs: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        self.destroy(context, instance, network_info)

    def power_off(
        self, instance: typing.Any, timeout: int = 0, retry_interval: int = 0
    ) -> None:
        limit = timeout or 0
        _guest(
            'stop',
            instance.uuid,
            '--timeout',
            str(limit),
            allowed=(WRONG_STATE,),
            limit=limit + COMMAND_LIMIT_S,
        )

    def power_on(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any = None,
        accel_info: typing.Any = None,
        share_info: typing.Any = None,
    ) -> None:
        _guest('start', instance.uuid, allowed=(WRONG_STATE,))

    def reboot(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        reboot_type: str,
        block_device_info: typing.Any = None,
        bad_volumes_callback: typing.Any = None,
        accel_info: typing.Any = None,
        share_info: typing.Any = None,
    ) -> None:
        if _state(instance) != 'running':
            _guest('start', instance.uuid)
        elif reboot_type == 'HARD':
            _guest('restart', instance.uuid, '--hard')
        else:
            _guest('restart', instance.uuid)

    def resume_state_on_host_boot(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        share_info: typing.Any,
        block_device_info: typing.Any = None,
    ) -> None:
        """Called for guests that Nova remembers as running."""
        if _state(instance) == 'stopped':
            _guest('start', instance.uuid, allowed=(WRONG_STATE,))

    def get_console_output(
        self, context: typing.Any, instance: typing.Any
    ) -> bytes:
        return _guest('console', instance.uuid, '--plain').encode()

    # ------------------- the guest command and the data plane plug the ports
    def plug_vifs(
        self, instance: typing.Any, network_info: typing.Any
    ) -> None:
        pass

    def unplug_vifs(
        self, instance: typing.Any, network_info: typing.Any
    ) -> None:
        pass

    def get_volume_connector(
        self, instance: typing.Any
    ) -> dict[str, typing.Any]:
        return {'host': CONF.host, 'ip': CONF.my_ip, 'initiator': 'none'}

    def manage_image_cache(
        self, context: typing.Any, all_instances: typing.Any
    ) -> None:
        pass
