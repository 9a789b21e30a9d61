# SPDX-License-Identifier: Apache-2.0
"""What the base trees are made of.

A base tree's directory is named ``<name>-<hash of its recipe>``: a changed
recipe is another directory, so that a tree is never of two minds, and clouds
of two checkouts can share ``$DEVCLOUD_HOME/bases``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json

PACKAGES = (
    'systemd',
    'systemd-sysv',
    'dbus',
    'libpam-systemd',
    'openssh-server',
    'sudo',
    'iproute2',
    'iputils-ping',
    'ca-certificates',
    'curl',
    'gnupg',
    'cloud-init',
    'ifupdown',
    'isc-dhcp-client',
    'netbase',
    'kmod',
    'procps',
    'less',
    'vim-tiny',
    'e2fsprogs',
    # cloud-init's renderer for ifupdown writes 'route add default gw ...'
    'net-tools',
)

CLOUD_CFG = """\
# what a cloud image's builder would set
datasource_list: [NoCloud, ConfigDrive, OpenStack, None]
apt: {preserve_sources_list: true}
manage_etc_hosts: localhost
locale: C.UTF-8
ssh_genkeytypes: [rsa, ecdsa, ed25519]
"""
APT_CONF = """\
// a frozen or lagging mirror must not break apt-get update
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
"""
FILES = {
    'etc/cloud/cloud.cfg.d/90_devcloud.cfg': CLOUD_CFG,
    'etc/apt/apt.conf.d/99devcloud': APT_CONF,
    'etc/machine-id': '',
}
# Made anew by each guest, or a mark of the machine that built the tree.
REMOVED = ('etc/hostname', 'etc/resolv.conf', 'var/lib/dbus/machine-id')
# Nothing that takes apt's lock or scrubs file systems behind a test's back.
MASKED = (
    'apt-daily.timer',
    'apt-daily-upgrade.timer',
    'e2scrub_all.timer',
    'e2scrub_reap.service',
)
# Counts changes of a tree that stand in nothing above.
BUILD = 2


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One base tree: Debian's suite and its packages."""

    name: str
    suite: str
    packages: tuple[str, ...]
    # The security archive's suite is <suite>-security since Debian 11.
    extra_suites: tuple[str, ...] = ('updates', 'security')

    @property
    def directory(self) -> str:
        """The name of the tree's directory in $DEVCLOUD_HOME/bases."""
        content = json.dumps(
            [dataclasses.astuple(self), FILES, REMOVED, MASKED, BUILD],
            sort_keys=True,
        )
        digest = hashlib.sha256(content.encode()).hexdigest()
        return f'{self.name}-{digest[:12]}'


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe('debian12', 'bookworm', PACKAGES),
        Recipe(
            'debian12-docker',
            'bookworm',
            (*PACKAGES, 'docker.io', 'containerd', 'iptables'),
        ),
        Recipe('debian13', 'trixie', PACKAGES),
    )
}
