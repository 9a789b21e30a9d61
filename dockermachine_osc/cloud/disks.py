# SPDX-License-Identifier: Apache-2.0
"""Volumes for a machine: its root disk, and one for the engine's data.

Nova makes them with the server and deletes them with it, so none is ever
left behind. Block device mapping, version 2:
https://docs.openstack.org/nova/latest/user/block-device-mapping.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dockermachine_osc import errors
from dockermachine_osc.cloud import choices

if TYPE_CHECKING:
    from openstack.image.v2.image import Image

    from dockermachine_osc.cloud.survey import Survey
    from dockermachine_osc.request import CreateRequest


def check(request: CreateRequest, survey: Survey, image: Image) -> None:
    """Refuse volumes that cannot be made.

    :raises InvalidRequest: if the root volume is too small for the image.
    :raises NotFound: if there is no such volume type.
    """
    if request.volume_type:
        choices.pick('Volume type', request.volume_type, survey.volume_types)
    least = max(int(image.min_disk or 0), _gib(image.size or 0))
    if request.boot_from_volume and request.boot_from_volume < least:
        raise errors.InvalidRequest(
            f'--boot-from-volume {request.boot_from_volume}: image '
            f"'{image.name}' needs {least} GiB"
        )


def mapping(request: CreateRequest, image: Image) -> list[dict[str, Any]]:
    """Give the block devices of the server; none if the flavor's will do."""
    if not request.volume_sizes:
        return []
    root = {
        'boot_index': 0,
        'uuid': image.id,
        'source_type': 'image',
        'destination_type': 'local',
        'delete_on_termination': True,
    }
    if request.boot_from_volume:
        root |= _volume(request, request.boot_from_volume)
    if not request.data_volume:
        return [root]
    data = {
        'boot_index': -1,
        'source_type': 'blank',
        'delete_on_termination': True,
    }
    return [root, data | _volume(request, request.data_volume)]


def _volume(request: CreateRequest, size: int) -> dict[str, Any]:
    kind = {'volume_type': request.volume_type} if request.volume_type else {}
    return {'destination_type': 'volume', 'volume_size': size, **kind}


def _gib(size: int) -> int:
    return -(-size // 2**30)
