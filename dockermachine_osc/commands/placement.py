# SPDX-License-Identifier: Apache-2.0
"""Options of create on where a server runs, and on which disks."""

from __future__ import annotations

import argparse

from osc_lib.cli import parseractions

from dockermachine_osc.commands import options


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that the scheduler and the volume service heed."""
    parser.add_argument(
        '--server-group',
        metavar='<server-group>',
        help='Server group (name or ID) whose policy places the server',
    )
    parser.add_argument(
        '--hint',
        metavar='<key=value>',
        action=parseractions.KeyValueAppendAction,
        dest='hints',
        help='Hint for the scheduler (repeat for several)',
    )
    parser.add_argument(
        '--boot-from-volume',
        metavar='<volume-size>',
        type=options.gibibytes,
        help='Boot from a volume of that many GiB made from the image; it '
        'is deleted with the machine',
    )
    parser.add_argument(
        '--data-volume',
        metavar='<volume-size>',
        type=options.gibibytes,
        help='Keep what the engine stores on a volume of that many GiB of '
        'its own; it is deleted with the machine',
    )
    parser.add_argument(
        '--volume-type',
        metavar='<volume-type>',
        help='Type of these volumes (name or ID; default: that of the cloud)',
    )
