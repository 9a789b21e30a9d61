# SPDX-License-Identifier: Apache-2.0
"""What the one hypervisor has to hand out.

Guests share the machine's processors, memory and disk, and use little of
them: the figures are those of a small cloud, not of the machine.
"""

from __future__ import annotations

import pathlib
import time
import typing

import nova.conf
import os_resource_classes as orc
from nova.objects import fields
from oslo_serialization import jsonutils

CONF = nova.conf.CONF
VCPUS = 64
MEMORY_MB = 65536
DISK_GB = 2000


def uptime() -> str:
    """In the format of uptime(1), which Nova's API parses."""
    seconds = int(float(pathlib.Path('/proc/uptime').read_text().split()[0]))
    load = pathlib.Path('/proc/loadavg').read_text().split()[:3]
    return (
        f' {time.strftime("%H:%M:%S")} up {seconds // 86400} days, '
        f'{seconds % 86400 // 3600:2d}:{seconds % 3600 // 60:02d},  '
        f'1 user,  load average: {", ".join(load)}'
    )


def resources(nodename: str) -> dict[str, typing.Any]:
    """What Nova's resource tracker asks a driver for."""
    return {
        'vcpus': VCPUS,
        'memory_mb': MEMORY_MB,
        'local_gb': DISK_GB,
        'vcpus_used': 0,
        'memory_mb_used': 0,
        'local_gb_used': 0,
        'hypervisor_type': 'nspawn',
        'hypervisor_version': 1,
        'hypervisor_hostname': nodename,
        'cpu_info': jsonutils.dumps(
            {
                'arch': 'x86_64',
                'model': 'host',
                'vendor': '',
                'features': [],
                'topology': {'cores': 1, 'threads': 1, 'sockets': 1},
            }
        ),
        'disk_available_least': DISK_GB,
        'supported_instances': [
            (
                fields.Architecture.X86_64,
                fields.HVType.LXC,
                fields.VMMode.EXE,
            )
        ],
        'numa_topology': None,
    }


def of_placement(
    ratios: dict[str, float], reserved_disk_gb: int
) -> dict[str, dict[str, typing.Any]]:
    """The inventories of the resource provider."""
    totals = (
        (orc.VCPU, VCPUS, CONF.reserved_host_cpus),
        (orc.MEMORY_MB, MEMORY_MB, CONF.reserved_host_memory_mb),
        (orc.DISK_GB, DISK_GB, reserved_disk_gb),
    )
    return {
        kind: {
            'total': total,
            'min_unit': 1,
            'max_unit': total,
            'step_size': 1,
            'allocation_ratio': ratios[kind],
            'reserved': reserved,
        }
        for kind, total, reserved in totals
    }
