# SPDX-License-Identifier: Apache-2.0
"""The password of a cloud's admin and service users.

Made at random for each cloud: whoever may start an instance here is root on
this machine for all practical purposes, so a local user must not know it.
"""

from __future__ import annotations

import secrets

from devcloud.settings import Settings


def make(settings: Settings) -> str:
    """The cloud's password; makes it the first time.

    :raises OSError: when the file can not be read or written
    """
    path = settings.etc / 'password'
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return read(settings)


def read(settings: Settings) -> str:
    """The password that :func:`make` made."""
    return (settings.etc / 'password').read_text()
