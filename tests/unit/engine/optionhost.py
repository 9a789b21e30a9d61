# SPDX-License-Identifier: Apache-2.0
"""A host of files whose engine looks at its options as dockerd does."""

import shutil
import socket

from oslotest import base

from dockermachine_osc import engine
from tests.unit.engine import hostroot

# Refuses --nonsense, and a label that its file has, too. Before 23.0 there
# was no --validate; then only root's rights keep it from a start.
DOCKERD = r"""#!/bin/sh
case "$*" in --version)
    echo "Docker version 20.10.24+dfsg1, build 297e128"; exit ;;
esac
known=$(cat "$STATE/validate" 2>/dev/null)
label='' file=$DOCKER_MACHINE_ROOT/etc/docker/daemon.json
for word in "$@"; do
    printf '%s\n' "$word" >>"$STATE/asked"
    case $word in
    --validate) [ -n "$known" ] || {
        echo 'Status: unknown flag: --validate'
        echo "See 'dockerd --help'., Code: 125"; exit 1; } ;;
    --nonsense)
        echo 'Status: unknown flag: --nonsense'
        echo "See 'dockerd --help'., Code: 125"; exit 1 ;;
    --label=*) label=yes ;;
    --config-file=*) file=${word#*=} ;;
    esac
done
if [ -n "$label" ] && grep -q '"labels"' "$file" 2>/dev/null; then
    echo 'unable to configure: specified both as a flag and in the file' >&2
    exit 1
fi
[ -n "$known" ] && exit
echo 'dockerd needs to be started with root privileges' >&2
exit 1
"""
SETPRIV = '#!/bin/sh\nshift 5\nexec "$@"\n'


class OptionsTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # The script looks whether the port listens; here we do it.
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        self.port = listener.getsockname()[1]
        self.host = self.useFixture(hostroot.HostRoot(unit='debian'))
        self.host.program('dockerd', DOCKERD)
        self.host.program('setpriv', SETPRIV)
        # What the engine holds does not matter here; it holds nothing.
        self.host.program('docker', '#!/bin/sh\nexit 1\n')

    def knows_validate(self):
        (self.host.state / 'validate').write_text('yes\n')

    def stage(self, options=None, post_script=''):
        stage = self.host.root / 'run/stage'
        stage.mkdir()
        shutil.copy(self.host.script, stage / 'setup.sh')
        settings = engine.EngineSettings('m1', port=self.port)
        (stage / 'settings').write_text(settings.render())
        for name in ('ca.pem', 'server.pem', 'server-key.pem'):
            (stage / name).write_text(f'{name}\n')
        if options is not None:
            (stage / 'options').write_text(options.render())
        if post_script:
            (stage / 'post-script').write_text(post_script)
        return stage

    def call(self, verb, options=None, wait=20, **kwargs):
        done = self.host.call(verb, self.stage(options, **kwargs), wait)
        self.addCleanup(self.assertEqual, '', done.stderr)
        if verb in ('look', 'leave', 'options'):
            shutil.rmtree(self.host.root / 'run/stage')
        self.assertFalse((self.host.root / 'run/stage').exists())
        return done.returncode, done.stdout.splitlines()

    def serve(self, options=None, **kwargs):
        return engine.outcome(*self.call('serve', options, **kwargs))

    def configure(self, options):
        return engine.outcome(*self.call('configure', options))

    def failure(self, call, *arguments, **kwargs):
        return self.assertRaises(
            engine.SetupFailed, call, *arguments, **kwargs
        )

    def told(self):
        return engine.told(*self.call('options')).options

    def command(self):
        """What systemd would start."""
        lines = self.host.dropin.read_text().splitlines()
        (found,) = [x for x in lines if x.startswith('ExecStart=/')]
        return found

    def files(self):
        """Give all files but those that a reboot takes away."""
        return {
            str(path.relative_to(self.host.root)): path.read_bytes()
            for path in sorted(self.host.root.rglob('*'))
            if path.is_file() and self.host.root / 'run' not in path.parents
        }
