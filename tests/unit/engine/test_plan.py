# SPDX-License-Identifier: Apache-2.0
"""What the set-up would do on which distribution."""

import pathlib

from oslotest import base

from tests.unit.engine import hostroot

METHODS = {
    'debian-12': 'apt',
    'debian-13': 'apt',
    'ubuntu-22.04': 'apt',
    'ubuntu-24.04': 'apt',
    'linuxmint-22': 'apt',
    'fedora-42': 'dnf',
    'rhel-9': 'script',
    'centos-stream-9': 'script',
    'rocky-9': 'script',
    'almalinux-9': 'script-as-centos',
    'ol-9': 'script-as-rhel',
    'opensuse-leap-15': 'zypper',
    'sles-15': 'zypper',
    'flatcar': 'image',
    'alpine-3.20': 'unsupported',
}
SCRIPTED = {
    'debian-13': 'script',
    'ubuntu-22.04': 'script',
    'fedora-42': 'script',
    'rhel-9': 'script',
    'almalinux-9': 'script-as-centos',
    'ol-9': 'script-as-rhel',
    'sles-15': 'unsupported',
    'flatcar': 'unsupported',
}


class PlanTest(base.BaseTestCase):
    def plan(self, os_release, source='auto', unit=None):
        host = self.useFixture(hostroot.HostRoot(os_release, unit))
        return self.said(host, source)

    def said(self, host, source='auto'):
        done = host.call('plan', source)
        self.assertEqual('', done.stderr)
        return dict(
            line.split(' ', 1) for line in done.stdout.splitlines() if line
        )

    def test_every_text_is_tried(self):
        texts = (pathlib.Path(__file__).parent / 'os_release').iterdir()
        self.assertEqual(set(METHODS), {path.name for path in texts})

    def test_auto(self):
        said = {name: self.plan(name)['method'] for name in METHODS}
        self.assertEqual(METHODS, said)

    def test_docker_script(self):
        said = {name: self.plan(name, 'docker')['method'] for name in SCRIPTED}
        self.assertEqual(SCRIPTED, said)

    def test_distribution_without_a_package(self):
        for name in ('rhel-9', 'rocky-9', 'almalinux-9', 'ol-9'):
            said = self.plan(name, 'distribution')
            self.assertEqual('unsupported', said['method'])

    def test_sources_that_do_not_depend_on_it(self):
        url = 'https://example.org/install.sh?channel=x&y=1'
        for source, method in (
            ('image', 'image'),
            ('none', 'none'),
            (url, 'url'),
            ('nonsense', 'unsupported'),
        ):
            said = self.plan('alpine-3.20', source)
            self.assertEqual(method, said['method'])

    def test_says_what_it_has_read(self):
        said = self.plan('rocky-9', unit='docker-ce')
        self.assertEqual('rocky', said['id'])
        self.assertEqual('9.5', said['version'])
        self.assertEqual('present', said['engine'])
        self.assertEqual('absent', self.plan('ol-9')['engine'])

    def test_no_os_release(self):
        said = self.plan(None)
        self.assertEqual('unknown', said['id'])
        self.assertEqual('unsupported', said['method'])

    def test_in_usr_lib_only(self):
        host = self.useFixture(hostroot.HostRoot(None))
        host.write('usr/lib/os-release', 'ID=debian')
        self.assertEqual('apt', self.said(host)['method'])

    def test_odd_but_right(self):
        host = self.useFixture(hostroot.HostRoot(None))
        for text in (
            "ID='debian'\r\nVERSION_ID='12'\r\n",
            '# ID=alpine\n\n  ID=alpine\nID=debian',
            'ID="debian"\nNAME="a \\"quoted\\" = name"\n',
            'ID=debian\nX=' + 'y' * 100_000 + '\n',
        ):
            host.write('etc/os-release', text)
            self.assertEqual('apt', self.said(host)['method'])

    def test_hostile(self):
        host = self.useFixture(hostroot.HostRoot(None))
        mark = host.root / 'mark'
        for text in (
            f'ID=$(touch {mark})\n',
            f'ID=`touch {mark}`\n',
            f'ID="debian; touch {mark}"\n',
            f"ID='debian'; touch {mark}\n",
            f'touch {mark}\nID=../../debian\n',
            'ID=debian*\nID_LIKE="*"\n',
            'ID="debian\n',
            'ID=\x1b[2Jdebian\nID_LIKE=$(echo debian)\n',
            'ID_LIKE="-e -n %s"\n',
        ):
            host.write('etc/os-release', text)
            said = self.said(host)
            self.assertEqual('unsupported', said['method'], text)
            self.assertFalse(mark.exists(), text)

    def test_unsupported_names_the_ways_out(self):
        host = self.useFixture(hostroot.HostRoot('alpine-3.20'))
        done = host.function('install_engine')
        self.assertEqual(69, done.returncode)
        self.assertIn("failed 'alpine' 3.20.3 has no engine", done.stdout)
        self.assertIn('hint use an image with Docker inside', done.stdout)
