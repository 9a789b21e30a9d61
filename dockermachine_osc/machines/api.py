# SPDX-License-Identifier: Apache-2.0
"""The machines of one project: the door through which commands come in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dockermachine_osc import errors
from dockermachine_osc.cloud.api import only
from dockermachine_osc.machines import (
    asking,
    contexting,
    renaming,
)
from dockermachine_osc.machines.deletion import Deletion
from dockermachine_osc.machines.here import Here
from dockermachine_osc.machines.machine import (
    Machine,
)
from dockermachine_osc.report import Named, Silence, Steps
from dockermachine_osc.waiting import Deadline

if TYPE_CHECKING:
    from dockermachine_osc.cloud import Cloud, MachineServer
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.engine import EngineOptions
    from dockermachine_osc.machines.certificates import Shown
    from dockermachine_osc.machines.checkup import Link
    from dockermachine_osc.machines.importing import ImportRequest, Outcome
    from dockermachine_osc.machines.proposal import Proposal
    from dockermachine_osc.machines.pruning import Orphan
    from dockermachine_osc.machines.setting import Changes
    from dockermachine_osc.machines.upgrade import Upgrade
    from dockermachine_osc.report import Reporter
    from dockermachine_osc.request import AdoptRequest, CreateRequest
    from dockermachine_osc.store import MachineFolder, Scope


class Machines:
    """The machines of one project on one cloud, as one workstation sees them.

    :param cloud: the project.
    :param files: this workstation's files about that project.
    :param contexts: the Docker contexts of this user.
    """

    def __init__(self, cloud: Cloud, files: Scope, contexts: Contexts) -> None:
        self._cloud = cloud
        self._files = files
        self._contexts = contexts
        self._here = Here(files, contexts)

    def create(
        self,
        requests: Sequence[CreateRequest],
        reporter: Reporter,
        of: Callable[[str], Reporter],
        most: int,
    ) -> Mapping[str, Machine | errors.MachineError]:
        """Make machines; what is given is ready, or the error says why not.

        :param requests: one or more that differ in nothing but the name.
        :param reporter: is told what concerns all of them.
        :param of: gives the reporter of the machine of a name.
        :param most: how many are made at once.
        :raises InvalidRequest: before anything is made.
        """
        from dockermachine_osc.machines import fleet

        outcomes = fleet.create(
            self._cloud,
            self._files,
            self._contexts,
            requests,
            most,
            reporter,
            of,
        )
        return {
            name: done
            if isinstance(done, errors.MachineError)
            else self._here.machine(done)
            for name, done in outcomes.items()
        }

    def propose(self, request: AdoptRequest, reporter: Reporter) -> Proposal:
        """Look at a server, and say what adopting it would change.

        :raises InvalidRequest: if it cannot be adopted.
        """
        from dockermachine_osc.machines import proposal

        request.check()
        return proposal.propose(
            self._cloud, self._files, request, Steps(reporter)
        )

    def adopt(
        self, request: AdoptRequest, proposal: Proposal, reporter: Reporter
    ) -> Machine:
        """Make a machine of a server, as was proposed.

        :raises MachineError: after all changes have been taken back.
        """
        from dockermachine_osc.machines import adoption

        with self._files.lock(proposal.server.name, wait=False):
            server = adoption.adopt(
                self._cloud,
                self._files,
                self._contexts,
                request,
                proposal,
                Deadline(request.timeout),
                Steps(reporter),
            )
        return self._here.machine(server)

    def import_(
        self, request: ImportRequest, reporter: Reporter
    ) -> Sequence[Outcome]:
        """Take over machines of Docker Machine, whose files stay.

        :raises MachineError: if nothing can be read; what happens to one
            machine is in its outcome.
        """
        from dockermachine_osc.machines import importing

        return importing.run(
            self._cloud, self._files, self._contexts, request, Steps(reporter)
        )

    def list(
        self,
        engine_timeout: float | None = None,
        *,
        name: str = '',
        status: str = '',
        tags: Sequence[str] = (),
    ) -> Sequence[Machine]:
        """List the machines with one request to Nova.

        :param engine_timeout: seconds within which the engines are asked
            too, all side by side; None to leave them in peace.
        :param name: a regular expression that is to be found in the name.
        :param status: of the server, as Nova has it.
        :param tags: all of which the server has.
        """
        found = self._cloud.machines(name=name, status=status, tags=tags)
        machines = [self._here.machine(s) for s in found]
        machines.sort(key=lambda m: (m.server.name, m.server.id))
        if engine_timeout is None:
            return machines
        return asking.ask_all(machines, engine_timeout)

    def show(self, name: str, engine_timeout: float | None = None) -> Machine:
        """Show one machine, by name or id, and refresh its local record.

        :raises NotFound: and Ambiguous, as they say.
        """
        machine = self.get(name)
        if machine.folder:
            # A cache: neither a read-only home nor somebody who works on
            # the machine keeps it from being shown.
            with (
                contextlib.suppress(errors.StoreFailure),
                self._files.lock(machine.server.name, wait=False),
            ):
                self._here.remember(machine.server, machine.folder)
            machine = self._here.machine(machine.server)
        if engine_timeout is None:
            return machine
        return asking.ask_all([machine], engine_timeout)[0]

    def delete(
        self,
        name: str,
        timeout: float,
        *,
        with_server: bool = False,
        leave_host: bool = False,
        reporter: Reporter | None = None,
    ) -> bool:
        """Delete a machine, by name or id, with all that it owns.

        A server that was adopted or imported stays, as it was before, unless
        ``with_server``; ``leave_host`` is for one that cannot be reached any
        more.
        Finishes what a create or delete that was killed left behind.

        :returns: whether there was anything to delete.
        :raises InvalidRequest: if a server of that name is no machine.
        """
        server = None
        if found := self._cloud.find(name):
            server = only(found, name)
            name = server.name
        here = Deletion(
            self._cloud,
            self._files,
            self._contexts,
            timeout,
            reporter or Silence(),
        )
        return here.delete(
            name, server, with_server=with_server, leave_host=leave_host
        )

    def prune(
        self, older_than: float | None = None, *, dry_run: bool
    ) -> Sequence[Orphan]:
        """Remove what killed creates and deletes have left; see pruning."""
        from dockermachine_osc.machines import pruning

        return pruning.prune(self._cloud, older_than, dry_run=dry_run)

    def rename(self, name: str, new_name: str) -> bool:
        """Give a machine another name; tell whether it had another.

        :raises NameTaken: if something else has that name.
        """
        server = self.get(name).server
        server.record.check_release(server.name)
        renamed = renaming.rename(self._cloud, self._files, server, new_name)
        self.show(server.id)
        return renamed

    def start(self, name: str, timeout: float) -> bool:
        """Start a machine and wait for its engine; tell whether it was off.

        :raises InvalidRequest: in a state that only its owner can end.
        """
        machine, deadline = self.get(name), Deadline(timeout)
        changed = self._cloud.start(machine.server, deadline)
        asking.wait_for(machine, deadline)
        return changed

    def stop(self, name: str, timeout: float) -> bool:
        """Stop a machine; tell whether it was running."""
        return self._cloud.stop(self.get(name).server, Deadline(timeout))

    def kill(self, name: str, reporter: Reporter, timeout: float) -> bool:
        """Switch a machine off at once; tell whether it was running."""
        from dockermachine_osc.machines import killing

        machine = self.get(name)
        return killing.kill(
            self._cloud,
            machine.server,
            machine.folder,
            Deadline(timeout),
            Steps(reporter),
        )

    def restart(self, name: str, timeout: float, *, hard: bool) -> None:
        """Reboot a machine and wait for its engine; start it if it is off."""
        machine, deadline = self.get(name), Deadline(timeout)
        self._cloud.restart(machine.server, deadline, hard=hard)
        asking.wait_for(machine, deadline)

    def provision(self, name: str, reporter: Reporter, timeout: float) -> bool:
        """Set up what a machine lacks; tell whether anything was done."""
        from dockermachine_osc.machines import failing, provision

        steps, deadline = Steps(reporter), Deadline(timeout)
        with (
            self._worked_on(name) as (server, folder),
            failing.told(steps, 'provision', server.name),
        ):
            after, done = provision.provision(
                self._cloud, server, folder, deadline, steps
            )
            self._here.remember(after, folder)
        return done

    def upgrade(
        self, name: str, version: str, reporter: Reporter, timeout: float
    ) -> Upgrade:
        """Give a machine's engine another version.

        :param version: as the package's, or its beginning; '' for the newest.
        :raises InvalidRequest: if that is no version.
        :raises EngineFailure: if there is none such, or it does not run.
        """
        from dockermachine_osc.machines import failing, upgrade

        deadline = Deadline(timeout)
        with self._worked_on(name) as (server, folder):
            steps = Steps(Named(reporter, server.name))
            with failing.told(steps, 'upgrade', server.name):
                after, done = upgrade.upgrade(
                    self._cloud, server, folder, version, deadline, steps
                )
            self._here.remember(after, folder)
        return done

    def set_options(
        self,
        name: str,
        changes: Changes,
        reporter: Reporter,
        timeout: float,
    ) -> bool:
        """Change options of an engine; tell whether any were to be."""
        from dockermachine_osc.machines import setting

        with self._worked_on(name) as (server, folder):
            return setting.change(
                server, folder, changes, Deadline(timeout), Steps(reporter)
            )

    def engine_options(
        self, name: str, reporter: Reporter, timeout: float
    ) -> EngineOptions:
        """Read the options of an engine from its host."""
        from dockermachine_osc.machines import setting

        with self._worked_on(name) as (server, folder):
            return setting.options(
                server, folder, Deadline(timeout), Steps(reporter)
            ).options

    def certificates(self, name: str, timeout: float) -> Sequence[Shown]:
        """Read a machine's certificates: the CA's, ours, and the engine's."""
        from dockermachine_osc.machines import certificates

        with self._worked_on(name) as (server, folder):
            return certificates.show(server, folder, timeout)

    def renew(
        self,
        name: str,
        roles: frozenset[str],
        reporter: Reporter,
        timeout: float,
    ) -> None:
        """Make certificates of a machine anew: of the roles given."""
        from dockermachine_osc.machines import certificates

        with self._worked_on(name) as (server, folder):
            after = certificates.renew(
                self._cloud,
                server,
                folder,
                roles,
                Deadline(timeout),
                Steps(reporter),
            )
            self._here.remember(after, folder)

    def check(self, name: str, timeout: float) -> Sequence[Link]:
        """Try every link from here to a machine's engine."""
        from dockermachine_osc.machines import checkup

        with self._worked_on(name) as (server, folder):
            return checkup.check(self._cloud, server, folder, timeout)

    def create_context(self, name: str, context: str) -> str:
        """Make a machine's Docker context; '' names it like the machine."""
        with self._worked_on(name) as (server, folder):
            return contexting.create(
                self._contexts, folder, server.record, context or server.name
            )

    def delete_context(self, name: str) -> bool:
        """Delete a machine's Docker context; tell whether there was one."""
        with self._worked_on(name) as (_, folder):
            return contexting.remove(self._contexts, folder)

    def get(self, name: str) -> Machine:
        """Find one machine by name or id.

        :raises NotFound: and Ambiguous, as they say.
        """
        return self._here.machine(only(self._cloud.find(name), name))

    # ---------------------------------------------------------- details

    @contextlib.contextmanager
    def _worked_on(
        self, name: str
    ) -> Iterator[tuple[MachineServer, MachineFolder]]:
        """Find a machine and keep others off its files meanwhile.

        :raises StoreFailure: if its files are not on this workstation.
        """
        server = only(self._cloud.find(name), name)
        server.record.check_release(server.name)
        with self._here.worked_on(server) as found:
            yield found
