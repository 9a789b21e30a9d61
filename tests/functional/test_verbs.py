# SPDX-License-Identifier: Apache-2.0
"""What is done with machines that are there, with the real programs."""

from __future__ import annotations

import pathlib
import shutil

from tests.functional import base, devcloud
from tests.functional.workstation import Result

_KEPT = """\
#!/bin/sh
systemctl mask docker.service
"""


class VerbsTest(base.FunctionalTest):
    """Two machines; most is done with the first."""

    def test_verbs(self) -> None:
        self.machine = self.name('verbs')
        self.other = self.name('other')
        self.shown = self.create(self.machine).json
        self.create(self.other, '--no-context')
        self._where()
        self._ssh()
        self._scp()
        self._delta()
        self._mount()
        self._contexts()
        self._client_certificate()
        self._ca()
        self._server_certificate()
        self._well()
        self._rename()
        self._power()
        self.here.machine('delete', self.machine, self.other)

    def _line(self, command: str) -> str:
        return self.here.machine(command, self.machine).out

    def _works(self) -> None:
        self.here.docker('--context', self.machine, 'ps')

    # ------------------------------------------------------------------ where

    def _where(self) -> None:
        url = self.shown['url']
        both = self.here.machine('ip', self.other, self.machine).out
        self.assertEqual(self.shown['address'], both.splitlines()[1])
        self.assertEqual(f'{url}\n', self._line('url'))
        self.assertEqual('running\n', self._line('status'))
        script = (
            'docker $(openstack --os-cloud devcloud docker machine config '
            f'{self.machine}) version'
        )
        self.assertIn('Server', self.here.run('sh', '-c', script).out)
        active = self.here.machine('active', env={'DOCKER_HOST': url})
        self.assertEqual(f'{self.machine}\n', active.out)
        none = self.here.machine('active', code=1)
        self.assertIn('DOCKER_HOST is unset', none.err)

    # -------------------------------------------------------------------- ssh

    def _ssh(self) -> None:
        done = self._remote('echo out; echo err >&2; exit 7', code=7)
        self.assertEqual('out\n', done.out)
        self.assertIn('err\n', done.err)
        self.assertEqual('debian\n', self._remote('id -un').out)
        # Options behind -- are the remote command's.
        done = self.here.machine(
            'ssh', self.machine, '--', 'ls', '-d', '--color=never', '/etc'
        )
        self.assertEqual('/etc\n', done.out)
        done = self.here.machine(
            'ssh', self.machine, '--', 'cat', stdin=b'through stdin'
        )
        self.assertEqual('through stdin', done.out)

    def _remote(self, command: str, code: int = 0) -> Result:
        return self.here.machine('ssh', self.machine, '--', command, code=code)

    # -------------------------------------------------------------------- scp

    def _scp(self) -> None:
        folder = self.here.home / 'a folder'
        folder.mkdir()
        (folder / 'file').write_text('content')
        there, other = f'{self.machine}:', f'{self.other}:'
        self.here.machine('scp', '-r', 'a folder', there)
        self.here.machine('scp', f'{there}a folder/file', 'back')
        self.assertEqual('content', (self.here.home / 'back').read_text())
        self.here.machine('scp', f'{there}a folder/file', f'{other}/tmp/x y')
        done = self.here.machine('ssh', self.other, '--', 'cat "/tmp/x y"')
        self.assertEqual('content', done.out)
        missing = self.here.machine('scp', f'{there}/nope', '.', code=None)
        self.assertNotEqual(0, missing.code)
        self.assertIn('No such file', missing.err)

    def _delta(self) -> None:
        install = 'apt-get -qq update && apt-get -qq install rsync'
        self._remote(f'sudo sh -c "{install}" >/dev/null 2>&1')
        place = f'{self.machine}:a folder/'
        self.here.machine('scp', '--delta', '-r', 'a folder/', place)
        self.here.machine('scp', '--delta', f'{place}file', 'again')
        self.assertEqual('content', (self.here.home / 'again').read_text())

    def _mount(self) -> None:
        here = self.here.home / 'mounted'
        here.mkdir()
        place = f'{self.machine}:a folder'
        self.here.machine('mount', place, str(here))
        self.addCleanup(self.here.run, 'umount', '-l', str(here), code=None)
        self.assertEqual('content', (here / 'file').read_text())
        (here / 'new').write_text('from here')
        self.here.machine('mount', '--unmount', str(here))
        self.assertFalse(here.is_mount())
        self.assertEqual('from here', self._remote('cat "a folder/new"').out)

    # --------------------------------------------------------------- contexts

    def _contexts(self) -> None:
        self.here.machine('context', 'create', self.machine, '--name', 'new')
        self.assertEqual({'default', 'new'}, set(self.here.contexts()))
        self.here.docker('--context', 'new', 'ps')
        self.here.machine('context', 'delete', self.machine)
        self.assertEqual({'default'}, set(self.here.contexts()))
        self.here.machine('context', 'create', self.machine)
        self._works()

    # ----------------------------------------------------------- certificates

    def _certificates(self) -> dict[str, str]:
        rows = self.here.machine('cert', 'show', self.machine, '-f', 'json')
        return {row['Certificate']: row['SHA256'] for row in rows.json}

    def _changed_by(self, option: str) -> set[str]:
        """Renew, and tell which certificates are new."""
        before = self._certificates()
        self.assertEqual({'ca', 'client', 'server'}, set(before))
        self.here.machine('cert', 'renew', option, self.machine)
        self._works()
        after = self._certificates()
        return {role for role in after if after[role] != before[role]}

    def _client_certificate(self) -> None:
        starts = devcloud.engine_starts(self.shown['id'])
        self.assertEqual({'client'}, self._changed_by('--client'))
        self.assertEqual(starts, devcloud.engine_starts(self.shown['id']))

    def _server_certificate(self) -> None:
        starts = devcloud.engine_starts(self.shown['id'])
        self.assertEqual({'server'}, self._changed_by('--server'))
        self.assertEqual(starts + 1, devcloud.engine_starts(self.shown['id']))

    def _ca(self) -> None:
        """Whoever has the old client certificate is shut out."""
        old = self.here.home / 'old'
        shutil.copytree(self.here.machine_folder(self.machine), old)
        self._version_with(old, 0)
        self.assertEqual({'ca', 'client', 'server'}, self._changed_by('--ca'))
        new = self.here.machine_folder(self.machine)
        shutil.copy(new / 'ca.pem', old / 'ca.pem')
        refused = self._version_with(old, 1)
        self.assertRegex(refused.err, base.REFUSED)
        # And with it the other machine goes on as before.
        other = self.here.machine_folder(self.other)
        address = self.here.machine('url', self.other).out.strip()
        self._version_with(other, 0, address)

    def _version_with(
        self, keys: pathlib.Path, code: int, url: str = ''
    ) -> Result:
        return self.here.docker(
            'version',
            env={
                'DOCKER_HOST': url or self.shown['url'],
                'DOCKER_TLS_VERIFY': '1',
                'DOCKER_CERT_PATH': str(keys),
            },
            code=code,
        )

    # ------------------------------------------------------ provision, on, off

    def _well(self) -> None:
        starts = devcloud.engine_starts(self.shown['id'])
        done = self.here.machine('provision', self.machine)
        self.assertIn('is as it should be', done.err)
        self.assertEqual(starts, devcloud.engine_starts(self.shown['id']))

    def _power(self) -> None:
        self.here.machine('stop', self.machine)
        self.assertEqual('stopped\n', self._line('status'))
        self.assertIn('stopped already', self._err('stop'))
        self.here.machine('start', self.machine)
        self._works()
        self.assertIn('running already', self._err('start'))
        booted = self._booted_at()
        self.here.machine('restart', self.machine)
        self._works()
        self.assertNotEqual(booted, self._booted_at())
        self._kill()
        done = self.here.machine('stop', 'nope', self.other, code=1)
        self.assertIn('1 of 2 machines failed to stop', done.err)
        status = self.here.machine('status', self.other).out
        self.assertEqual('stopped\n', status)

    def _rename(self) -> None:
        name = self.name('renamed')
        self.here.machine('set', '--name', name, self.other)
        env = self.here.machine('env', name).out
        self.here.run('sh', '-euc', f'{env}\ndocker ps')
        gone = self.here.machine('show', self.other, code=1)
        self.assertIn('does not exist', gone.err)
        self.other = name

    def _kill(self) -> None:
        """What a service does as it is stopped tells kill from stop."""
        guest = self.shown['id']
        devcloud.in_guest(
            guest, 'systemd-run', '-q', '--remain-after-exit', '--property',
            'ExecStop=touch /var/lib/stopped-in-order', 'true',
        )  # fmt: skip
        said = self.here.machine('kill', self.machine)
        self.assertEqual('', said.err)
        self.assertEqual('stopped\n', self._line('status'))
        self.assertIn('stopped already', self._err('kill'))
        self.here.machine('start', self.machine)
        self._works()
        files = devcloud.in_guest(guest, 'ls', '/var/lib')
        self.assertNotIn('stopped-in-order', files)

    def _err(self, command: str) -> str:
        return self.here.machine(command, self.machine).err

    def _booted_at(self) -> str:
        """When the guest's first process was started: proc(5), field 22."""
        stat = devcloud.in_guest(self.shown['id'], 'cat', '/proc/1/stat')
        return stat.rpartition(')')[2].split()[19]


class ProvisionTest(base.FunctionalTest):
    def test_what_create_could_not_finish(self) -> None:
        name = self.name('kept')
        user_data = self.here.home / 'mask'
        user_data.write_text(_KEPT)
        options = ('--user-data', str(user_data), '--engine-source', 'none')
        failed = self.create(name, *options, '--keep-on-failure', code=1)
        self.assertIn('Everything was kept', failed.err)
        listed = self.here.machine('list', '-f', 'json').json
        (machine,) = [m for m in listed if m['Name'] == name]
        self.assertEqual('kept', machine['State'])
        devcloud.in_guest(
            machine['ID'], 'systemctl', 'unmask', 'docker.service'
        )
        self.here.machine('provision', name)
        self.assertEqual('running\n', self.here.machine('status', name).out)
        self.here.machine('context', 'create', name)
        self.here.docker('--context', name, 'ps')
        again = self.here.machine('provision', name)
        self.assertIn('is as it should be', again.err)
        self.here.machine('delete', name)
        self.assertNothingLeft(name)
