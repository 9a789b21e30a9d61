# SPDX-License-Identifier: Apache-2.0
"""Creates that fail or are interrupted: it is said why, nothing is left."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.functional import base, devcloud
from tests.functional.workstation import Result


class ServerInErrorTest(base.FunctionalTest):
    def test_fault_is_shown_and_all_removed(self) -> None:
        name, image = self.name('error'), self.broken_image()
        said = self.refused('create', name, '--image', image)
        self.assertIn('Nova put the server in ERROR: ', said)
        self.assertIn('no-such-tree', said)
        self.assertIn("'Waiting for the server to become active'", said)
        self.assertIn('Removed again: server ', said)
        self.assertNothingLeft(name)

    def test_kept_if_asked_and_then_deleted(self) -> None:
        name, image = self.name('kept'), self.broken_image()
        said = self.refused(
            'create', name, '--image', image, '--keep-on-failure'
        )
        self.assertIn('Everything was kept, as asked.', said)
        self.assertIn(f'openstack docker machine delete {name}', said)
        kinds = {b.rpartition(' ')[0] for b in self._left(name)}
        self.assertEqual({'server', 'port', 'floating IP'}, kinds)
        shown = self.here.machine('show', name, '-f', 'json').json
        self.assertEqual('error', shown['state'])
        self.assertIn('no-such-tree', shown['fault'])
        self._locked(shown['id'])
        self.here.machine('delete', name)
        self.assertNothingLeft(name)

    def _locked(self, server: str) -> None:
        """What somebody has locked is left alone, with all that it has."""
        compute = devcloud.connect('devcloud').compute
        compute.lock_server(server)
        said = self.refused('delete', server)
        self.assertIn(f'Instance {server} is locked', said)
        self.assertIn(f'openstack server unlock {server}', said)
        compute.unlock_server(server)

    def _left(self, name: str) -> list[str]:
        return devcloud.belongings('devcloud', name)


class ClosedGroupTest(base.FunctionalTest):
    """The user's security group opens nothing: said within the timeout."""

    def test_closed_group(self) -> None:
        name = self.name('closed')
        network = devcloud.connect('devcloud').network
        group = network.create_security_group(name=f'{name}-group')
        self.addCleanup(network.delete_security_group, group)
        self.addCleanup(devcloud.clean, 'devcloud', name)
        said = self.refused(
            'create',
            name,
            '--security-group',
            group.name,
            '--image',
            base.DOCKER_IMAGE,
            '--timeout',
            '40',
        )
        self.assertIn('did not answer (no answer) within 40 s', said)
        self.assertIn(f'{group.name} seems not to open tcp 22 from here', said)
        self.assertNothingLeft(name)


class InterruptedTest(base.FunctionalTest):
    """Ctrl-C and SIGTERM take back what was made, at whatever moment."""

    def test_ctrl_c_while_the_server_is_built(self) -> None:
        done = self._interrupted(signal.SIGINT, self._has_server)
        self.assertEqual(130, done.code, done)

    def test_ctrl_c_while_a_build_is_about_to_fail(self) -> None:
        """Nova deletes the server once the build has failed, not before."""
        done = self._interrupted(
            signal.SIGINT, self._spawns, '--image', self.broken_image(delay=6)
        )
        self.assertEqual(130, done.code, done)

    def test_sigterm_once_the_port_is_there(self) -> None:
        done = self._interrupted(signal.SIGTERM, self._has_port)
        self.assertEqual(143, done.code, done)

    def test_ctrl_c_while_it_is_logged_in(self) -> None:
        done = self._interrupted(
            signal.SIGINT,
            self._logged_in,
            *('--image', 'debian-12', '--engine-label', 'takes=a-login'),
        )
        self.assertEqual(130, done.code, done)

    def _interrupted(
        self,
        number: signal.Signals,
        moment: Callable[[str], bool],
        *options: str,
    ) -> Result:
        name = self.name('interrupted')
        running = self.here.start(
            'create', name, *(options or ('--image', base.DOCKER_IMAGE))
        )
        self.addCleanup(running.kill)
        devcloud.wait_for('that moment', lambda: moment(name))
        running.signal(number)
        done = running.wait()
        self.assertIn('Removed again: ', done.err)
        self.assertNotIn('Traceback', done.err)
        self.assertEqual('', done.out)
        self.assertNothingLeft(name)
        return done

    @staticmethod
    def _has_port(name: str) -> bool:
        return bool(devcloud.belongings('devcloud', name))

    @staticmethod
    def _has_server(name: str) -> bool:
        return f'server {name}' in devcloud.belongings('devcloud', name)

    @staticmethod
    def _spawns(name: str) -> bool:
        compute = devcloud.connect('devcloud').compute
        found = compute.servers(name=name)
        return any(s.task_state == 'spawning' for s in found)

    @staticmethod
    def _logged_in(name: str) -> bool:
        compute = devcloud.connect('devcloud').compute
        found = [s for s in compute.servers(name=name) if s.name == name]
        if not found or found[0].status != 'ACTIVE':
            return False
        return devcloud.ssh_logins(found[0].id) > 0
