# SPDX-License-Identifier: Apache-2.0
"""Every parser, given what nobody thought of.

All of these together take less than a minute. ``FUZZ=100 stestr run
unit.fuzz`` tries a hundred times as much.
"""

import os

import hypothesis

_FACTOR = float(os.environ.get('FUZZ') or 1)


def tries(examples):
    """Give the settings for about so many examples."""
    return hypothesis.settings(
        max_examples=max(1, int(examples * _FACTOR)),
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
