# SPDX-License-Identifier: Apache-2.0
"""Where the engine comes from, and what is said when it can't."""

from __future__ import annotations

import base64
import pathlib

from tests.functional import base, devcloud

_INSTALL = """\
#!/bin/sh
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o DPkg::Lock::Timeout=120 update
apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-unsafe-io \\
    install -y --no-install-recommends docker.io iptables ca-certificates
echo "$0" >/var/lib/installed-by
"""
# A web server inside the guest stands for the one of a company.
_SERVE = """\
#cloud-config
bootcmd:
- mkdir -p /srv/www
- [sh, -c, "printf %s {script} | base64 -d >/srv/www/install.sh"]
- [systemd-run, --property, DefaultDependencies=no, python3, -m,
   http.server, --bind, 127.0.0.1, --directory, /srv/www, '8000']
"""


class EngineSourceTest(base.FunctionalTest):
    def test_url_of_a_script(self) -> None:
        name = self.name('url')
        script = base64.b64encode(_INSTALL.encode()).decode()
        user_data = self._file('serve', _SERVE.format(script=script))
        machine = self.create(
            name,
            *('--image', 'debian-12', '--user-data', str(user_data)),
            *('--engine-source', 'http://127.0.0.1:8000/install.sh'),
        ).json
        self._installed_by_script(name, machine['id'])

    def test_none_but_user_data(self) -> None:
        name = self.name('none')
        user_data = self._file('install', _INSTALL)
        machine = self.create(
            name,
            *('--image', 'debian-12', '--user-data', str(user_data)),
            *('--engine-source', 'none'),
        ).json
        self._installed_by_script(name, machine['id'])

    def _installed_by_script(self, name: str, server_id: str) -> None:
        self.assertTrue(
            devcloud.in_guest(server_id, 'cat', '/var/lib/installed-by')
        )
        self.assertEqual(1, devcloud.ssh_logins(server_id))
        self.here.docker('--context', name, 'ps')

    def _file(self, name: str, text: str) -> pathlib.Path:
        path = self.here.home / name
        path.write_text(text)
        return path


class NoEngineTest(base.FunctionalTest):
    def test_version_that_does_not_exist(self) -> None:
        name = self.name('pin')
        said = self.refused(
            'create', name, '--image', 'debian-12', '--engine-version', '99'
        )
        self.assertRegex(
            said, r'there is no docker\.io 99 .* only: 20\.10\.\S+'
        )
        self._taken_back(name, said)

    def test_image_without_an_engine(self) -> None:
        name = self.name('no-engine')
        said = self.refused(
            'create', name, '--image', 'debian-12', '--engine-source', 'image'
        )
        self.assertIn('there is no Docker Engine in this image', said)
        self._taken_back(name, said)

    def _taken_back(self, name: str, said: str) -> None:
        self.assertIn(f"Machine '{name}' was not created", said)
        self.assertRegex(
            said, r'Removed again: server .*, floating IP .*, port '
        )
        self.assertNothingLeft(name)
