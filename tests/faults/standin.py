# SPDX-License-Identifier: Apache-2.0
"""A fast cloud behind real sockets, and a workstation whose hosts are played.

The cloud is that of the unit tests. What is between it and the program under
test is real: connections, time-outs, urllib3's retries, threads, signals.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import pathlib
import shutil
import time
from collections.abc import Iterator
from typing import Any

import fixtures
import openstack
import requests
import requests_mock

from dockermachine_osc import store
from dockermachine_osc.cloud import Cloud
from dockermachine_osc.contexts import Contexts
from dockermachine_osc.machines import Machines
from tests.faults.proxy import Plan, Proxy
from tests.unit import workbench
from tests.unit.fakecloud import AUTH_URL, OTHER, PROJECT, FakeCloud
from tests.unit.machines import adopting

#: How much faster the time passes that the program under test waits.
_HASTE = 30.0
#: Who waits: the program itself, urllib3 and keystoneauth between tries.
_WAITING = (
    'dockermachine_osc.waiting',
    'urllib3.util.retry',
    'keystoneauth1.session',
)
_LONG_AGO = '2020-01-01T00:00:00Z'

Things = dict[str, dict[str, Any]]

# Of each request its every byte, which takes longer than all else; and of
# each fault a warning.
for _name in (
    'fasteners',
    'keystoneauth',
    'openstack',
    'requests_mock',
    'stevedore',
    'urllib3',
):
    logging.getLogger(_name).setLevel(logging.ERROR)


class StandIn(FakeCloud):  # type: ignore[misc]
    """A cloud that is taken as it is, hands out tokens, and looks old."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens = itertools.count()
        self.console = workbench.CONSOLE
        self.public = self.add_network('public', external=True, project=OTHER)
        self.private = self.add_network('private')
        self.add_router(self.public, self.private)
        self.add_image('debian-12', os_version='12')
        self.add_flavor('m1.small')
        # What is not the machine's, and has to stay.
        self.add_floating_ip(self.public)
        self.add_port(self.private, description='docker-machine of mine')
        self.add_group('docker-machine-x', 'not by this tool')

    def add(self, *arguments: Any, **body: Any) -> dict[str, Any]:
        """Have all be old enough for prune."""
        for key in ('created', 'created_at'):
            body[key] = _LONG_AGO
        added: dict[str, Any] = super().add(*arguments, **body)
        return added

    def session(self) -> requests.Session:
        """Give a session that reaches this cloud and nothing else."""
        session, adapter = requests.Session(), requests_mock.Adapter()
        adapter.add_matcher(self.serve)
        session.mount('http://', adapter)
        return session

    def _identity(self, request: Any, path: str) -> tuple[Any, ...]:
        status, body, *headers = super()._identity(request, path)
        if headers:
            headers = [{'X-Subject-Token': f'token-{next(self._tokens)}'}]
        return (status, body, *headers)


class Haste:
    """The module time, but what waits is served sooner."""

    time = staticmethod(time.time)

    @staticmethod
    def monotonic() -> float:
        """Give hurried seconds."""
        return time.monotonic() * _HASTE

    @staticmethod
    def sleep(seconds: float) -> None:
        """Sleep hurried seconds."""
        time.sleep(seconds / _HASTE)


class Host(adopting.Host):  # type: ignore[misc]
    """The host of a server to adopt; what it became is in a file.

    So that it is known to another process, too, when this one is killed.
    """

    def __init__(self, state: pathlib.Path) -> None:
        super().__init__()
        self._state = state

    def run(self, command: str, *arguments: Any, **more: Any) -> Any:
        """Run a verb, and remember what it did."""
        if self._state.exists():
            self.failures.pop('ask', None)
        done = super().run(command, *arguments, **more)
        verb = self.visits[-1][0]
        if verb == 'serve':
            self._state.touch()
        if verb == 'leave':
            self._state.unlink(missing_ok=True)
        return done


@contextlib.contextmanager
def played(home: pathlib.Path, *, adopting: bool) -> Iterator[None]:
    """Play host and engine, and let time pass quickly."""
    with contextlib.ExitStack() as stack:
        for module in _WAITING:
            patch = fixtures.MonkeyPatch(f'{module}.time', Haste)
            stack.enter_context(patch)
        stack.enter_context(workbench.Guest())
        stack.enter_context(workbench.UsersSsh())
        if adopting:
            stack.enter_context(Host(home / 'served'))
        yield


class World:
    """A cloud, and the home of who works with it: to be kept and set back."""

    def __init__(self, home: pathlib.Path) -> None:
        self.cloud, self.home = StandIn(), home
        self._kept = home.parent / f'{home.name}.kept'
        self._things: Things = {}
        home.mkdir()

    def keep(self) -> None:
        """Keep all as it is now."""
        self._things = self.cloud.holds()
        shutil.copytree(self.home, self._kept)

    def restore(self) -> None:
        """Have all as it was kept."""
        self.set_cloud(self._things)
        shutil.rmtree(self.home)
        shutil.copytree(self._kept, self.home)

    def set_cloud(self, things: Things) -> None:
        """Have a cloud that holds just this."""
        self.cloud.things = copy.deepcopy(things)

    def proxy(self, plan: Plan | None = None) -> Proxy:
        """Give a way to the cloud, on which something may go wrong."""
        return Proxy(AUTH_URL, self.cloud.session, plan)


@contextlib.contextmanager
def machines(
    auth_url: str, home: pathlib.Path, silence: float | None = None
) -> Iterator[Machines]:
    """Give what commands work with, as the plugin makes it.

    :param silence: seconds after which the user gives an API up: as
        ``api_timeout`` in clouds.yaml.
    """
    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        region_name='RegionOne',
        api_timeout=silence,
        auth={
            'auth_url': auth_url,
            'username': 'demo',
            'password': 'pw',
            'project_id': PROJECT,
            'user_domain_id': 'default',
        },
    )
    cloud = Cloud(connection)
    scope = store.Store(home / 'store').scope(
        # Each proxy has a URL of its own, and all lead to one cloud.
        AUTH_URL,
        cloud.region,
        cloud.project_id,
    )
    yield Machines(cloud, scope, Contexts(home / 'docker'))
    connection.close()
