# SPDX-License-Identifier: Apache-2.0
"""Hosts that fail: told with the cause, in time, and mended by provision."""

from __future__ import annotations

from tests.functional import base, devcloud, servers
from tests.functional.workstation import Result, Running

# The name server's packets go to a network card that nobody has.
_NO_NAMES = """\
#cloud-config
bootcmd:
- - cloud-init-per
  - instance
  - no-names
  - sh
  - -c
  - >-
    ip route add 10.255.255.53 dev eth0; ip neigh replace 10.255.255.53
    lladdr 02:00:00:00:00:01 nud permanent dev eth0
"""
_NAMES_AGAIN = """\
ip neigh del 10.255.255.53 dev eth0
ip route del 10.255.255.53 dev eth0
"""
_NO_ROOM = """\
mount -t tmpfs -o size=1m tmpfs /var/cache/apt/archives
mkdir /var/cache/apt/archives/partial
"""
_LOCK = """\
cat >/root/lock.py <<END
import fcntl, time
lock = open('/var/lib/apt/lists/lock', 'w')
fcntl.lockf(lock, fcntl.LOCK_EX)
time.sleep(600)
END
systemd-run -q --unit locker python3 /root/lock.py
"""
_PORT_TAKEN = """\
systemd-run -q --unit taker python3 -m http.server 2376
until ss -ltn | grep -q :2376; do sleep 0.1; done
"""
_SMALL_DISK = """\
mount -t tmpfs -o size=4k tmpfs /var/lib/docker
dd if=/dev/zero of=/var/lib/docker/fill bs=1k count=9 2>/dev/null || :
"""
_WRONG_PROGRAM = """\
cp /usr/sbin/dockerd /root/dockerd
printf '\\177ELFnone' >/usr/sbin/dockerd
"""
_SLOW_START = """\
mkdir -p /run/systemd/system/docker.service.d
printf '[Service]\\nExecStartPre=/bin/sleep 20\\n' \\
    >/run/systemd/system/docker.service.d/slow.conf
systemctl daemon-reload
"""
# Until the packets are let through again, they are dropped without a word.
_CUT = """\
systemd-run -q --on-active=19 iptables -D INPUT -p tcp --dport 22 -j DROP
iptables -I INPUT -p tcp --dport 22 -j DROP
"""


class HostFailureTest(base.FunctionalTest):
    """One machine; it is broken and mended again and again."""

    server: servers.Server

    def made(self, name: str) -> None:
        """Remember how to get into the machine's server."""
        shown = self.here.machine('show', name, '-f', 'json').json
        self.server = servers.Server(
            shown['id'],
            name,
            shown['address'],
            self.here.machine_folder(name) / 'id_ed25519',
        )

    def fails(self, *words: str, timeout: int = 60) -> str:
        """Have provision fail, with its step and these words."""
        said = self.refused(
            'provision', self.server.name, '--timeout', str(timeout)
        )
        for text in ("it failed at '", ' s.\n', *words):
            self.assertIn(text, said)
        command = f'openstack docker machine provision {self.server.name}\n'
        self.assertIn(f'When that is mended: {command}', said)
        return said

    def provision(self) -> Result:
        """Have it mended."""
        return self.here.machine('provision', self.server.name)

    def stop_engine(self) -> None:
        """Give provision something to do."""
        self.server.shell(
            'systemctl stop docker.socket docker.service; '
            'systemctl reset-failed docker.service 2>/dev/null || :'
        )


class InstallationTest(HostFailureTest):
    def test_installation(self) -> None:
        name = self.name('bare')
        self._create_without_names(name)
        self.made(name)
        self.fails('the name of deb.debian.org cannot be resolved')
        self.server.shell(_NAMES_AGAIN + _NO_ROOM)
        self.fails(
            "apt-get: You don't have enough free space in "
            '/var/cache/apt/archives/',
            'df -h',
        )
        self.server.shell('umount /var/cache/apt/archives\n' + _LOCK)
        self._lock_is_held()
        self._reboot_amid_packages()
        self.here.machine('context', 'create', name)
        self.here.docker('--context', name, 'ps')

    def _create_without_names(self, name: str) -> None:
        data = self.here.home / 'user-data'
        data.write_text(_NO_NAMES)
        said = self.refused(
            *('create', name, '--image', 'debian-12', '--timeout', '100'),
            *('--user-data', str(data), '--keep-on-failure'),
        )
        for words in (
            "it failed at 'Fetching the lists of packages' after ",
            'the name of deb.debian.org cannot be resolved: no answer from '
            '10.255.255.53',
            'has the host a way out?',
            f'When that is mended: openstack docker machine provision {name}',
        ):
            self.assertIn(words, said)

    def _lock_is_held(self) -> None:
        said = self.fails("apt's lock was not free in time", timeout=15)
        self.assertIn("'Waiting for apt's lock, which process ", said)
        self.assertIn('(python3) holds', said)

    def _reboot_amid_packages(self) -> None:
        """As if the power had failed; what was half installed is finished."""
        running = self.here.start('provision', self.server.name)
        self.addCleanup(running.kill)
        # The installation goes on by itself once the lock is free.
        devcloud.wait_for('provision to be logged in', self._is_served)
        self.server.shell('systemctl stop locker')
        devcloud.wait_for('packages to be unpacked', self._is_unpacking)
        self.server.shell('systemctl reboot --force --force &')
        done = running.wait()
        self.assertEqual(0, done.code, done)
        self.assertIn("at 'Installing docker.io'. Going on when", done.err)

    def _is_served(self) -> bool:
        lock = '/run/docker-machine/serving'
        said = self.server.shell(f'flock -n {lock} echo free || echo held')
        return said.strip() == 'held'

    def _is_unpacking(self) -> bool:
        states = self.server.run(
            'dpkg-query', '-W', '-f', '${db:Status-Status} '
        )
        return 'unpacked' in states or 'half' in states


class EngineTest(HostFailureTest):
    def test_engine(self) -> None:
        name = self.name('broken')
        self.create(name)
        self.made(name)
        self._port_taken()
        self._masked()
        self._disk_full()
        self._wrong_program()
        self.provision()
        self.run_container(name)
        self._network_cut()
        self.run_container(name)

    def _port_taken(self) -> None:
        self.stop_engine()
        self.server.shell(_PORT_TAKEN)
        said = self.fails('2376: bind: address already in use', 'ss -ltnp')
        self.assertIn("failed at 'Starting the engine' after ", said)
        self.server.shell('systemctl stop taker')

    def _masked(self) -> None:
        # systemd itself tries again two seconds after a failure.
        self.stop_engine()
        self.server.shell('systemctl mask --runtime docker.service')
        self.fails('docker.service is masked', 'systemctl unmask')
        self.server.shell('systemctl unmask --runtime docker.service')

    def _disk_full(self) -> None:
        self.server.shell(_SMALL_DISK)
        said = self.fails('no space left on device', 'df -h')
        self.assertNotIn('level=info', said)
        self.stop_engine()
        self.server.shell('umount -l /var/lib/docker')

    def _wrong_program(self) -> None:
        self.server.shell(_WRONG_PROGRAM)
        said = self.fails('the engine does not run with TLS on port 2376: ')
        # journald does not always know of which unit the error was.
        self.assertRegex(
            said, 'dockerd(: Exec format error| cannot be executed)'
        )
        self.server.shell('cat /root/dockerd >/usr/sbin/dockerd')

    def _network_cut(self) -> None:
        """The packets come back before the engine has started."""
        self.stop_engine()
        self.server.shell(_SLOW_START)
        running = self._provisioning()
        self.server.shell(_CUT)
        done = running.wait()
        self.assertEqual(0, done.code, done)
        self.assertIn('nothing came from the host any more', done.err)

    def _provisioning(self) -> Running:
        """Start provision, and return while the engine starts slowly."""
        running = self.here.start('provision', self.server.name)
        self.addCleanup(running.kill)
        devcloud.wait_for('a start that takes long', self._is_starting)
        return running

    def _is_starting(self) -> bool:
        state = self.server.run(
            *('systemctl', 'show', '-p', 'ActiveState', 'docker.service')
        )
        return state.strip() == 'ActiveState=activating'
