# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands have in common."""

from __future__ import annotations

import argparse

from dockermachine_osc.commands import options


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add the one machine that a command is about."""
    parser.add_argument(
        'machine', metavar='<machine>', help='Machine (name or ID)'
    )


def add_rule_options(parser: argparse.ArgumentParser) -> None:
    """Add the options on who may reach the engine, how, by which names."""
    parser.add_argument(
        '--access',
        choices=('tls', 'ssh'),
        help='How docker reaches the engine: tls (on a port of its own, with '
        'certificates) or ssh (through SSH, as whom you log in as; no '
        'other port is opened) (default: tls)',
    )
    parser.add_argument(
        '--allow-cidr',
        metavar='<cidr>',
        action='append',
        dest='allow_cidrs',
        help='Network that may reach SSH and the engine (repeat for several; '
        'default: 0.0.0.0/0, both are guarded by keys)',
    )
    parser.add_argument(
        '--tls-san',
        metavar='<name>',
        action='append',
        dest='tls_sans',
        help='Further address or host name by which clients reach the '
        "engine, for its certificate (repeat for several; the machine's "
        'addresses and its name are there anyway)',
    )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the options on the engine."""
    parser.add_argument(
        '--engine-port',
        metavar='<port>',
        type=options.port_number,
        help='Port of the engine (default: 2376)',
    )
    parser.add_argument(
        '--engine-source',
        metavar='<source>',
        help='Where the engine comes from: auto (what the image has, else '
        "the distribution's package), image (what the image has), "
        "distribution (its package), docker (Docker's own script), the URL "
        'of an install script, or none (your user data installs it) '
        '(default: auto)',
    )
    parser.add_argument(
        '--engine-version',
        metavar='<version>',
        help='Version of the engine to install, or the beginning of one '
        '(default: what the source gives)',
    )


def add_parallel(parser: argparse.ArgumentParser) -> None:
    """Add how many machines are worked on at once."""
    parser.add_argument(
        '--parallel',
        metavar='<number>',
        type=options.count,
        default=8,
        help='How many machines to work on at the same time (default: 8)',
    )


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options on time and the Docker context."""
    parser.add_argument(
        '--timeout',
        metavar='<seconds>',
        type=options.seconds,
        help='Time for the machine to be ready (default: 600)',
    )
    context = parser.add_mutually_exclusive_group()
    context.add_argument(
        '--context',
        action='store_true',
        default=None,
        help='Make a Docker context of the same name (default)',
    )
    context.add_argument(
        '--no-context',
        action='store_false',
        dest='context',
        default=None,
        help='Make no Docker context',
    )
