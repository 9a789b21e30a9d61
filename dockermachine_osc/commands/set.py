# SPDX-License-Identifier: Apache-2.0
"""openstack docker machine set."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from dockermachine_osc.commands import (
    each,
    engine_options,
)
from dockermachine_osc.errors import InvalidRequest

if TYPE_CHECKING:
    from dockermachine_osc.machines.setting import Changes
    from dockermachine_osc.report import Reporter

#: Options that take something away, by the name of what they take.
_UNSET = {
    'engine_label': ('<key>', 'Label of the engine'),
    'engine_env': ('<key>', 'Variable of the engine'),
    'engine_insecure_registry': ('<registry>', 'Insecure registry'),
    'engine_registry_mirror': ('<url>', 'Mirror of Docker Hub'),
    'engine_opt': ('<key>', 'Option of dockerd'),
    'registry_ca': ('<host[:port]>', 'Registry whose CA is trusted'),
}


class SetMachine(each.ForEach):
    """Change the name of a machine, or the engine's options of machine(s)

    What is not named stays. A new name is that of the server; the host, and
    a Docker context that is there, keep theirs.

    The engine is asked first: what it refuses changes nothing. It is
    restarted only if something changes, which is said before; if it does not
    start with the new options, it runs again with the old ones. See what is
    set with engine show.
    """

    verb = 'set'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--name', metavar='<name>', help='New name of the machine'
        )
        engine_options.add_options(parser)
        for name, (metavar, what) in _UNSET.items():
            parser.add_argument(
                f'--unset-{name.replace("_", "-")}',
                metavar=metavar,
                action='append',
                default=[],
                help=f'{what} to take away (repeat for several)',
            )
        parser.add_argument(
            '--unset-engine-storage-driver',
            action='store_true',
            help='Leave the storage driver to the engine',
        )
        parser.add_argument(
            '--unset-proxy',
            action='store_true',
            help='Take all proxies away',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Change each, once all that was given makes sense."""
        self._changes = _changes(vars(parsed_args))
        if parsed_args.name and len(parsed_args.machines) > 1:
            raise InvalidRequest('--name is for one machine')
        super().take_action(parsed_args)

    def one(
        self, name: str, parsed_args: argparse.Namespace, reporter: Reporter
    ) -> str:
        """Change one machine."""
        done = False
        if parsed_args.name:
            done = self.machines.rename(name, parsed_args.name)
            name = parsed_args.name
        if self._changes:
            done |= self.machines.set_options(
                name, self._changes, reporter, parsed_args.timeout
            )
        return '' if done else f"Machine '{name}' is as it should be"


def _changes(values: dict[str, Any]) -> Changes | None:
    from dockermachine_osc.engine.options import NO_OPTIONS
    from dockermachine_osc.machines.setting import Changes
    from dockermachine_osc.request import check_pems

    given = engine_options.gathered(values)
    check_pems(given.registry_cas)
    changes = Changes(
        given=given,
        labels=frozenset(values['unset_engine_label']),
        env=frozenset(values['unset_engine_env']),
        insecure_registries=frozenset(
            values['unset_engine_insecure_registry']
        ),
        registry_mirrors=frozenset(values['unset_engine_registry_mirror']),
        storage_driver=values['unset_engine_storage_driver'],
        opts=frozenset(values['unset_engine_opt']),
        proxies=values['unset_proxy'],
        registry_cas=frozenset(values['unset_registry_ca']),
    )
    if changes == Changes(given=NO_OPTIONS):
        if values['name']:
            return None
        raise InvalidRequest(
            'Nothing was said that is to be set',
            'Name it: --name, '
            + ', '.join(
                f'--{n.replace("_", "-")}' for n in engine_options.NAMES
            )
            + '; with --unset- in front to take it away (--unset-proxy)',
        )
    return changes
