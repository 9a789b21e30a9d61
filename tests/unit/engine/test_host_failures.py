# SPDX-License-Identifier: Apache-2.0
"""What fails on a host: told with its cause, in time, and then mended."""

import subprocess
import time

from dockermachine_osc import engine
from tests.unit.engine import hostroot
from tests.unit.engine.test_serve import ServingTestCase

YEAR = 365 * 24 * 3600
UNIT = """mkdir -p "$DOCKER_MACHINE_ROOT/lib/systemd/system"
printf '[Service]\\nExecStart=/x/dockerd -H fd://\\n' \\
    >"$DOCKER_MACHINE_ROOT/lib/systemd/system/docker.service"
"""
# As apt-get: 'install' does what stands in $STATE/install, if that is there.
APT = f"""#!/bin/sh
echo "$*" >>"$STATE/commands"
case " $* " in
*' update '*) echo 'Hit:1 http://deb.debian.org/debian bookworm InRelease' ;;
*' install '*)
    [ ! -e "$STATE/install" ] || . "$STATE/install"
    {UNIT} ;;
esac
"""
DISK_FULL = """
echo 'Unpacking containerd ...'
echo 'dpkg: error processing archive x.deb (--unpack):'
echo ' cannot copy extracted data for ./y to z: No space left on device'
echo 'E: Sub-process /usr/bin/dpkg returned an error code (1)'
exit 100
"""
SCRIPT_FAILS = """
echo 'dpkg: error processing package docker.io (--configure):'
echo ' installed docker.io post-installation script ended with exit status 3'
echo 'E: Sub-process /usr/bin/dpkg returned an error code (1)'
exit 100
"""
NO_ROOM = """
echo "E: You don't have enough free space in /var/cache/apt/archives/."
exit 100
"""
NOT_FOUND = """#!/bin/sh
echo 'Ign:1 http://m/debian x InRelease'
echo 'Err:2 http://m/debian x Release'
echo '  404  Not Found [IP: 192.0.2.9 80]'
echo "E: The repository 'http://m/ x' does not have a Release file."
exit 100
"""
LOCKED = """
lock=/var/lib/dpkg/lock-frontend
holder='held by process 77 (unattended-upgr)'
for round in 1 2 3 4 5 6 7 8; do
    printf "\\rWaiting for cache lock: Could not get lock $lock. It is $holder"
    echo ...
    sleep 0.5
done
exit 100
"""
SILENT = """#!/bin/sh
case " $* " in
*' --print-uris '*)
    echo "'http://mirror.invalid/debian/dists/x/InRelease' x 0" ;;
*' update '*)
    [ ! -e "$STATE/ign" ] || echo 'Ign:1 http://mirror.invalid/debian x'
    exec sleep 100 ;;
*' install '*) : >"$STATE/installed" ;;
esac
"""
OFFLINE = """#!/bin/sh
case " $* " in
*' update '*)
    echo 'Err:1 http://mirror.invalid/debian x InRelease'
    echo 'W: Failed to fetch http://mirror.invalid/debian  No route to host' ;;
*' install '*) : >"$STATE/installed" ;;
esac
"""


class InstallationTest(ServingTestCase):
    """Told as apt says it; done anew by whoever comes next."""

    def bare(self, install='', apt=APT):
        host = self.host()
        host.program('apt-get', apt)
        host.program('apt-cache', hostroot.QUIET)
        host.program('dpkg-query', hostroot.QUIET)
        if install:
            (host.state / 'install').write_text(install)
        return host

    def mended(self, host):
        (host.state / 'install').unlink(missing_ok=True)
        host.program('apt-get', APT)
        self.served(host)
        self.assertEqual('active\n', (host.state / 'active').read_text())
        self.assertFalse((host.home / 'installing').exists())

    def test_disk_full(self):
        host = self.bare(DISK_FULL)
        for _ in 'once', 'again':
            error = self.failure(host)
            self.assertIn('cannot copy extracted data', error.cause)
            self.assertIn('No space left on device', error.cause)
            self.assertIn('df -h', error.hint)
        self.mended(host)

    def test_no_room_for_the_packages(self):
        error = self.failure(self.bare(NO_ROOM))
        self.assertIn("You don't have enough free space", error.cause)
        self.assertIn('df -h', error.hint)

    def test_mirror_without_this_distribution(self):
        error = self.failure(self.bare(apt=NOT_FOUND))
        self.assertIn('does not have a Release file. 404', error.cause)
        self.assertIn('/etc/apt/sources.list', error.hint)

    def test_package_whose_script_fails(self):
        host = self.bare(SCRIPT_FAILS)
        error = self.failure(host)
        self.assertIn('processing package docker.io', error.cause)
        self.assertIn('script ended with exit status 3', error.cause)
        self.mended(host)

    def test_lock_of_apt_is_held(self):
        host = self.bare(LOCKED)
        error = self.failure(host, wait=2)
        self.assertEqual(engine.EXIT_TIMEOUT, error.exit_code)
        holder = 'process 77 (unattended-upgr)'
        self.assertIn(f'lock was not free in time: {holder}', error.cause)
        self.assertIn('another one installs there', error.hint)

    def test_lock_of_the_lists_is_held(self):
        apt = '#!/bin/sh\necho Reading package lists...\necho "E: Could not '
        apt += 'get lock /l. It is held by process 7 (apt-get)"\necho "E: '
        apt += 'Unable to lock directory /var/lib/apt/lists/"\nexit 100\n'
        error = self.failure(self.bare(apt=apt), wait=2)
        self.assertIn('not free in time: process 7 (apt-get)', error.cause)

    def test_waiting_for_the_lock_is_a_step(self):
        done = self.serve(self.bare(LOCKED), wait=3)
        self.assertIn(
            "step waiting for apt's lock, which process 77 "
            '(unattended-upgr) holds\n',
            done.stdout,
        )

    def test_package_whose_script_hangs(self):
        host = self.bare('sh -c "sleep 77; true"')
        error = self.failure(host, wait=2)
        self.assertEqual(engine.EXIT_TIMEOUT, error.exit_code)
        self.assertIn('was not done in time, it is at: ', error.cause)
        self.assertIn('sleep 77; true > sleep 77', error.cause)

    def test_what_hung_and_was_ended_is_no_news(self):
        host = self.bare()
        host.write('run/docker-machine/pending', '')
        host.write('run/docker-machine/install.log', 'step x\n')
        self.failure(host, wait=1)
        # Meanwhile somebody ends it.
        host.write('run/docker-machine/result', '70\n')
        self.mended(host)

    def test_cloud_init_hangs(self):
        hanging = subprocess.Popen(['sleep', '66'])
        self.addCleanup(hanging.wait)
        self.addCleanup(hanging.kill)
        host = self.bare()
        host.program(
            'systemctl',
            hostroot.SYSTEMCTL.replace(
                "'cat docker",
                'list-units*) echo "cloud-config.service loaded" ;;\n'
                f"'show -p ControlPID'*) echo {hanging.pid} ;;\n'cat docker",
            ),
        )
        host.write('run/docker-machine/pending', '')
        host.write('var/log/cloud-init-output.log', 'mine\n| .o |\n')
        error = self.failure(host, wait=1)
        self.assertIn('cloud-init has not come to the engine', error.cause)
        self.assertIn('cloud-config.service is at sleep 66', error.cause)
        self.assertEqual(('mine',), error.tail)
        self.mended(host)

    def test_half_installed(self):
        """docker.service is there, and the package does not work."""
        host = self.bare(UNIT + SCRIPT_FAILS)
        host.program('dpkg', '#!/bin/sh\necho docker.io is half configured\n')
        self.failure(host)
        (host.state / 'commands').unlink()
        self.mended(host)
        self.assertIn('install', (host.state / 'commands').read_text())

    def test_mended_by_hand(self):
        host = self.bare(UNIT + SCRIPT_FAILS)
        host.program('dpkg', hostroot.QUIET)
        self.failure(host)
        (host.state / 'commands').unlink()
        self.mended(host)
        self.assertFalse((host.state / 'commands').exists())


class NoNetworkTest(ServingTestCase):
    def bare(self, apt):
        host = self.host()
        host.program('apt-get', apt)
        host.program('getent', '#!/bin/sh\nexit 2\n')
        host.write('etc/resolv.conf', 'nameserver 192.0.2.53\n')
        host.write('run/docker-machine/x', '')
        return host

    def updated(self, host, settings):
        log = host.run_dir / 'install.log'
        done = host.function(
            f'{settings}; LOG={log}; (apt_update) >"$LOG"; code=$?; '
            'cat "$LOG"; exit "$code"'
        )
        self.assertEqual(70, done.returncode)
        return done.stdout

    def test_silence_ends(self):
        host = self.bare(SILENT)
        said = self.updated(host, 'patience_failed=5 patience_silent=10')
        self.assertIn(
            'failed apt-get: the name of mirror.invalid cannot be resolved: '
            'no answer from 192.0.2.53',
            said,
        )
        self.assertIn('has the host a way out?', said)

    def test_mirror_is_silent(self):
        host = self.bare(SILENT)
        host.program('getent', '#!/bin/sh\necho 192.0.2.9 mirror.invalid\n')
        (host.state / 'ign').write_text('')
        said = self.updated(host, 'patience_failed=5')
        self.assertIn('no answer from mirror.invalid at 192.0.2.9', said)

    def test_nothing_is_installed_from_the_lists_of_another_day(self):
        host = self.bare(OFFLINE)
        error = self.failure(host)
        self.assertIn('No route to host', error.cause)
        self.assertIn('has the host a way out?', error.hint)
        self.assertFalse((host.state / 'installed').exists())


class StartTest(ServingTestCase):
    def fails(self, journal, **programs):
        host = self.host(unit='debian')
        unit = host.root / 'lib/systemd/system/docker.service'
        unit.write_text(unit.read_text().replace('fd://', 'fd:// --broken'))
        host.write('journal', journal)
        host.program(
            'journalctl',
            f'#!/bin/sh\n[ "$1" = --sync ] || cat {host.root}/journal\n',
        )
        for name, text in programs.items():
            host.program(name, text)
        return self.failure(host)

    def test_no_program_for_this_host(self):
        error = self.fails(
            'docker.service: Failed to execute /usr/sbin/dockerd: Exec '
            'format error\nMain process exited, code=exited, '
            'status=203/EXEC\n'
        )
        self.assertIn(
            'Failed to execute /usr/sbin/dockerd: Exec format error',
            error.cause,
        )

    def test_no_program(self):
        error = self.fails(
            'docker.service: Main process exited, status=203/EXEC\n'
        )
        self.assertIn('dockerd cannot be executed', error.cause)

    def test_disk_full(self):
        error = self.fails(
            'time=x level=info msg="chatter"\n'
            'failed to start daemon: write /var/lib/docker/x: no space left '
            'on device\n'
        )
        self.assertIn('no space left on device', error.cause)
        self.assertIn('df -h', error.hint)
        self.assertEqual(1, len(error.tail))

    def test_port_is_taken(self):
        error = self.fails(
            'failed to load listeners: listen tcp 0.0.0.0:2376: bind: '
            'address already in use\n'
        )
        self.assertIn('address already in use', error.cause)
        self.assertIn('ss -ltnp', error.hint)

    def test_last_words_before_the_beginning(self):
        error = self.fails(
            'failed to start daemon: broken\nStarting docker.service...\n'
            'docker.service: Main process exited, code=exited\n'
            'Failed to start docker.service - Docker.\n'
        )
        self.assertIn('failed to start daemon: broken', error.cause)

    def test_next_try_has_begun_already(self):
        error = self.fails(
            'Starting docker.service...\nfailed to start daemon: first\n'
            'Starting docker.service...\nfailed to start daemon: second\n'
            'Starting docker.service...\n'
        )
        self.assertIn(': failed to start daemon: second', error.cause)
        self.assertNotIn('failed to start daemon: first', error.tail)

    def test_in_the_words_of_the_engine(self):
        error = self.fails('time=x level=fatal msg="no such thing"\n')
        self.assertIn('no such thing', error.cause)

    def test_masked(self):
        host = self.host(unit='debian')
        (host.state / 'masked').write_text('')
        error = self.failure(host)
        self.assertIn('docker.service is masked', error.cause)
        self.assertIn('systemctl unmask', error.hint)
        self.assertEqual([], host.log())

    def test_hangs(self):
        host = self.host(unit='debian')
        hanging = hostroot.SYSTEMCTL.replace(
            'start*) echo', 'start*) exec sleep 100; echo'
        )
        host.program('systemctl', hanging)
        host.program('journalctl', '#!/bin/sh\necho loading containers\n')
        error = self.failure(host, wait=6)
        self.assertEqual(engine.EXIT_TIMEOUT, error.exit_code)
        self.assertIn('has not started in time', error.cause)
        self.assertIn('loading containers', error.tail)
        host.program('systemctl', hostroot.SYSTEMCTL)
        self.served(host)


class FullDiskTest(ServingTestCase):
    """/dev/full is a disk that is."""

    def test_drop_in_stays(self):
        host = self.host(unit='debian')
        self.served(host)
        before = host.dropin.read_text()
        (host.run_dir / 'dropin').unlink()
        (host.run_dir / 'dropin').symlink_to('/dev/full')
        error = self.failure(host, key='another')
        self.assertIn('dropin cannot be written', error.cause)
        self.assertIn('df -h', error.hint)
        self.assertEqual(before, host.dropin.read_text())
        (host.run_dir / 'dropin').unlink()
        self.served(host, key='another')

    def test_certificates_stay(self):
        host = self.host(unit='debian')
        self.served(host)
        (host.home / 'server.pem.new').symlink_to('/dev/full')
        key = (host.home / 'server.pem').read_bytes()
        (host.home / 'server.pem').write_text('before')
        error = self.failure(host)
        self.assertIn('server.pem cannot be written', error.cause)
        self.assertEqual('before', (host.home / 'server.pem').read_text())
        (host.home / 'server.pem.new').unlink()
        self.served(host)
        self.assertEqual(key, (host.home / 'server.pem').read_bytes())


class ClockTest(ServingTestCase):
    """The workstation's is handed over; only the difference counts."""

    def at(self, seconds, **options):
        host = self.host(unit='debian')
        now = f'{time.time() + seconds:.0f}\n'
        return host, self.serve(host, wait=60, now=now, **options)

    def test_a_year_behind(self):
        host, done = self.at(YEAR + 60)
        self.assertIn('failed the clock of the host is 365 days', done.stdout)
        self.assertIn('behind yours', done.stdout)
        self.assertIn('hint set it: "timedatectl set-ntp true"', done.stdout)
        self.assertEqual([], host.log())
        self.served(host)

    def test_so_far_ahead_that_certificates_have_expired(self):
        _, done = self.at(-4 * YEAR - 60)
        self.assertIn('1460 days ahead of yours', done.stdout)

    def test_within_what_the_certificates_allow(self):
        for seconds in (-YEAR, -60, 0, 60, 1800):
            _, done = self.at(seconds)
            self.assertEqual(0, done.returncode, done.stdout)

    def test_without_certificates_it_does_not_matter(self):
        host = self.host(unit='debian')
        host.program('docker', hostroot.QUIET)
        done = host.function(
            f'access=ssh; stage={host.root}; echo 9999999999 >"$stage/now"; '
            'check_clock'
        )
        self.assertEqual(0, done.returncode)
