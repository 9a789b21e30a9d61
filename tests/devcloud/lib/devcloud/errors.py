# SPDX-License-Identifier: Apache-2.0
"""What the launcher tells its user when it can't."""

from __future__ import annotations


class DevcloudError(Exception):
    """The text is for the user: what is wrong and what to type next."""
