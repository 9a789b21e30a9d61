# SPDX-License-Identifier: Apache-2.0
"""What the restart of an engine means to those who use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockermachine_osc.engine import Findings, Told


def fate(findings: Findings | Told) -> str:
    """Say what the restart means to the containers that run."""
    if not findings.containers:
        return ''
    count = f'{findings.containers} running container(s)'
    if findings.live_restore:
        return f'; {count} run on: live-restore is set'
    return f'; {count} stop, those with a restart policy start again'
