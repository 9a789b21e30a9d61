# SPDX-License-Identifier: Apache-2.0
"""The names of this cloud's network devices.

All carry the cloud's port base, so that two clouds never share one and each
removes only its own.  The kernel allows 15 characters: ``d`` + at most 5
digits + a letter + 8 of the 32 hexadecimal digits of the id.
"""

from __future__ import annotations

import re

from devcloud import settings

ID_DIGITS = 8


def _device(kind: str, identity: str) -> str:
    return f'd{settings.current().port}{kind}{identity[:ID_DIGITS]}'


def bridge(network_id: str) -> str:
    """The bridge that stands for a tenant network; it has no ports."""
    return _device('b', network_id)


def external_bridge(network_id: str) -> str:
    """The bridge that stands for an external network; it has no ports."""
    return _device('x', network_id)


def tap(port_id: str) -> str:
    """The host's end of a guest's port."""
    return _device('t', port_id)


def all_taps() -> str:
    """What nftables calls any port of this cloud."""
    return _device('t', '') + '*'


def is_tap(device: str) -> bool:
    """True for the name of a port of this cloud."""
    return re.fullmatch(_device('t', '') + '[0-9a-f]{8}', device) is not None


def is_bridge(device: str) -> bool:
    """True for the name of a bridge of this cloud."""
    prefix = f'd{settings.current().port}'
    return re.fullmatch(prefix + '[bx][0-9a-f]{8}', device) is not None
