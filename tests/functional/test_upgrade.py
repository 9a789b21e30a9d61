# SPDX-License-Identifier: Apache-2.0
"""Engines get other versions, from a repository on the machine itself."""

from __future__ import annotations

import typing

from tests.functional import base, devcloud, servers

# The installed package, packed again under other versions. The engine's own
# version is a text in its program: another of the same length takes its
# place. One version does not run.
_REPOSITORY = r"""
repo=/srv/repo; mkdir -p $repo; cd $repo
pack() {
    mkdir -p tree/DEBIAN
    dpkg-query -L docker.io | while read -r file; do
        [ -d "$file" ] || echo "${file#/}"
    done | tar -c -C / -T - | tar -x -C tree
    dpkg-query -s docker.io | awk -v version="$1" '
        /^Conffiles:/ { skip = 1; next }
        skip && /^ / { next }
        { skip = 0 }
        /^Status:/ { next }
        /^Version:/ { $0 = "Version: " version }
        { print }' >tree/DEBIAN/control
    for script in preinst postinst prerm postrm conffiles; do
        cp /var/lib/dpkg/info/docker.io.$script tree/DEBIAN/$script
    done
    program=tree/usr/sbin/dockerd
    if [ "$2" = broken ]; then
        echo '#!/bin/sh' >$program
        echo 'echo "failed to start daemon: broken" >&2; exit 1' >>$program
    else
        sed -i "s/20\.10\.24+dfsg1/$2/g" $program
    fi
    echo "# of $1" >>tree/etc/default/docker
    dpkg-deb -Znone -b tree "docker.io_$1.deb" >/dev/null
    { cat tree/DEBIAN/control; echo "Filename: ./docker.io_$1.deb"
      echo "Size: $(stat -c %s "docker.io_$1.deb")"
      sha256sum "docker.io_$1.deb" | sed 's/^/SHA256: /; s/  .*//'; echo
    } >>Packages
    rm -r tree
}
pack 20.10.23+dfsg1-1 20.10.23+dfsg1
pack 20.10.25+dfsg1-1 20.10.25+dfsg1
pack 19.03.1-1 broken
echo "deb [trusted=yes] file:$repo ./" >/etc/apt/sources.list
echo '# mine' >>/etc/default/docker
"""
_CONTAINERS = """\
for policy in always no; do
    docker run -d --init --name restart-$policy --restart $policy busybox \\
        /bin/sleep 3600
done
"""
_PIDS = "docker inspect -f '{{.State.Pid}}' restart-always restart-no"
# As unattended-upgrades does, which runs at any time.
_LOCK = """\
import fcntl, time
lock = open('/var/lib/dpkg/lock-frontend', 'w')
fcntl.lockf(lock, fcntl.LOCK_EX)
print(flush=True)
time.sleep(4)
"""


class UpgradeTest(base.FunctionalTest):
    """One machine; each step begins where the one before has ended."""

    def test_upgrade(self) -> None:
        self.machine = self.name('upgrade')
        shown = self.create(self.machine).json
        folder = self.here.machine_folder(self.machine)
        self.server = servers.Server(
            shown['id'], self.machine, shown['address'], folder / 'id_ed25519'
        )
        self.server.shell(_REPOSITORY)
        self.server.ssh(
            self.here, 'sudo docker import - busybox', base.busybox_image()
        )
        self.server.shell(_CONTAINERS)
        self._to_none_such()
        self._to_the_newest()
        self._again()
        self._back_while_containers_run_on()
        self._to_one_that_does_not_run()
        self._on_hold()
        self._of_no_package()

    def _upgraded(self, *options: str) -> dict[str, typing.Any]:
        done = self.here.machine(
            'upgrade', self.machine, *options, '-f', 'json'
        )
        self.said = done.err
        (row,) = done.json
        return dict(row)

    def _refused(self, *options: str) -> str:
        start = self.server.engine_start()
        packages = self.server.run('dpkg-query', '-W')
        said = self.refused('upgrade', self.machine, *options)
        self.assertEqual(packages, self.server.run('dpkg-query', '-W'))
        self.assertEqual(start, self.server.engine_start())
        return said

    def _to_none_such(self) -> None:
        said = self._refused('--engine-version', '20.10.2')
        self.assertIn('there is no docker.io 20.10.2 for this host', said)
        for version in ('20.10.25+dfsg1-1', '20.10.23+dfsg1-1', '19.03.1-1'):
            self.assertIn(version, said)

    def _to_the_newest(self) -> None:
        packages = set(self.server.run('dpkg-query', '-W').splitlines())
        starts = devcloud.engine_starts(self.server.id)
        row = self._upgraded()
        self.assertEqual('20.10.24+dfsg1', row['Before'])
        self.assertEqual('20.10.25+dfsg1', row['After'])
        self.assertEqual('docker.io', row['Package'])
        self.assertEqual('20.10.25+dfsg1-1', row['Package After'])
        self.assertIs(True, row['Restarted'])
        self.assertIn(
            f'{self.machine}: 2 running container(s) stop with', self.said
        )
        self.assertEqual(starts + 1, devcloud.engine_starts(self.server.id))
        after = set(self.server.run('dpkg-query', '-W').splitlines())
        self.assertEqual({'docker.io\t20.10.25+dfsg1-1'}, after - packages)
        self.assertTrue(
            self.server.run('cat', '/etc/default/docker').endswith('# mine\n')
        )
        shown = self.here.machine('show', self.machine, '-f', 'json').json
        self.assertEqual('20.10.25+dfsg1', shown['engine_version'])
        running = self.here.docker(
            '--context', self.machine, 'ps', '--format', '{{.Names}}'
        )
        self.assertEqual(['restart-always'], running.out.split())

    def _again(self) -> None:
        start = self.server.engine_start()
        done = self.here.machine(
            'upgrade', self.machine, 'no-such', '-f', 'json', code=1
        )
        (row,) = done.json
        self.assertEqual(row['Package Before'], row['Package After'])
        self.assertIs(False, row['Restarted'])
        self.assertIn("Failed to upgrade machine 'no-such'", done.err)
        self.assertEqual(start, self.server.engine_start())

    def _back_while_containers_run_on(self) -> None:
        self.server.write('/etc/docker/daemon.json', '{"live-restore": true}')
        self.server.shell(
            'systemctl reload docker.service; docker start restart-no'
        )
        before = self.server.shell(_PIDS)
        self.server.shell(
            f'systemd-run --quiet --unit locked python3 -c "{_LOCK}"'
        )
        row = self._upgraded('--engine-version', '20.10.23')
        self.assertEqual('20.10.23+dfsg1', row['After'])
        self.assertIn('2 running container(s) run on', self.said)
        self.assertEqual(before, self.server.shell(_PIDS))

    def _to_one_that_does_not_run(self) -> None:
        before = self.server.shell(_PIDS)
        said = self.refused(
            'upgrade', self.machine, '--engine-version', '19.03'
        )
        self.assertIn('does not run as docker.io 19.03.1-1', said)
        self.assertIn('failed to start daemon: broken', said)
        self.assertIn('20.10.23+dfsg1-1 is back, and runs', said)
        version = self.here.docker(
            '--context', self.machine, 'version', '-f', '{{.Server.Version}}'
        )
        self.assertEqual('20.10.23+dfsg1\n', version.out)
        self.assertEqual(before, self.server.shell(_PIDS))

    def _on_hold(self) -> None:
        self.server.run('apt-mark', 'hold', 'docker.io')
        said = self._refused()
        self.assertIn('the package docker.io is on hold', said)
        self.assertIn('apt-mark unhold docker.io', said)
        self.server.run('apt-mark', 'unhold', 'docker.io')

    def _of_no_package(self) -> None:
        self.server.write(
            '/etc/systemd/system/docker.service.d/10-own.conf',
            '[Service]\nExecStart=\nExecStart=/opt/dockerd -H fd://\n',
        )
        said = self._refused()
        self.assertIn('the engine, /opt/dockerd, is of no package', said)
