# SPDX-License-Identifier: Apache-2.0
"""Every call of a command times every fault: what came of it, and is it true?

A run without faults lists the calls. Then for each call and fault a process
of its own runs the command on a cloud and a home that are as they were before;
at the call, the fault strikes. What the run says of itself is compared with
what the cloud holds. What is left is removed from another workstation's empty
home, whereupon the cloud must hold just what it held before.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import dataclasses
import faulthandler
import functools
import os
import pathlib
import re
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from keystoneauth1.exceptions import ClientException

from dockermachine_osc import errors
from tests import children
from tests.faults import proxy, report, scenes, standin
from tests.faults.calls import Call
from tests.faults.faults import FAULTS, Fault
from tests.faults.report import Cell
from tests.faults.scenes import NAME, Scene
from tests.unit import workbench

if TYPE_CHECKING:
    from dockermachine_osc.machines import Machines

#: Seconds after which the program under test gives up on a silent API, where
#: it has to; and those for which it may run.
_SILENCE = 0.4
_LIMIT = 60.0
_READY, _FAILED, _CRASHED = 0, 1, 70
_INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
#: As it is ended when its time is over.
_HUNG = -signal.SIGABRT
_MAKES = re.compile(
    r'POST \S+ /v2.\d/(servers|ports|floatingips|security-groups)'
)
#: What a run says that has not removed everything.
_CONFESSES = ('Not all', 'machine delete')


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run said of itself.

    :param code: its exit code, negative for the signal that it died of.
    """

    code: int
    said: str

    @property
    def word(self) -> str:
        """What it claims to have come to."""
        words = {_READY: 'ready', _FAILED: 'failed', _CRASHED: 'crashed'}
        words |= dict.fromkeys(_INTERRUPTED, 'interrupted')
        words[_HUNG] = 'hung'
        return words.get(self.code, 'killed')


class Stage:
    """Where one command is run again and again."""

    def __init__(self, scene: Scene, folder: pathlib.Path) -> None:
        self.scene = scene
        self._folder = folder
        self._world = standin.World(folder / 'home')
        scene.arrange(self._world.cloud)
        self._before = self._world.cloud.holds()
        with self._at(self._world.home) as machines:
            scene.prepare(machines)
        self._world.keep()
        done, way = self._run(None)
        if done.word != 'ready':
            raise AssertionError(f'without any fault: {done}')
        self._made, self._makings = self._counts(), _makings(way)
        self.calls = self._telling(proxy.calls_of(way.exchanges))

    def _telling(self, calls: list[Call]) -> list[Call]:
        """Leave out those that would tell nothing new.

        Of many of a kind, the first two and the last are gone through.
        """
        known = stage(self.scene.beside).calls if self.scene.beside else []
        last = {call.kind: call.nth for call in calls}
        return [
            call
            for call in calls
            if call.kind not in {k.kind for k in known}
            and call.nth in (1, 2, last[call.kind])
        ]

    # ------------------------------------------------------------- a cell

    def cell(self, call: Call, fault: Fault) -> Cell:
        """Let one fault strike at one call, and judge what comes of it."""
        self._world.restore()
        done, way = self._run(proxy.Plan(call, fault))
        left = done.word != 'ready' and bool(self._difference())
        problem = self._excess(way) or self._problem(done, fault, left=left)
        if not way.struck:
            problem = 'the call was never made'
        if problem:
            problem += f'\nIt said: {done.said}'
        name = self.scene.name
        return Cell(name, call, fault.name, done.word, left, problem)

    def _problem(self, done: Run, fault: Fault, *, left: bool) -> str:
        """Say what is not as promised; leave the cloud as it was before."""
        if done.word == 'crashed':
            return 'it ended with a traceback'
        if done.word == 'hung':
            return f'it did not end within {_LIMIT:.0f} s'
        if done.word == 'killed' and not fault.signal:
            return 'it was killed, by nobody'
        if done.word == 'ready':
            return self._untruth() or self._removed()
        if left and not self._may_leave(done, fault):
            return self._difference()
        return self._removed() if left else ''

    # ----------------------------------------------------------- judgement

    def _untruth(self) -> str:
        """Say what of a claimed success is not so."""
        cloud = self._world.cloud
        if wrong := self.scene.broken(cloud, self._world.home):
            return f'it is not so: {wrong}'
        wrong = {k: n for k, n in self._counts().items() if n != self._made[k]}
        return (
            f'more or less is there than should be: {wrong}' if wrong else ''
        )

    def _excess(self, way: proxy.Proxy) -> str:
        """Tell of what was made twice, though it may be removed again."""
        made = _makings(way)
        more = {k: n for k, n in made.items() if n > self._makings[k]}
        return f'made more than once: {more}' if more else ''

    def _may_leave(self, done: Run, fault: Fault) -> bool:
        """Tell whether something may be left until the next command.

        Always after SIGKILL; if the cloud is gone for ever, if that is said.
        Whoever deletes or renews is told that it was not done, and repeats.
        """
        if done.word == 'killed' or not self.scene.undoes:
            return True
        confessed = all(words in done.said for words in _CONFESSES)
        return fault.lasting and confessed

    def _removed(self) -> str:
        """Remove what is left from elsewhere; tell what still is."""
        mess = self._world.cloud.holds()
        for finish in list(self._ways_to_finish()):
            self._world.set_cloud(mess)
            try:
                with (
                    tempfile.TemporaryDirectory(dir=self._folder) as home,
                    self._at(pathlib.Path(home)) as machines,
                ):
                    finish(machines)
            except errors.MachineError as error:
                return f'it cannot be removed: {error}'
            if left := self._difference():
                return left
        return ''

    def _ways_to_finish(self) -> Iterator[Callable[..., object]]:
        """Give the commands of which each has to do."""
        if self.scene.is_listed(self._world.cloud):
            yield lambda machines: machines.delete(NAME, 60)
        if self.scene.is_orphan(self._world.cloud):
            yield lambda machines: machines.prune(0, dry_run=False)

    def _difference(self) -> str:
        """Say in what the cloud, or the host, differs from before."""
        told = [
            f'{kind}: {_changed(self._before[kind].get(key), things.get(key))}'
            for kind, things in self._world.cloud.things.items()
            for key in things.keys() | self._before[kind].keys()
            if things.get(key) != self._before[kind].get(key)
        ]
        if (self._world.home / 'served').exists():
            told.append('the host is as the adopting has made it')
        return '\n'.join(told)

    def _counts(self) -> dict[str, int]:
        things = self._world.cloud.things
        return {k: len(v) - len(self._before[k]) for k, v in things.items()}

    # -------------------------------------------------------------- running

    @contextlib.contextmanager
    def _at(self, home: pathlib.Path) -> Iterator[Machines]:
        """Work without faults, from a home."""
        way = self._world.proxy()
        way.start()
        try:
            # The host is the same, wherever one works.
            with self._played(), standin.machines(way.auth_url, home) as found:
                yield found
        finally:
            way.stop()

    def _played(self) -> contextlib.AbstractContextManager[None]:
        home, adopting = self._world.home, self.scene.adopting
        return standin.played(home, adopting=adopting)

    def _run(self, plan: proxy.Plan | None) -> tuple[Run, proxy.Proxy]:
        """Run the command in a process of its own."""
        way, said = self._world.proxy(plan), self._folder / 'said'
        said.unlink(missing_ok=True)
        # Before the proxy has threads, which a fork would leave behind.
        client = os.fork()
        if not client:
            self._be_client(way, said, plan)
        way.start(client)
        try:
            with children.ended(client):
                code = _wait(client)
        finally:
            way.stop()
        return Run(code, said.read_text() if said.exists() else ''), way

    def _be_client(
        self, way: proxy.Proxy, said: pathlib.Path, plan: proxy.Plan | None
    ) -> NoReturn:
        code = _CRASHED
        try:
            way.socket.close()
            # The stacks of all threads, if it has to be ended.
            faulthandler.enable(said.open('w'))
            silence = _SILENCE if plan and plan.fault.silent else None
            code, text = self._claim(way.auth_url, silence)
            said.write_text(text)
        finally:
            os._exit(code)

    def _claim(self, auth_url: str, silence: float | None) -> tuple[int, str]:
        """Run the command as openstack would; give its end and its words."""
        told, home = workbench.Notes(), self._world.home
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code, last = _READY, ''
        try:
            with (
                self._played(),
                standin.machines(auth_url, home, silence) as machines,
                self.scene.manners(),
            ):
                self.scene.run(machines, told)
        except (errors.MachineError, ClientException) as error:
            # The latter only at the log-in, which is not ours.
            code, last = _FAILED, str(error)
        except KeyboardInterrupt:
            code = _INTERRUPTED[0]
        except SystemExit as error:
            code = int(str(error.code))
        except Exception:  # noqa: BLE001
            code, last = _CRASHED, traceback.format_exc()
        return code, '\n'.join([*told.notes, *told.warnings, last])


def _makings(way: proxy.Proxy) -> collections.Counter[str]:
    """Count what was made, whatever became of it and of the answers."""
    return collections.Counter(
        exchange.call.kind
        for exchange in list(way.exchanges)
        if _MAKES.fullmatch(exchange.call.kind)
        and exchange.status in (200, 201, 202)
    )


def _changed(before: Any, after: Any) -> str:
    """Say in what a thing of the cloud differs from before."""
    if not before or not after:
        return f'{"new" if after else "gone"}: {(before or after)["id"]}'
    parts = [
        f'{key}: {before.get(key)} -> {after.get(key)}'
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    ]
    return f'{before["id"]}: {", ".join(parts)}'


def _wait(process: int) -> int:
    """Give the exit code of a child, negative for the signal it died of."""
    end = time.monotonic() + _LIMIT
    while time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGABRT)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


@functools.cache
def stage(command: str) -> Stage:
    """Give the stage of a command, set up once a process."""
    memory = '/dev/shm'
    where = memory if os.access(memory, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix='faults-', dir=where)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Stage(scenes.SCENES[command], pathlib.Path(folder))


def column(command: str, fault: str) -> list[Cell]:
    """Let a fault strike at each call of a command in turn."""
    where = stage(command)
    cells = [where.cell(call, FAULTS[fault]) for call in where.calls]
    if folder := os.environ.get('FAULTS_KEPT'):
        report.keep(cells, pathlib.Path(folder), f'{command}-{fault}')
    return cells
