# SPDX-License-Identifier: Apache-2.0
"""Completion, by the real shells that are here, and as docker asks for it."""

import os
import subprocess
import sys
from pathlib import Path

from dockermachine_osc import completion
from tests.unit.commands import shell

_OPTION = ('openstack', '--os-cloud', 'x')
# What an interactive shell would run; the words are completed at their end.
_ASK = {
    'bash': """
        _openstack() { COMPREPLY=(of-openstack); }
        eval "$(docker-machine-osc completion bash)"
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _docker_machine_osc; printf '%s\\n' "${COMPREPLY[@]}"
    """,
    'zsh': """
        compdef() { true; }; compadd() { shift; print -l -- "$@"; }
        _openstack() { compadd -- of-openstack; }
        eval "$(docker-machine-osc completion zsh)"
        words=("$@"); CURRENT=$#
        _docker_machine_osc
    """,
}


class TestCompletion(shell.ShellTestCase):
    def setUp(self):
        super().setUp()
        for name in ('web1', 'web2', 'db1'):
            self.files.machine(name).create()
        other = self.store.scope('http://other/v3', '', 'p' * 32)
        other.machine('far1').create()

    def complete(self, *words):
        return completion.candidates(words, os.environ)

    def test_commands(self):
        self.assertEqual(
            ['scp', 'set', 'show', 'ssh', 'start', 'status', 'stop'],
            self.complete('s'),
        )
        self.assertEqual(['renew', 'show'], self.complete('cert', ''))
        self.assertIn('env', self.complete(''))

    def test_names(self):
        self.assertEqual(['web1', 'web2'], self.complete('env', 'w'))
        self.assertEqual(
            ['web1', 'web2'], self.complete('cert', 'renew', '--ca', 'w')
        )
        self.assertEqual([], self.complete('create', 'w'))
        self.assertEqual(['fish'], self.complete('env', '--shell', 'f'))

    def test_of_all_projects_until_one_is_known(self):
        self.assertEqual(['far1'], self.complete('env', 'f'))
        self.succeeds('create', 'mine')
        self.succeeds('env', 'mine')
        self.assertEqual([], self.complete('env', 'f'))
        self.assertEqual(['mine'], self.complete('env', 'm'))

    def test_by_shells(self):
        for name in _ASK:
            for words, expected in (
                (('docker-machine-osc', 'env', 'w'), ['web1', 'web2']),
                (('docker-machine-osc', 'cert', 'r'), ['renew']),
                (
                    ('openstack', 'docker', 'machine', 'env', 'w'),
                    ['web1', 'web2'],
                ),
                (
                    (*_OPTION, 'docker', 'machine', 'stop', 'web1', 'd'),
                    ['db1'],
                ),
                (('openstack', 'server', 'sh'), ['of-openstack']),
            ):
                told = self.ask(name, *words)
                self.assertEqual(expected, told, (name, words))

    def ask(self, name, *words):
        script = [name, '-c', _ASK[name], name, *words]
        return self.run_program(script).splitlines()

    def run_program(self, command):
        bin_folder = str(Path(sys.executable).parent)
        path = bin_folder + os.pathsep + os.environ['PATH']
        return subprocess.run(
            command,
            env={**os.environ, 'PATH': path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def test_by_fish(self):
        for words, expected in (
            ('docker-machine-osc env w', ['web1', 'web2']),
            ('openstack docker machine env d', ['db1']),
        ):
            script = (
                'docker-machine-osc completion fish | source; '
                f"complete -C '{words}'"
            )
            told = self.run_program(['fish', '--no-config', '-c', script])
            self.assertEqual(expected, told.split(), words)

    def test_as_docker_asks(self):
        plugin = self.home / 'docker-machine'
        plugin.symlink_to(Path(sys.executable).parent / 'docker-machine-osc')
        told = self.run_program(
            [str(plugin), '__complete', 'machine', 'env', 'web']
        )
        self.assertEqual('web1\nweb2\n:4\n', told)
