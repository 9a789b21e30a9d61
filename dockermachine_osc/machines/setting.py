# SPDX-License-Identifier: Apache-2.0
"""Changing the options of a machine's engine, which stand on its host."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from dockermachine_osc import engine, errors
from dockermachine_osc.engine.options import PROXIES, flag
from dockermachine_osc.machines import accesses, errand, provision
from dockermachine_osc.machines.restarting import fate
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import MachineServer
    from dockermachine_osc.engine import EngineOptions, Handover
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder

#: Seconds to take options back that have used up the time.
_WAY_BACK = 120
_V = TypeVar('_V')


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is to be different; what is not named stays.

    ``given`` comes after what is taken away: one value of a key takes the
    place of the one before, a registry or mirror comes to those that are
    there, and all values of a flag of dockerd take the place of its former.
    """

    given: EngineOptions
    labels: frozenset[str] = frozenset()
    env: frozenset[str] = frozenset()
    insecure_registries: frozenset[str] = frozenset()
    registry_mirrors: frozenset[str] = frozenset()
    storage_driver: bool = False
    opts: frozenset[str] = frozenset()
    proxies: bool = False
    registry_cas: frozenset[str] = frozenset()

    def applied(self, old: EngineOptions) -> EngineOptions:
        """Give the options as they are to be.

        :raises InvalidRequest: if they contradict each other.
        """
        given = self.given
        flags = self.opts | {flag(o) for o in given.opts}
        kept = tuple(o for o in old.opts if flag(o) not in flags)
        proxies = {
            name: getattr(given, name)
            or ('' if self.proxies else getattr(old, name))
            for name in PROXIES
        }
        return engine.EngineOptions(
            labels=_without(old.labels, self.labels) | dict(given.labels),
            env=_without(old.env, self.env) | dict(given.env),
            insecure_registries=_joined(
                old.insecure_registries,
                self.insecure_registries,
                given.insecure_registries,
            ),
            registry_mirrors=_joined(
                old.registry_mirrors,
                self.registry_mirrors,
                given.registry_mirrors,
            ),
            storage_driver=given.storage_driver
            or ('' if self.storage_driver else old.storage_driver),
            opts=kept + given.opts,
            registry_cas=_without(old.registry_cas, self.registry_cas)
            | dict(given.registry_cas),
            **proxies,
        )


def options(
    server: MachineServer,
    folder: MachineFolder,
    deadline: Deadline,
    steps: Steps,
) -> engine.Told:
    """Ask a host for its engine's options; they may hold secrets.

    :raises InvalidRequest: if the machine is off.
    :raises EngineFailure: if it was never set up.
    """
    provision.check_on(server)
    steps.begin("Reading the engine's options")
    parcel = engine.visit('options', errand.settings_of(server.record))
    way = errand.known_way(server.record, folder)
    _, result = errand.send(way, folder, parcel, deadline, steps)
    return engine.told(result.status, result.stdout.splitlines())


def change(
    server: MachineServer,
    folder: MachineFolder,
    changes: Changes,
    deadline: Deadline,
    steps: Steps,
) -> bool:
    """Change the options of an engine; tell whether any were to be.

    The engine is asked first. If it then does not start with them, or gives
    no answer, it runs again with those that it had.

    :raises EngineFailure: if the engine refuses them; nothing has changed.
    """
    told = options(server, folder, deadline, steps)
    wanted = changes.applied(told.options)
    if wanted == told.options:
        return False
    if wanted.needs_restart(told.options):
        ends = fate(told)
        steps.note(f'{server.name}: restart the engine once{ends}')
    else:
        steps.note(f'{server.name}: the engine need not restart for this')
    done = _hand_over(wanted, server, folder, deadline, steps)
    steps.begin('Waiting for the engine')
    way_in = accesses.of(server.record.access)
    try:
        way_in.prove(server.record, folder, done.outcome, deadline)
    except errors.MachineError as error:
        steps.begin('Handing over the former options')
        again = Deadline(_WAY_BACK)
        _hand_over(told.options, server, folder, again, steps)
        error.message += '\nIt has its former options again.'
        raise
    return True


def _hand_over(
    wanted: EngineOptions,
    server: MachineServer,
    folder: MachineFolder,
    deadline: Deadline,
    steps: Steps,
) -> errand.Done:
    steps.begin('Handing over the options')
    try:
        return errand.run(
            errand.known_way(server.record, folder),
            folder,
            _parcel(wanted, deadline),
            deadline,
            steps,
        )
    except engine.SetupFailed as error:
        if error.exit_code == engine.EXIT_START:
            error.message += '\nThe engine has its former options again.'
        raise


def _parcel(wanted: EngineOptions, deadline: Deadline) -> Handover:
    return engine.configure(wanted, wait=errand.hosts_time(deadline))


def _without(old: Mapping[str, _V], keys: frozenset[str]) -> dict[str, _V]:
    return {k: v for k, v in old.items() if k not in keys}


def _joined(
    old: Iterable[str], gone: frozenset[str], new: Iterable[str]
) -> tuple[str, ...]:
    """Give each once, in the order of their coming."""
    kept = (item for item in old if item not in gone)
    return tuple(dict.fromkeys((*kept, *new)))
