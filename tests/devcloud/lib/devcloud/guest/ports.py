# SPDX-License-Identifier: Apache-2.0
"""A guest's network namespace and its ports.

A port is a veth pair.  Its end on the host is on no bridge: the data plane
routes to it.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time

from devcloud import settings
from devcloud.guest import errors, names, process

NETNS = pathlib.Path('/run/netns')
PLUG_TRIES = 50
PLUG_PAUSE_S = 0.1


@dataclasses.dataclass(frozen=True)
class Nic:
    """One network interface of a guest."""

    vif: str  # its end on the host
    mac: str
    mtu: int  # bytes

    @classmethod
    def parse(cls, text: str) -> Nic:
        """From ``vif=DEV,mac=M,mtu=N``.

        :raises ValueError: when it is not of that form
        """
        fields = dict(part.split('=', 1) for part in text.split(','))
        if set(fields) != {'vif', 'mac', 'mtu'}:
            raise ValueError(text)
        return cls(fields['vif'], fields['mac'].lower(), int(fields['mtu']))


def namespace(guest: str) -> str:
    """The name of the guest's network namespace."""
    return f'devcloud-{settings.current().port}-{guest}'


def connect(guest: str, nics: list[Nic]) -> str:
    """Make namespace and ports anew; returns the namespace's path.

    Anew at every boot: a namespace that was used keeps its addresses, and
    the guest's networking.service fails over them.
    """
    disconnect(guest)
    name = namespace(guest)
    process.run('ip', 'netns', 'add', name)
    process.run('ip', '-n', name, 'link', 'set', 'lo', 'up')
    for index, nic in enumerate(nics):
        _plug(name, f'eth{index}', nic)
    return str(NETNS / name)


def _plug(name: str, inside: str, nic: Nic) -> None:
    mtu = str(nic.mtu)
    process.run('ip', 'link', 'del', nic.vif, check=False)
    _make_pair(name, inside, nic)
    process.run('ip', '-n', name, 'link', 'set', inside, 'mtu', mtu)
    process.run('ip', 'link', 'set', nic.vif, 'mtu', mtu, 'up')


def _make_pair(name: str, inside: str, nic: Nic) -> None:
    # a rebooting guest's old port goes a moment after its namespace
    for _ in range(PLUG_TRIES):
        made = process.run(
            'ip',
            'link',
            'add',
            nic.vif,
            'type',
            'veth',
            'peer',
            'name',
            inside,
            'address',
            nic.mac,
            'netns',
            name,
            check=False,
        )
        if made.returncode == 0:
            return
        time.sleep(PLUG_PAUSE_S)
    raise errors.GuestError(
        f'cannot make the port {nic.vif}: {made.stdout.strip()}'
    )


def disconnect(guest: str) -> None:
    """Remove the namespace, and with it the ports."""
    name = namespace(guest)
    if (NETNS / name).exists():
        process.run('ip', 'netns', 'del', name, check=False)


def guests_with_namespace() -> list[str]:
    """The guests that have a namespace, running or left over."""
    prefix = namespace('')
    if not NETNS.is_dir():
        return []
    return sorted(
        path.name.removeprefix(prefix)
        for path in NETNS.iterdir()
        if path.name.startswith(prefix)
    )


def remove_ports(keep: set[str]) -> None:
    """Remove this cloud's ports except those named."""
    links = json.loads(process.run('ip', '-j', 'link', 'show').stdout)
    for link in links:
        device = link['ifname']
        if names.is_tap(device) and device not in keep:
            process.run('ip', 'link', 'del', device, check=False)
