# SPDX-License-Identifier: Apache-2.0
"""A directory that is a host to the set-up script.

The script runs as it is, by /bin/sh, with its paths below the directory.
systemd is the one thing that cannot be had there: a small program stands in
for systemctl. It keeps the engine's state in files and judges the command
line that it would start as dockerd would.
"""

import os
import pathlib
import shutil
import subprocess

import fixtures

from dockermachine_osc.engine import settings

HERE = pathlib.Path(__file__).parent

SYSTEMCTL = r"""#!/bin/sh
# The engine's state is in $STATE; $STATE/log has what was done.
dropins=$DOCKER_MACHINE_ROOT/etc/systemd/system/docker.service.d
unit_files() {
    echo "# /lib/systemd/system/docker.service"
    cat "$DOCKER_MACHINE_ROOT/lib/systemd/system/docker.service"
    for file in "$dropins"/*.conf; do
        [ -e "$file" ] || continue
        echo "# /etc/systemd/system/docker.service.d/${file##*/}"
        cat "$file"
    done
}
exec_start() { unit_files | sed -n 's/^ExecStart=//p' | tail -n 1; }
start() {
    case $(exec_start) in
    *--broken*) echo inactive >"$STATE/active"; return 1 ;;
    esac
    exec_start >"$STATE/running"
    echo active >"$STATE/active"
}
[ "$1" != -q ] || shift
case "$*" in
'cat docker.service')
    [ -e "$DOCKER_MACHINE_ROOT/lib/systemd/system/docker.service" ] ||
        exit 1
    unit_files ;;
'show -p NeedDaemonReload'*) echo no ;;
'show -p LoadState'*)
    if [ -e "$STATE/masked" ]; then echo masked; else echo loaded; fi ;;
'show -p ExecStart'*) exec_start ;;
'show -p ActiveState'*) cat "$STATE/active" ;;
'is-active '*) [ "$(cat "$STATE/active")" = active ] ;;
'is-enabled '*) [ -e "$STATE/enabled" ] ;;
'enable '*) : >"$STATE/enabled" ;;
stop*) echo inactive >"$STATE/active" ;;
start*) echo start >>"$STATE/log"; start ;;
restart*) echo restart >>"$STATE/log"; start ;;
daemon-reload | reset-failed*) ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""
QUIET = '#!/bin/sh\nexit 0\n'
DOCKERD = '#!/bin/sh\necho "Docker version 20.10.24+dfsg1, build 297e128"\n'
RECORDER = '#!/bin/sh\necho "${0##*/} $*" >>"$STATE/commands"\n'


def write_script(folder, content):
    """Write the script, and the same without its last part."""
    path = folder / 'setup.sh'
    path.write_bytes(content)
    whole = path.read_text()
    (folder / 'functions.sh').write_text(
        whole[: whole.index('\ncase ${1:-} in')]
    )
    return path


class HostRoot(fixtures.Fixture):
    """The directory, with what is asked for in it."""

    content = staticmethod(settings.setup_script)

    def __init__(self, os_release='debian-12', unit=None):
        super().__init__()
        self.os_release = os_release
        self.unit = unit

    def _setUp(self):
        top = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.root, self.state = top / 'root', top / 'state'
        self.programs = top / 'bin'
        for folder in (self.root, self.state, self.programs):
            folder.mkdir()
        for folder in ('etc', 'run', 'dev', 'var', 'tmp'):
            (self.root / folder).mkdir()
        self.script = write_script(top, self.content())
        self.home = self.root / 'etc/docker-machine'
        self.run_dir = self.root / 'run/docker-machine'
        self.dropins = self.root / 'etc/systemd/system/docker.service.d'
        self.dropin = self.dropins / 'zz-docker-machine.conf'
        (self.state / 'active').write_text('inactive\n')
        self.program('systemctl', SYSTEMCTL)
        self.program('systemd-run', RECORDER)
        self.program('journalctl', QUIET)
        self.program('firewall-cmd', '#!/bin/sh\nexit 1\n')
        self.program('ufw', QUIET)
        if self.os_release:
            source = HERE / 'os_release' / self.os_release
            shutil.copy(source, self.root / 'etc/os-release')
        if self.unit:
            self.add_engine(self.unit)

    def program(self, name, text):
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def add_engine(self, unit='debian'):
        """Put docker.service there, and a dockerd that tells its version."""
        lines = (HERE / 'units' / unit).read_text().splitlines(True)
        self.program('dockerd', DOCKERD)
        text = ''.join(lines[1:]).replace(
            '/usr/sbin/dockerd', str(self.programs / 'dockerd')
        )
        self.write('lib/systemd/system/docker.service', text)

    def write(self, name, text, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def environment(self):
        return {
            'PATH': f'{self.programs}:{os.environ["PATH"]}',
            'DOCKER_MACHINE_ROOT': str(self.root),
            'STATE': str(self.state),
        }

    def call(self, *arguments, stdin=''):
        return subprocess.run(
            ['/bin/sh', str(self.script), *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=60,
            check=False,
        )

    def function(self, code):
        """Run shell code behind the script's functions."""
        functions = self.script.parent / 'functions.sh'
        return subprocess.run(
            ['/bin/sh', '-c', f'. "{functions}"\n{code}'],
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=60,
            check=False,
        )

    def log(self):
        """What was done to the engine, a word each."""
        path = self.state / 'log'
        return path.read_text().split() if path.exists() else []


class BootRoot(HostRoot):
    """A host that has only what cloud-init brought along."""

    content = staticmethod(settings.boot_script)
