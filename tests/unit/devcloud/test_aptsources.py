# SPDX-License-Identifier: Apache-2.0
"""Which mirror base trees come from: that of this machine's apt."""

import pathlib

import fixtures
from devcloud.guest import aptsources
from oslotest import base

DEB822 = """\
# the machine's own
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQ
"""
OTHERS = """\
deb [arch=amd64 signed-by=/k/docker.gpg] https://docker.example/linux/debian \
bookworm stable
deb https://node.example/node_18.x bookworm main
deb-src http://mirror.example/debian bookworm main
"""


class AptSources(base.BaseTestCase):
    def machine(self, **files: str) -> pathlib.Path:
        """An /etc/apt with these files; __ stands for a slash."""
        apt = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (apt / 'sources.list.d').mkdir()
        for name, text in files.items():
            path = name.replace('__', '/').replace('_', '.')
            (apt / path).write_text(text)
        return apt

    def mirror(self, **files: str) -> aptsources.Mirror | None:
        return aptsources.debian_mirror(
            aptsources.sources(self.machine(**files))
        )

    def test_deb822(self) -> None:
        self.assertEqual(
            aptsources.Mirror(
                'http://mirror.example/debian',
                'http://mirror.example/debian-security',
            ),
            self.mirror(sources_list_d__debian_sources=DEB822),
        )

    def test_one_line_beside_others(self) -> None:
        own = (
            'deb http://cache.example:3142/deb bookworm main # own\n'
            'deb http://cache.example:3142/deb bookworm-updates main\n'
            'deb http://cache.example:3142/sec bookworm-security main\n'
        )
        self.assertEqual(
            aptsources.Mirror(
                'http://cache.example:3142/deb',
                'http://cache.example:3142/sec',
            ),
            self.mirror(sources_list=OTHERS, sources_list_d__own_list=own),
        )

    def test_security_of_debian_10(self) -> None:
        text = (
            'deb https://a.example/debian/ buster main\n'
            'deb https://b.example/security buster/updates main\n'
        )
        self.assertEqual(
            aptsources.Mirror(
                'https://a.example/debian/', 'https://b.example/security'
            ),
            self.mirror(sources_list=text),
        )

    def test_no_debian(self) -> None:
        ubuntu = 'deb http://u.example/ubuntu noble main universe\n'
        self.assertIsNone(self.mirror(sources_list=ubuntu + OTHERS))
        self.assertIsNone(self.mirror())

    def test_disabled_and_local_are_not_used(self) -> None:
        off = DEB822.replace('Types: deb', 'Enabled: no\nTypes: deb')
        local = 'deb file:/srv/debian bookworm main\n'
        self.assertIsNone(
            self.mirror(sources_list_d__debian_sources=off, sources_list=local)
        )
