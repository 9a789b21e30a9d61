# SPDX-License-Identifier: Apache-2.0
"""Command lines of ssh and its like; the programs themselves read some."""

import dataclasses
import pathlib
import subprocess

import fixtures
from oslotest import base

from dockermachine_osc import errors, openssh

KNOWN = pathlib.Path('/keys of web1/known_hosts')
WEB1 = openssh.Target('192.0.2.1', 22, 'debian', KNOWN, pathlib.Path('/k 1'))
WEB2 = openssh.Target(
    '2001:db8::2', 2222, 'root', pathlib.Path('/2'), pathlib.Path('/k2')
)
AGENT = openssh.Target('192.0.2.3', 22, 'me', pathlib.Path('/3'))


class PlaceTest(base.BaseTestCase):
    def test_places(self):
        for text, expected in (
            ('web1:', ('', 'web1', '')),
            ('web1:/etc/hosts', ('/etc/hosts', 'web1', '')),
            ('web1:a b:c', ('a b:c', 'web1', '')),
            ('root@web1:x', ('x', 'web1', 'root')),
            ('web1.example-a:x', ('x', 'web1.example-a', '')),
            ('file', ('file', '', '')),
            ('./web1:x', ('./web1:x', '', '')),
            ('/tmp/web1:x', ('/tmp/web1:x', '', '')),
            ('C:\\x', ('C:\\x', '', '')),
            ('-oProxyCommand=x:y', ('-oProxyCommand=x:y', '', '')),
            ('-x@web1:y', ('-x@web1:y', '', '')),
            (':x', (':x', '', '')),
            ('', ('', '', '')),
        ):
            place = openssh.place(text)
            found = (place.path, place.machine, place.user)
            self.assertEqual(expected, found, text)


class SshTest(base.BaseTestCase):
    def read_by_ssh(self, argv):
        done = subprocess.run(
            [argv[0], '-G', '-F', 'none', *argv[1:]],
            capture_output=True,
            text=True,
            check=True,
        )
        return openssh.resolved(done.stdout)

    def test_as_ssh_understands_it(self):
        found = self.read_by_ssh(openssh.ssh(WEB1, []))
        self.assertEqual('192.0.2.1', found['hostname'])
        self.assertEqual('22', found['port'])
        self.assertEqual('debian', found['user'])
        self.assertEqual('true', found['stricthostkeychecking'])
        self.assertEqual('yes', found['identitiesonly'])
        self.assertEqual('/k 1', found['identityfile'])
        self.assertIn('/keys of web1/known_hosts', found['userknownhostsfile'])

    def test_ipv6_and_another_user(self):
        found = self.read_by_ssh(openssh.ssh(WEB2, [], 'carol'))
        self.assertEqual('2001:db8::2', found['hostname'])
        self.assertEqual('2222', found['port'])
        self.assertEqual('carol', found['user'])

    def test_agent(self):
        found = self.read_by_ssh(openssh.ssh(AGENT, []))
        self.assertEqual('no', found['identitiesonly'])

    def test_command_stands_behind_two_hyphens(self):
        argv = openssh.ssh(WEB1, ['ls', '-l', '--', '-oX'])
        self.assertEqual(['--', 'ls', '-l', '--', '-oX'], argv[-5:])
        self.assertEqual('192.0.2.1', openssh.ssh(WEB1, [])[-1])


class VisitTest(base.BaseTestCase):
    def test_nothing_said(self):
        self.assertEqual(
            ['ssh', '-o', 'StrictHostKeyChecking=yes', '192.0.2.1'],
            openssh.visit('192.0.2.1'),
        )

    def test_all_said(self):
        argv = openssh.visit(
            '192.0.2.1', 'me', 2222, pathlib.Path('/k'), KNOWN
        )
        said = ' '.join(argv)
        for words in ('-l me', '-p 2222', '-i /k', '"/keys of web1/known_'):
            self.assertIn(words, said)
        # Those that the user knows count as well.
        self.assertIn(' ~/.ssh/known_hosts ', said)

    def test_resolved(self):
        self.assertEqual(
            {'user': 'me', 'identityfile': '/b c'},
            openssh.resolved(
                'user me\nidentityfile /a\nidentityfile /b c\nproxyjump\n'
            ),
        )


#: The other side is this one; what it was told first is kept.
_SSH = """#!/bin/sh
printf '%s\\n' "$@" >"$TOLD"
while [ "$1" != 192.0.2.1 ]; do shift; done
shift
exec sh -c "$*"
"""


class RsyncTest(base.BaseTestCase):
    """With the real rsync at both ends."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        ssh = self.folder / 'ssh'
        ssh.write_text(_SSH)
        ssh.chmod(0o755)
        self.told = self.folder / 'told'

    def rsync(self, source, destination, target=WEB1, **options):
        places = [openssh.place(source), openssh.place(destination)]
        targets = [target if p.machine else None for p in places]
        argv = openssh.rsync(places, targets, **options)
        path = f'{self.folder}:/usr/bin:/bin'
        subprocess.run(
            argv,
            check=True,
            cwd=self.folder,
            env={'PATH': path, 'TOLD': str(self.told)},
            timeout=60,
        )

    def test_there_and_back(self):
        (self.folder / "it's here").mkdir()
        (self.folder / "it's here/a $b").write_text('content')
        there = self.folder / 'there; x'
        self.rsync("it's here", f'web1:{there}', recursive=True)
        self.rsync(f"web1:{there}/it's here/a $b", 'back')
        self.assertEqual('content', (self.folder / 'back').read_text())

    def test_what_ssh_is_told(self):
        quote = dataclasses.replace(WEB1, known_hosts=pathlib.Path("/it's"))
        (self.folder / 'x').write_text('')
        self.rsync('x', f'web1:{self.folder}/y', quote, quiet=True)
        told = self.told.read_text().splitlines()
        argv = openssh.ssh(quote, [])
        self.assertEqual(
            argv[1 : argv.index('-l')], told[: argv.index('-l') - 1]
        )
        self.assertEqual(['-l', 'debian'], told[argv.index('-l') - 1 :][:2])

    def test_one_machine(self):
        for operands in (('a', 'b'), ('web1:a', 'web1:b')):
            places = [openssh.place(o) for o in operands]
            targets = [WEB1 if p.machine else None for p in places]
            error = self.assertRaises(
                errors.InvalidRequest, openssh.rsync, places, targets
            )
            self.assertIn('--delta', str(error))


class ScpTest(base.BaseTestCase):
    def scp(self, *places, **options):
        machines = {'web1': WEB1, 'web2': WEB2, 'agent': AGENT}
        places = [openssh.place(p) for p in places]
        targets = [machines.get(p.machine) for p in places]
        return openssh.scp(places, targets, **options)

    def operands(self, *places):
        argv = self.scp(*places)
        return argv[argv.index('--') + 1 :]

    def test_operands(self):
        for place, expected in (
            ('web1:a/b', 'scp://debian@192.0.2.1:22/a/b'),
            ('web1:/etc/hosts', 'scp://debian@192.0.2.1:22//etc/hosts'),
            ('web1:', 'scp://debian@192.0.2.1:22/'),
            ('root@web1:x', 'scp://root@192.0.2.1:22/x'),
            ('web2:a b%', 'root@[2001:db8::2]:a b%'),
        ):
            self.assertEqual([expected, './x'], self.operands(place, 'x'))

    def test_port_of_an_ipv6_host(self):
        argv = self.scp('web2:x', 'web1:y')
        self.assertEqual('2222', argv[argv.index('-P') + 1])
        self.assertIn('scp://debian@192.0.2.1:22/y', argv)
        self.assertNotIn('-P', self.scp('web1:x', 'y'))

    def test_two_ipv6_hosts(self):
        one = dataclasses.replace(WEB2, port=22)
        places = [openssh.place('web2:x'), openssh.place('web3:y')]
        error = self.assertRaises(
            errors.InvalidRequest, openssh.scp, places, [one, WEB2]
        )
        self.assertIn('22 and 2222', str(error))
        self.assertIn('-P', openssh.scp(places, [one, one]))

    def test_local_ones_are_neither_options_nor_hosts(self):
        for place, expected in (
            ('-r', './-r'),
            ('C:x', './C:x'),
            ('/a', '/a'),
            ('../a', '../a'),
            ('~/a', '~/a'),
        ):
            self.assertEqual(expected, self.operands(place, 'web1:')[0])

    def test_flags(self):
        argv = self.scp('a', 'web1:', recursive=True, quiet=True)
        self.assertEqual(['scp', '-r', '-q', '-o'], argv[:4])
        self.assertEqual('-o', self.scp('a', 'web1:')[1])

    def test_between_machines(self):
        argv = self.scp('web1:a', 'web2:b')
        self.assertEqual('-3', argv[1])
        said = ' '.join(argv)
        self.assertIn('"/keys of web1/known_hosts" "/2"', said)
        self.assertIn('IdentityFile="/k 1"', said)
        self.assertIn('IdentityFile="/k2"', said)
        self.assertIn('IdentitiesOnly=yes', said)

    def test_a_key_of_the_agent_is_not_shut_out(self):
        self.assertNotIn('IdentitiesOnly=yes', self.scp('web1:a', 'agent:b'))

    def test_both_local(self):
        error = self.assertRaises(
            errors.InvalidRequest, self.scp, 'a', './web1:b'
        )
        self.assertIn('<machine>:<path>', str(error))


class SshfsTest(base.BaseTestCase):
    def test_operands(self):
        for place, target, expected in (
            ('web1:/srv', WEB1, 'debian@192.0.2.1:/srv'),
            ('root@web2:', WEB2, 'root@[2001:db8::2]:'),
        ):
            argv = openssh.sshfs(target, openssh.place(place), '/mnt')
            self.assertEqual([expected, '/mnt'], argv[-2:])
            self.assertEqual(str(target.port), argv[argv.index('-p') + 1])
