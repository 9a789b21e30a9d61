# SPDX-License-Identifier: Apache-2.0
"""The engine's options on a host of files: set, kept, changed, taken back."""

import os
import stat
import time

from dockermachine_osc import engine
from tests.unit.engine import optionhost

Options = engine.EngineOptions
EVIL = 'a b\'c"d\\e$f`g`%h;i|j&k<l>(m)*[n]~#o=p ü \\'
EVIL_QUOTED = 'a b\'c\\"d\\\\e$$f`g`%%h;i|j&k<l>(m)*[n]~#o=p ü \\\\'
EVIL_VARIABLE = 'a b\'c\\"d\\\\e\\$f\\`g\\`%h;i|j&k<l>(m)*[n]~#o=p ü \\\\'
ALL = Options(
    labels={'rack': '7', 'owner': 'alice'},
    env={'GODEBUG': 'x=1'},
    insecure_registries=('192.0.2.0/24', 'reg.example.com:5000'),
    registry_mirrors=('https://m1.example.com', 'https://m2.example.com'),
    storage_driver='overlay2',
    opts=('debug', 'dns=192.0.2.1', 'dns=192.0.2.2'),
    http_proxy='http://alice:s%25cret@proxy.example.com:3128',
    https_proxy='http://proxy.example.com:3128',
    no_proxy='localhost,192.0.2.0/24',
    registry_cas={'reg.example.com:5000': b'PEM'},
)
CERT = 'etc/docker/certs.d/reg.example.com:5000/ca.crt'


class ServeTest(optionhost.OptionsTestCase):
    def test_all(self):
        self.serve(ALL)
        self.assertIn(
            ' $DOCKER_OPTS "--label=rack=7" "--label=owner=alice"'
            ' "--insecure-registry=192.0.2.0/24"'
            ' "--insecure-registry=reg.example.com:5000"'
            ' "--registry-mirror=https://m1.example.com"'
            ' "--registry-mirror=https://m2.example.com"'
            ' "--storage-driver=overlay2" "--debug"'
            ' "--dns=192.0.2.1" "--dns=192.0.2.2" -H tcp://',
            self.command(),
        )
        self.assertEqual(
            'HTTP_PROXY="http://alice:s%25cret@proxy.example.com:3128"\n'
            'HTTPS_PROXY="http://proxy.example.com:3128"\n'
            'NO_PROXY="localhost,192.0.2.0/24"\nGODEBUG="x=1"\n',
            (self.host.home / 'environment').read_text(),
        )
        self.assertIn(
            'EnvironmentFile=/etc/docker-machine/environment\n',
            self.host.dropin.read_text(),
        )
        self.assertEqual('PEM', (self.host.root / CERT).read_text())
        self.assertEqual(['start'], self.host.log())
        self.assertEqual(ALL, self.told())

    def test_nothing_that_others_read_holds_a_secret(self):
        self.serve(ALL)
        for path in self.host.root.rglob('*'):
            if path.is_file() and b's%25cret' in path.read_bytes():
                self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
                self.assertEqual(self.host.home, path.parent)
        self.assertNotIn('cret', self.host.dropin.read_text())

    def test_values_are_data(self):
        options = Options(
            labels={'k': EVIL},
            env={'E': EVIL},
            opts=(f'log-opt={EVIL}', 'log-opt=$(touch /x)`touch /y`'),
        )
        self.serve(options)
        self.assertIn(
            f' "--label=k={EVIL_QUOTED}" "--log-opt={EVIL_QUOTED}"'
            ' "--log-opt=$$(touch /x)`touch /y`" -H',
            self.command(),
        )
        self.assertEqual(
            f'E="{EVIL_VARIABLE}"\n',
            (self.host.home / 'environment').read_text(),
        )
        self.assertEqual(options, self.told())
        # The engine was asked with just these words.
        asked = (self.host.state / 'asked').read_text().splitlines()
        self.assertIn(f'--label=k={EVIL}', asked)

    def test_kept_and_replaced(self):
        self.serve(ALL)
        before = self.files()
        outcome = self.serve()
        self.assertEqual(('the engine is as it should be',), outcome.steps)
        self.assertEqual(before, self.files())
        self.serve(Options(labels={'rack': '8'}))
        self.assertEqual(Options(labels={'rack': '8'}), self.told())
        self.assertNotIn('mirror', self.command())
        self.assertFalse((self.host.home / 'environment').exists())
        self.assertFalse((self.host.root / CERT).exists())
        self.assertEqual(['start', 'restart'], self.host.log())

    def test_a_changed_variable_restarts(self):
        self.serve(Options(env={'A': '1'}))
        command = self.command()
        self.serve(Options(env={'A': '2'}))
        self.assertEqual(command, self.command())
        self.assertEqual(['start', 'restart'], self.host.log())

    def test_settings_of_the_host_stay(self):
        own = self.host.write('etc/docker/daemon.json', '{"debug": true}')
        self.serve(ALL)
        self.assertEqual('{"debug": true}', own.read_text())

    def test_refused(self):
        for knows in (False, True):
            if knows:
                self.knows_validate()
            before = self.files()
            for options, words in (
                (Options(opts=('nonsense',)), 'unknown flag: --nonsense'),
                (Options(labels={'a': 'b'}), 'both as a flag and in the'),
            ):
                self.host.write('etc/docker/daemon.json', '{"labels": []}')
                error = self.failure(self.serve, options)
                self.assertEqual(engine.EXIT_CONFLICT, error.exit_code)
                self.assertIn('the engine refuses its options', error.cause)
                self.assertIn(words, error.cause)
                (self.host.root / 'etc/docker/daemon.json').unlink()
                self.assertEqual(before, self.files())
        self.assertEqual([], self.host.log())

    def test_file_of_the_unit_s_own(self):
        self.host.write('srv/docker.json', '{"labels": ["a=b"]}')
        self.host.write(
            'etc/systemd/system/docker.service.d/10-own.conf',
            '[Service]\nExecStart=\nExecStart=dockerd '
            '--config-file /srv/docker.json -H fd://\n',
        )
        options = Options(labels={'a': 'b'})
        error = self.failure(self.serve, options)
        self.assertIn('both as a flag and in the file', error.cause)

    def test_damaged(self):
        self.serve(Options(labels={'a': 'b'}))
        (self.host.home / 'options').write_text('label a=b\nexec /bin/x\n')
        error = self.failure(self.serve)
        self.assertEqual(engine.EXIT_USAGE, error.exit_code)
        self.assertIn('damaged: exec', error.cause)

    def test_looked_at(self):
        self.host.write('etc/docker/daemon.json', '{"labels": []}')
        before = self.files()
        for options, conflict in (
            (Options(labels={'a': 'b'}), 'the engine refuses its options'),
            (Options(opts=('debug',)), ''),
        ):
            found = engine.findings(*self.call('look', options))
            self.assertIn(conflict, found.conflict)
        self.assertEqual(before, self.files())

    def test_options_that_differ(self):
        self.serve(ALL)
        for options, differs in (
            (ALL, False),
            (None, False),
            (Options(), True),
        ):
            found = engine.findings(*self.call('look', options))
            self.assertEqual(differs, found.differs)


class ConfigureTest(optionhost.OptionsTestCase):
    def test_changed_later(self):
        self.serve()
        before = self.files()
        self.configure(ALL)
        self.assertEqual(ALL, self.told())
        self.assertEqual(['start', 'restart'], self.host.log())
        self.configure(ALL)
        self.assertEqual(['start', 'restart'], self.host.log())
        self.configure(Options())
        after = self.files()
        self.assertEqual(b'', after.pop('etc/docker-machine/options'))
        self.assertEqual(before, after)

    def test_cas_need_no_restart(self):
        self.serve()
        self.configure(Options(registry_cas={'r': b'PEM'}))
        self.assertEqual(['start'], self.host.log())
        trusted = self.host.root / 'etc/docker/certs.d/r/ca.crt'
        self.assertEqual('PEM', trusted.read_text())
        self.assertEqual(0o644, stat.S_IMODE(trusted.stat().st_mode))

    def test_refused_with_nothing_changed(self):
        self.serve(ALL)
        before = self.files()
        error = self.failure(self.configure, Options(opts=('nonsense',)))
        self.assertIn('unknown flag: --nonsense', error.cause)
        self.assertEqual(before, self.files())
        self.assertEqual(['start'], self.host.log())

    def test_does_not_start(self):
        self.serve(ALL)
        before = self.files()
        for options in (Options(opts=('broken',)), Options(env={'A': 'b'})):
            if options.env:
                self.host.program(
                    'systemctl',
                    (self.host.programs / 'systemctl')
                    .read_text()
                    .replace(
                        'case $(exec_start) in',
                        'grep -q ^A= "$DOCKER_MACHINE_ROOT/etc/'
                        'docker-machine/environment" && { '
                        'echo inactive >"$STATE/active"; return 1; };'
                        'case $(exec_start) in',
                    ),
                )
            error = self.failure(self.configure, options)
            self.assertEqual(engine.EXIT_START, error.exit_code)
            self.assertIn('with its new options', error.cause)
            self.assertEqual(before, self.files())
            active = (self.host.state / 'active').read_text()
            self.assertEqual('active\n', active)

    def test_never_set_up(self):
        before = self.files()
        error = self.failure(self.configure, ALL)
        self.assertIn('has not been set up', error.cause)
        self.assertEqual(before, self.files())
        error = self.failure(self.told)
        self.assertIn('has not been set up', error.cause)


class RegistryTest(optionhost.OptionsTestCase):
    def test_what_was_there_comes_back(self):
        own = self.host.write(CERT, 'theirs')
        other = self.host.write('etc/docker/certs.d/other/ca.crt', 'other')
        before = self.files()
        self.serve(ALL)
        self.assertEqual('PEM', own.read_text())
        cas = {'reg.example.com:5000': b'NEW'}
        self.configure(Options(registry_cas=cas))
        self.assertEqual('NEW', own.read_text())
        self.call('leave')
        self.assertEqual(before, self.files())
        self.assertEqual('other', other.read_text())

    def test_the_same_was_there(self):
        own = self.host.write(CERT, 'PEM')
        self.serve(ALL)
        self.call('leave')
        self.assertEqual('PEM', own.read_text())

    def test_somebody_has_changed_it_since(self):
        self.serve(ALL)
        (self.host.root / CERT).write_text('changed')
        self.call('leave')
        self.assertEqual('changed', (self.host.root / CERT).read_text())

    def test_all_goes(self):
        before = self.files()
        cas = {'[2001:db8::1]:5000': b'A', 'b': b'B'}
        self.serve(Options(registry_cas=cas))
        certs = self.host.root / 'etc/docker/certs.d'
        self.assertTrue((certs / '[2001:db8::1]:5000/ca.crt').exists())
        self.call('leave')
        self.assertFalse(certs.exists())
        self.assertEqual(before, self.files())

    def test_no_way_out_of_the_folder(self):
        stage = self.stage()
        (stage / 'options').write_text('registry-ca ../../x UEVN\n')
        done = self.host.call('serve', stage, 20)
        self.assertIn('failed no name of a registry', done.stdout)
        self.assertFalse((self.host.root / 'etc/x').exists())


class PostScriptTest(optionhost.OptionsTestCase):
    def test_runs_once_with_the_engine_there(self):
        seen = self.host.state / 'seen'
        self.serve(
            ALL,
            post_script='#!/bin/sh\n'
            f'exec >{seen}\n'
            'cat "$STATE/active"; echo "$http_proxy"; pwd; umask\n',
        )
        self.assertEqual(
            ['active', ALL.http_proxy, '/', '0022'],
            seen.read_text().split(),
        )
        self.assertFalse((self.host.home / 'post-script').exists())
        seen.unlink()
        self.serve()
        self.assertFalse(seen.exists())

    def test_without_an_interpreter_line(self):
        self.serve(post_script=f'echo x >{self.host.state}/seen\n')
        self.assertTrue((self.host.state / 'seen').exists())

    def test_fails(self):
        error = self.failure(
            self.serve,
            post_script='#!/bin/sh\necho first\n'
            'echo "la\033[2Jst" >&2\nexit 3\n',
        )
        self.assertEqual(engine.EXIT_SCRIPT, error.exit_code)
        self.assertIn('it ended with exit code 3', error.cause)
        self.assertEqual(('first', 'la[2Jst'), error.tail)
        self.assertFalse((self.host.home / 'post-script').exists())

    def test_too_long(self):
        error = self.failure(
            self.serve,
            post_script=f'echo $$ >{self.host.state}/pid\nsleep 600\n',
            wait=2,
        )
        self.assertIn('it did not end in time', error.cause)
        pid = int((self.host.state / 'pid').read_text())
        self.assertRaises(ProcessLookupError, _alive, pid)


def _alive(pid):
    """Raise ProcessLookupError once it has ended."""
    for _ in range(100):
        os.kill(pid, 0)
        time.sleep(0.05)
