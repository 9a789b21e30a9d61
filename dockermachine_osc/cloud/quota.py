# SPDX-License-Identifier: Apache-2.0
"""Does the project's quota have room, asked before anything is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors

if TYPE_CHECKING:
    from openstack.block_storage.v3.limits import AbsoluteLimit
    from openstack.compute.v2.flavor import Flavor
    from openstack.compute.v2.limits import AbsoluteLimits
    from openstack.network.v2.quota import QuotaDetails

    from dockermachine_osc.cloud.survey import Survey

_Need = tuple[str, int, int, int]


def check(
    survey: Survey,
    flavor: Flavor,
    network: dict[str, int],
    volumes: Sequence[int] = (),
    machines: int = 1,
) -> None:
    """Raise QuotaExceeded naming every quota that has no room.

    :param flavor: of each of the machines.
    :param network: how many of each of Neutron's resources are needed, by
        the names of openstacksdk's Quota: ports, floating_ips, ...
    :param volumes: the size of each, in GiB.
    """
    short = [
        *_compute(survey.limits, flavor, machines),
        *_network(survey.quota, network),
        *_volumes(survey.volume_limits, volumes),
    ]
    if short:
        what = f'these {machines} machines' if machines > 1 else 'this machine'
        raise errors.QuotaExceeded(
            f"The project's quota has no room for {what}:\n"
            + '\n'.join(f'  {line}' for line in short),
            'Delete what is not needed, choose a smaller --flavor, or ask '
            'the operator for more',
        )


def _compute(
    limits: AbsoluteLimits | None, flavor: Flavor, machines: int
) -> list[str]:
    if limits is None:
        return []
    cores, ram = flavor.vcpus * machines, flavor.ram * machines
    needs = (
        ('instances', machines, limits.instances_used, limits.instances),
        ('cores', cores, limits.total_cores_used, limits.total_cores),
        ('MiB of RAM', ram, limits.total_ram_used, limits.total_ram),
    )
    return _lines(needs)


def _network(quota: QuotaDetails | None, network: dict[str, int]) -> list[str]:
    if quota is None:
        return []
    needs: list[_Need] = []
    for name, need in network.items():
        usage = getattr(quota, name)
        if not isinstance(usage, dict):
            continue
        numbers = usage.get('used', 0), usage.get('reserved', 0)
        if not all(isinstance(number, int) for number in numbers):
            continue
        used = sum(numbers)
        label = name.replace('_', ' ').replace('ips', 'IPs')
        needs.append((label, need, used, usage.get('limit', -1)))
    return _lines(needs)


def _volumes(
    limits: AbsoluteLimit | None, volumes: Sequence[int]
) -> list[str]:
    if limits is None:
        return []
    used, most = limits.total_volumes_used, limits.max_total_volumes
    size = limits.total_gigabytes_used, limits.max_total_volume_gigabytes
    return _lines(
        (
            ('volumes', len(volumes), used or 0, most),
            ('GiB of volumes', sum(volumes), size[0] or 0, size[1]),
        )
    )


def _lines(needs: Iterable[_Need]) -> list[str]:
    """Say of each (what, need, used, limit) without room; -1: no limit.

    What is no number is not known: the cloud will say no itself.
    """
    return [
        f'{what}: {need} needed, {used} of {limit} in use'
        for what, need, used, limit in needs
        if need
        and isinstance(used, int)
        and isinstance(limit, int)
        and 0 <= limit < used + need
    ]
