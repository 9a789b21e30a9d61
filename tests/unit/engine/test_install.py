# SPDX-License-Identifier: Apache-2.0
"""Installing the engine: versions, package managers, scripts."""

import http.server
import pathlib
import stat
import threading

import fixtures
from oslotest import base

from tests.unit.engine import hostroot

MADISON = """#!/bin/sh
case $2 in
docker.io)
    printf '%s\\n' \\
' docker.io | 28.2.2-0ubuntu1~24.04.1 | http://x noble-updates/universe P' \\
' docker.io | 24.0.7-0ubuntu4.1 | http://x noble-security/universe P' \\
' docker.io | 24.0.7-0ubuntu4 | http://x noble/universe P' ;;
esac
"""
# Keeps its arguments and then does what the package would.
PACKAGE_MANAGER = """#!/bin/sh
echo "${0##*/} $*" >>"$STATE/commands"
case " $* " in *' install '*)
    mkdir -p "$DOCKER_MACHINE_ROOT/lib/systemd/system"
    : >"$DOCKER_MACHINE_ROOT/lib/systemd/system/docker.service" ;;
esac
"""
NO_NETWORK = """#!/bin/sh
case " $* " in
*' update '*) echo "W: Failed to fetch http://m/InRelease  No address" ;;
*) echo "E: Unable to locate package docker.io"; exit 100 ;;
esac
"""
# Its own last line says why; the lock is free at the second try.
LOCKED_ONCE = """#!/bin/sh
case " $* " in
*' update '*)
    [ -e "$STATE/tried" ] && exit 0
    : >"$STATE/tried"
    echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by 7"
    exit 100 ;;
*) mkdir -p "$DOCKER_MACHINE_ROOT/lib/systemd/system"
    : >"$DOCKER_MACHINE_ROOT/lib/systemd/system/docker.service" ;;
esac
"""


class Served(fixtures.Fixture):
    """Files over HTTP on the loopback."""

    def _setUp(self):
        folder = self.useFixture(fixtures.TempDir()).path
        self.folder = pathlib.Path(folder)

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=folder)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{server.server_port}'
        threading.Thread(
            target=server.serve_forever, args=(0.05,), daemon=True
        ).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)


class VersionTest(base.BaseTestCase):
    def test_matches(self):
        host = self.useFixture(hostroot.BootRoot())
        for have, want, code in (
            ('20.10.24+dfsg1', '20', 0),
            ('20.10.24+dfsg1', '20.10', 0),
            ('20.10.24+dfsg1', '20.10.24', 0),
            ('20.10.24+dfsg1', '20.10.24+dfsg1-1+deb12u1', 0),
            ('20.10.24+dfsg1', '20.1', 1),
            ('20.10.24', '2', 1),
            ('28.2.2', '28.2.20', 1),
            ('28.2.20', '28.2.2', 1),
            ('unknown', '28', 1),
        ):
            done = host.function(f"matches '{have}' '{want}'")
            self.assertEqual(code, done.returncode, (have, want))

    def test_engine_of_another_version_is_left_alone(self):
        host = self.useFixture(hostroot.BootRoot(unit='debian'))
        done = host.function('version=28; require_version')
        self.assertEqual(70, done.returncode)
        self.assertIn('is 20.10.24+dfsg1, asked for was 28', done.stdout)
        done = host.function('version=20.10; require_version')
        self.assertEqual(0, done.returncode)


class InstallTest(base.BaseTestCase):
    def install(self, host, **settings):
        lines = '\n'.join(f'{k}={v}' for k, v in settings.items())
        host.write('etc/docker-machine/settings', f'machine_id=m1\n{lines}\n')
        return host.call('install')

    def commands(self, host):
        return (host.state / 'commands').read_text()

    def apt(self, os_release='ubuntu-24.04', program=PACKAGE_MANAGER):
        host = self.useFixture(hostroot.BootRoot(os_release))
        host.program('apt-get', program)
        host.program('apt-cache', MADISON)
        return host

    def test_apt(self):
        host = self.apt()
        self.install(host)
        commands = self.commands(host)
        self.assertIn('install -y docker.io iptables ca-certif', commands)
        self.assertIn('APT::Install-Recommends=false', commands)
        self.assertNotIn('docker-cli', commands)
        self.assertEqual('0\n', (host.run_dir / 'result').read_text())

    def test_apt_through_a_proxy(self):
        """The host's own setting of apt must not win, so it goes last."""
        host = self.apt(
            program='#!/bin/sh\necho "$http_proxy $no_proxy" >>"$STATE/env"\n'
            + PACKAGE_MANAGER
        )
        host.write(
            'etc/docker-machine/options',
            'http-proxy http://u:s3cret@p:3128\nno-proxy localhost\n',
        )
        self.install(host)
        seen = (host.state / 'env').read_text().splitlines()
        self.assertEqual({'http://u:s3cret@p:3128 localhost'}, set(seen))
        self.assertNotIn('s3cret', self.commands(host))
        conf = host.run_dir / 'apt.conf'
        self.assertIn(f'-c {conf} ', self.commands(host))
        self.assertIn(
            'Acquire::http::Proxy "http://u:s3cret@p:3128";', conf.read_text()
        )
        self.assertEqual(0o600, stat.S_IMODE(conf.stat().st_mode))

    def test_apt_pins_the_newest_that_fits(self):
        host = self.apt()
        self.install(host, version='24.0')
        self.assertIn('docker.io=24.0.7-0ubuntu4.1 ', self.commands(host))

    def test_apt_takes_an_exact_version(self):
        host = self.apt()
        self.install(host, version='24.0.7-0ubuntu4')
        self.assertIn('docker.io=24.0.7-0ubuntu4 ', self.commands(host))

    def test_apt_has_no_such_version(self):
        host = self.apt()
        self.install(host, version='19.03')
        log = (host.run_dir / 'install.log').read_text()
        self.assertIn('failed there is no docker.io 19.03', log)
        self.assertIn('28.2.2-0ubuntu1~24.04.1', log)
        self.assertNotIn(' install ', self.commands(host))
        self.assertEqual('70\n', (host.run_dir / 'result').read_text())

    def test_apt_names_the_first_cause(self):
        host = self.apt(program=NO_NETWORK)
        self.install(host)
        console = (host.root / 'dev/console').read_text()
        self.assertIn(
            'docker-machine m1 failed apt-get: http://m/InRelease  No address'
            ' end\n',
            console,
        )

    def test_apt_waits_for_the_lock_of_the_lists(self):
        host = self.apt(program=LOCKED_ONCE)
        self.install(host)
        self.assertEqual('0\n', (host.run_dir / 'result').read_text())

    def test_no_package_manager_if_the_engine_is_there(self):
        host = self.apt()
        host.add_engine()
        self.install(host)
        self.assertFalse((host.state / 'commands').exists())
        console = (host.root / 'dev/console').read_text()
        self.assertIn('m1 installed 20.10.24+dfsg1 end\n', console)

    def test_second_call_takes_over_the_first_one_s_result(self):
        host = self.apt()
        self.install(host)
        before = self.commands(host)
        (host.root / 'lib/systemd/system/docker.service').unlink()
        self.install(host)
        self.assertEqual(before, self.commands(host))

    def test_dnf_and_zypper(self):
        for os_release, program, words in (
            ('fedora-42', 'dnf', ' install moby-engine-28*'),
            ('opensuse-leap-15', 'zypper', ' install --no-recommends docker='),
        ):
            host = self.useFixture(hostroot.BootRoot(os_release))
            host.program(
                program,
                PACKAGE_MANAGER.replace(
                    'case',
                    '[ $2 != search ] || echo "v | docker | package | '
                    '28.2.2_ce-1 | x86_64 | Main"\ncase',
                    1,
                ),
            )
            self.install(host, version='28')
            self.assertIn(words, self.commands(host))

    def test_script_from_a_url(self):
        web = self.useFixture(Served())
        (web.folder / 'ok.sh').write_text(
            '#!/bin/sh\necho "run $* $VERSION" >>"$STATE/commands"\n'
            'mkdir -p "$DOCKER_MACHINE_ROOT/lib/systemd/system"\n'
            ': >"$DOCKER_MACHINE_ROOT/lib/systemd/system/docker.service"\n'
        )
        host = self.useFixture(hostroot.BootRoot('alpine-3.20'))
        host.program('dockerd', hostroot.DOCKERD)
        self.install(host, source=f'{web.url}/ok.sh', version='20.10')
        self.assertIn('run  20.10', self.commands(host))
        self.assertEqual('0\n', (host.run_dir / 'result').read_text())

    def test_what_a_script_creates_is_for_all_to_read(self):
        web = self.useFixture(Served())
        (web.folder / 'ok.sh').write_text(
            '#!/bin/sh\n: >"$DOCKER_MACHINE_ROOT/etc/docker.list"\n'
        )
        host = self.useFixture(hostroot.BootRoot())
        done = self.install(host, source=f'{web.url}/ok.sh')
        mode = (host.root / 'etc/docker.list').stat().st_mode
        self.assertEqual(0o644, stat.S_IMODE(mode))
        self.assertIn('left no docker.service', done.stdout)

    def test_packages_that_a_reboot_has_cut_off(self):
        host = self.apt()
        host.write('var/lib/dpkg/updates/0001', '')
        host.program('dpkg', hostroot.RECORDER)
        self.install(host)
        self.assertTrue(
            self.commands(host).startswith('dpkg --configure -a\n')
        )

    def test_script_brings_another_version(self):
        web = self.useFixture(Served())
        (web.folder / 'ok.sh').write_text(
            '#!/bin/sh\nmkdir -p "$DOCKER_MACHINE_ROOT/lib/systemd/system"\n'
            ': >"$DOCKER_MACHINE_ROOT/lib/systemd/system/docker.service"\n'
        )
        host = self.useFixture(hostroot.BootRoot())
        host.program('dockerd', hostroot.DOCKERD)
        done = self.install(host, source=f'{web.url}/ok.sh', version='99')
        self.assertIn('asked for was 99', done.stdout)

    def test_pages_and_missing_files_are_not_run(self):
        web = self.useFixture(Served())
        (web.folder / 'portal').write_text('<html>Please log in</html>\n')
        (web.folder / 'binary').write_bytes(b'\x7fELF\0\0')
        (web.folder / 'empty').write_bytes(b'')
        for name, words in (
            ('portal', 'is not a script'),
            ('binary', 'is not a script'),
            ('empty', 'is not a script'),
            ('missing', 'cannot be fetched'),
        ):
            host = self.useFixture(hostroot.BootRoot())
            done = self.install(host, source=f'{web.url}/{name}')
            self.assertIn(words, done.stdout)
            self.assertEqual('70\n', (host.run_dir / 'result').read_text())

    def test_docker_from_a_snap(self):
        host = self.apt()
        host.write('etc/systemd/system/snap.docker.dockerd.service', '')
        done = self.install(host)
        self.assertIn('failed Docker is installed as a snap', done.stdout)
        self.assertEqual('71\n', (host.run_dir / 'result').read_text())

    def test_image_without_an_engine(self):
        done = self.install(self.apt(), source='image')
        self.assertIn('there is no Docker Engine in this image', done.stdout)

    def test_output_cannot_steer_a_terminal(self):
        host = self.apt(
            program='#!/bin/sh\nprintf "E: \\033[2Jx\\n"\nexit 1\n'
        )
        done = self.install(host)
        self.assertNotIn('\x1b', done.stdout)
