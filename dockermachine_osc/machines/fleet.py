# SPDX-License-Identifier: Apache-2.0
"""Making several machines at once: one check, one group, many makers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from dockermachine_osc import errors, interrupts, sidebyside
from dockermachine_osc.machines import creation
from dockermachine_osc.report import Steps, Stoppable
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer, Plan
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.report import Reporter
    from dockermachine_osc.request import CreateRequest
    from dockermachine_osc.store import Scope

    _Outcomes: TypeAlias = Mapping[str, MachineServer | errors.MachineError]


def create(
    cloud: Cloud,
    files: Scope,
    contexts: Contexts,
    requests: Sequence[CreateRequest],
    most: int,
    reporter: Reporter,
    of: Callable[[str], Reporter],
) -> _Outcomes:
    """Make machines side by side; give each, or why there is none, by name.

    :param requests: one or more that differ in nothing but the name.
    :param most: how many are made at once.
    :param reporter: is told what concerns all of them.
    :param of: gives the reporter of the machine of a name.
    :raises InvalidRequest: before anything is made.
    :raises BaseException: that is not of this package, such as Ctrl-C, after
        what was made has been removed.
    """
    _check(requests)
    stop = threading.Event()

    def make(request: CreateRequest, plan: Plan) -> MachineServer:
        deadline, teller = Deadline(request.timeout, stop), of(request.name)
        steps = Steps(Stoppable(teller, stop))
        try:
            return creation.create(
                cloud, files, contexts, request, plan, deadline, steps
            )
        except errors.MachineError as error:
            if len(requests) > 1:
                reporter.warn(str(error))
            raise
        finally:
            teller.done()

    def make_all(plan: Plan) -> _Outcomes:
        jobs = {r.name: functools.partial(make, r, plan) for r in requests}
        return sidebyside.run(jobs, most, stop)

    with contextlib.ExitStack() as locks:
        for request in requests:
            locks.enter_context(files.lock(request.name, wait=False))
        plan = creation.check(cloud, files, requests, reporter)
        if len(requests) == 1:
            return make_all(plan)
        return _sharing_a_group(cloud, plan, make_all)


def _sharing_a_group(
    cloud: Cloud, plan: Plan, make_all: Callable[[Plan], _Outcomes]
) -> _Outcomes:
    """Make the group first, and remove it if none is left to have it."""
    made: _Outcomes = {}
    try:
        with interrupts.held():
            group = cloud.make_group(plan)
        made = make_all(dataclasses.replace(plan, group=group))
        return made
    finally:
        failed = any(isinstance(m, errors.MachineError) for m in made.values())
        if failed or not made:
            # What went wrong matters more than what this may meet.
            with contextlib.suppress(errors.MachineError):
                cloud.remove_unused_groups()


def _check(requests: Sequence[CreateRequest]) -> None:
    for request in requests:
        request.check()
    counted = Counter(request.name for request in requests)
    for name, times in counted.items():
        if times > 1:
            raise errors.InvalidRequest(
                f"The name '{name}' was given {times} times",
                'No two machines of a project have the same name',
            )
    if len(requests) > 1:
        _check_shared(requests[0])


def _check_shared(request: CreateRequest) -> None:
    """Raise InvalidRequest for what only one machine can have."""
    given = {
        '--floating-ip': request.floating_ip,
        '--port, --nic port-id=': any(nic.port for nic in request.nics),
        '--nic v4-fixed-ip=, v6-fixed-ip=': any(
            nic.fixed_ips for nic in request.nics
        ),
    }
    for option, value in given.items():
        if value:
            raise errors.InvalidRequest(
                f'{option}: only one machine can have that',
                'Create the machines one by one, or leave it out',
            )
