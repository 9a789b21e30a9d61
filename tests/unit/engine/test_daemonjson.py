# SPDX-License-Identifier: Apache-2.0
"""A daemon.json that says what the engine listens on, on a host of files."""

import json
import stat

from dockermachine_osc import engine
from tests.unit.engine import hostroot, test_adopt

JSON = 'etc/docker/daemon.json'
#: What people do who set hosts in the file: the flag of the package goes.
BARE = '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --debug\n'
SPACED = """{
\t"labels": ["a=hosts", "hosts: [x]", "q=\\"{["],
  "hosts" :\t[ "unix:///var/run/docker.sock"  ,\r
      "fd://"
  ],
  "runtimes": {"hosts": {"path": "/x", "runtimeArgs": ["tls", "}"]}}
}"""


class DaemonJsonTestCase(test_adopt.AdoptTestCase):
    """Has an engine that is told by its file where to listen."""

    def with_json(self, text, dropin=BARE):
        host = self.host()
        host.write(JSON, text, 0o640)
        host.write(test_adopt.CONF, dropin)
        return host

    def ours(self):
        return f'tcp://0.0.0.0:{self.port}'

    def hosts(self, host):
        return json.loads(self.read(host))['hosts']

    def read(self, host):
        return (host.root / JSON).read_bytes().decode()


class AdoptHostsTest(DaemonJsonTestCase):
    def test_adopted_and_left(self):
        for text in (
            '{"hosts":["unix:///run/x.sock"]}',
            '{"hosts":["fd://"],"debug":true}\n',
            SPACED,
            SPACED + '\n\n',
            '{"hosts": ["unix:\\/\\/\\/x"]}',
        ):
            host = self.with_json(text)
            before = self.contents(host)
            self.assertEqual(
                '/etc/docker/daemon.json', self.look(host).hosts_in
            )
            self.serve(host)
            expected = [*json.loads(text)['hosts'], self.ours()]
            self.assertEqual(expected, self.hosts(host))
            added = f', "{self.ours()}"'
            self.assertEqual(text, self.read(host).replace(added, ''))
            self.assertEqual('', self.look_again(host).hosts_in)
            self.leave(host)
            self.assertEqual(before, self.contents(host))
            self.assertEqual(['restart', 'restart'], host.log())

    def look_again(self, host):
        log = host.state / 'log'
        text = log.read_text()
        log.unlink()
        found = self.look(host)
        log.write_text(text)
        self.assertEqual('', found.conflict)
        return found

    def test_flags_are_for_the_keys_only(self):
        host = self.with_json(SPACED)
        self.serve(host)
        command = host.dropin.read_text().splitlines()[-1]
        self.assertIn('dockerd --debug --tlsverify --tlscacert=', command)
        self.assertNotIn(' -H', command)

    def test_owner_and_mode_stay(self):
        host = self.with_json(SPACED)
        self.serve(host)
        mode = (host.root / JSON).stat().st_mode
        self.assertEqual(0o640, stat.S_IMODE(mode))
        self.assertEqual(
            ['daemon.json'],
            [p.name for p in (host.root / 'etc/docker').iterdir()],
        )

    def test_a_link_stays_one(self):
        host = self.host()
        host.write(test_adopt.CONF, BARE)
        real = host.write('srv/docker.json', '{"hosts": ["fd://"]}')
        (host.root / 'etc/docker').mkdir()
        (host.root / JSON).symlink_to(real)
        self.serve(host)
        self.assertTrue((host.root / JSON).is_symlink())
        self.assertEqual(['fd://', self.ours()], self.hosts(host))

    def test_again_changes_nothing(self):
        host = self.with_json(SPACED)
        self.serve(host)
        text = self.read(host)
        self.serve(host)
        self.assertEqual(text, self.read(host))
        self.assertEqual(['restart'], host.log())

    def test_empty_list(self):
        """The engine has listened on its usual socket."""
        for text in ('{"hosts": []}', '{"hosts": [\n]}'):
            host = self.with_json(text)
            self.serve(host)
            self.assertEqual(
                ['unix:///var/run/docker.sock', self.ours()], self.hosts(host)
            )
            self.leave(host)
            self.assertEqual(text, self.read(host))

    def test_what_was_taken_out_meanwhile_comes_back(self):
        host = self.with_json(SPACED)
        self.serve(host)
        (host.root / JSON).write_text(SPACED)
        self.serve(host)
        self.assertIn(self.ours(), self.hosts(host))
        self.assertEqual(['restart', 'restart'], host.log())

    def test_a_set_up_that_was_cut_off_is_made_up_for(self):
        host = self.with_json(SPACED)
        self.serve(host)
        (host.root / JSON).write_text(SPACED)
        host.program(
            'systemctl',
            hostroot.SYSTEMCTL.replace(
                'restart*) echo', 'restart*) kill -9 $PPID; exit; echo'
            ),
        )
        done = host.call('serve', self.stage(host), '60')
        self.assertEqual(-9, done.returncode)
        host.program('systemctl', hostroot.SYSTEMCTL)
        self.serve(host)
        self.assertEqual(['restart', 'restart'], host.log())

    def test_edited_meanwhile(self):
        """Only what we put there goes, wherever it has got to."""
        for hosts, left in (
            ('["fd://", "OURS", "unix:///y"]', '["fd://", "unix:///y"]'),
            ('[ "OURS" , "unix:///y" ]', '[ "unix:///y" ]'),
            ('["OURS"]', '[]'),
            ('["fd://"]', '["fd://"]'),
        ):
            host = self.with_json('{"hosts": ["fd://"], "debug": true}')
            self.serve(host)
            edited = '{"debug": false,"hosts":' + hosts + '}'
            path = host.root / JSON
            path.write_text(edited.replace('OURS', self.ours()))
            self.leave(host)
            self.assertEqual(edited.replace(hosts, left), path.read_text())

    def test_gone_meanwhile(self):
        host = self.with_json('{"hosts": ["fd://"]}')
        self.serve(host)
        (host.root / JSON).unlink()
        self.leave(host)
        self.assertFalse((host.root / JSON).exists())


class RefusedTest(DaemonJsonTestCase):
    def assertRefused(self, words, host):
        before = self.contents(host)
        found = self.look(host)
        self.assertIn(words, found.conflict)
        self.assertTrue(found.hint)
        error = self.assertRaises(engine.SetupFailed, self.serve, host)
        self.assertEqual(engine.EXIT_CONFLICT, error.exit_code)
        (host.home / 'applied').unlink(missing_ok=True)
        self.assertEqual(before, self.contents(host))
        self.assertEqual([], host.log())

    def test_other_listeners(self):
        for foreign in ('tcp://0.0.0.0:2375', '127.0.0.1:2375'):
            self.assertRefused(
                f'listens on {foreign} already: "hosts" in /etc/docker',
                self.with_json(f'{{"hosts": ["fd://", "{foreign}"]}}'),
            )

    def test_a_listener_that_looks_like_ours(self):
        text = json.dumps({'hosts': [self.ours()]})
        self.assertRefused('listens on', self.with_json(text))

    def test_no_list_of_texts(self):
        for value in ('"fd://"', 'null', '[1]', '[["fd://"]]', '{"a": []}'):
            self.assertRefused(
                'no list of texts', self.with_json(f'{{"hosts": {value}}}')
            )
        self.assertRefused(
            'no list of texts', self.with_json('{"hosts":[],"hosts":[]}')
        )

    def test_no_object(self):
        for text in ('[]', '{"hosts": ["fd://"]', '{"debug', 'hosts'):
            self.assertRefused('is no JSON object', self.with_json(text))

    def test_beside_a_flag(self):
        """The engine would not start even without us."""
        host = self.with_json(
            '{"hosts": ["fd://"]}', BARE.replace('--debug', '-H fd://')
        )
        self.assertRefused('sets -H: the engine does not start', host)

    def test_tls(self):
        for key in ('tls', 'tlsverify', 'tlscacert', 'tlskey'):
            self.assertRefused(
                f'sets "{key}"', self.with_json(f'{{"{key}" :\n""}}')
            )

    def test_keys_of_others_do_not_count(self):
        for text in (
            '',
            ' \n',
            '{}',
            '{"labels": ["tls", "hosts"], "x": {"hosts": 1, "tls": 2}}',
        ):
            host = self.with_json(text, BARE.replace('--debug', '-H fd://'))
            found = self.look(host)
            self.assertEqual(('', ''), (found.conflict, found.hosts_in))

    def test_what_the_engine_itself_refuses(self):
        host = self.with_json('{"hosts": ["fd://"], "nonsense": 1}')
        host.write(
            test_adopt.CONF, BARE.replace('/usr/sbin', str(host.programs))
        )
        host.program(
            'dockerd',
            '#!/bin/sh\ncase "$*" in *--validate*) grep -q nonsense "$3" || '
            'exit 0\necho "unable to configure: nonsense" >&2; exit 1 ;; esac',
        )
        before = self.contents(host)
        error = self.assertRaises(engine.SetupFailed, self.serve, host)
        self.assertIn('unable to configure: nonsense', error.cause)
        self.assertEqual(before[JSON], self.contents(host)[JSON])
        self.assertFalse(host.dropin.exists())
        self.assertEqual([], host.log())


class RollBackTest(DaemonJsonTestCase):
    """An engine that does not start gets back all that it had before."""

    def broken(self, host):
        host.program(
            'systemctl',
            hostroot.SYSTEMCTL.replace('*--broken*', '*--tlsverify*'),
        )

    def test_first_time(self):
        host = self.with_json(SPACED)
        self.broken(host)
        self.assertRaises(engine.SetupFailed, self.serve, host)
        self.assertEqual(SPACED, self.read(host))
        self.assertFalse(host.dropin.exists())
        self.assertEqual([], list(host.home.glob('*.pem')))
        self.assertEqual('active\n', (host.state / 'active').read_text())

    def test_new_certificates(self):
        host = self.with_json(SPACED)
        self.serve(host)
        before = self.contents(host)
        stage = self.stage(host)
        (stage / 'server-key.pem').write_text('another\n')
        # Once, so that the second start is that of the engine as it was.
        host.program(
            'systemctl',
            hostroot.SYSTEMCTL.replace(
                'start() {\n',
                'start() {\n[ -e "$STATE/broke" ] || { : >"$STATE/broke"\n'
                'echo failed >"$STATE/active"; return 1; }\n',
            ),
        )
        done = host.call('serve', stage, '60')
        self.assertEqual(engine.EXIT_START, done.returncode)
        self.assertIn('runs again as it did before', done.stdout)
        self.assertEqual(before, self.contents(host))
        self.assertEqual([], list(host.run_dir.rglob('*.pem')))
        self.serve(host)
        self.assertEqual(['restart'] * 3, host.log())


class SocketTest(DaemonJsonTestCase):
    def test_socket_that_was_masked(self):
        host = self.host()
        host.program(
            'systemctl',
            hostroot.SYSTEMCTL.replace(
                'restart*) echo',
                "'start docker.socket docker.service')\n"
                '    echo both >>"$STATE/log"; start ;;\n'
                'stop*) echo inactive >"$STATE/active" ;;\n'
                'restart*) echo refused >>"$STATE/log"; exit 1 ;;\n'
                'never) echo',
            ).replace('start*) echo start', "'start docker.service') echo x"),
        )
        host.program(
            'journalctl',
            '#!/bin/sh\necho "failed to load listeners: no sockets found via '
            'socket activation: make sure the service was started by systemd"',
        )
        self.serve(host)
        self.assertEqual(['refused', 'both'], host.log())
        self.assertIn('--tlsverify', (host.state / 'running').read_text())
