# SPDX-License-Identifier: Apache-2.0
"""The ways for Docker clients to an engine, by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockermachine_osc.machines.endpoint import SSH

if TYPE_CHECKING:
    from dockermachine_osc.machines.access import Access


def of(name: str) -> Access:
    """Give the access of that name, as in a record."""
    # Late, as they are heavy and most commands need none.
    if name == SSH:
        from dockermachine_osc.machines.ssh_access import SshAccess

        return SshAccess()
    from dockermachine_osc.machines.tls_access import TlsAccess

    return TlsAccess()
