# SPDX-License-Identifier: Apache-2.0
"""The devcloud beside a firewall that this machine already has.

Needs root.
"""

from __future__ import annotations

import subprocess
import sys

from oslotest import base

from tests.functional import own_cloud


class Firewall(base.BaseTestCase):
    """A machine that drops what its firewall does not know.

    In a network namespace of its own, so that no other cloud notices.
    """

    RULES = """
    table ip filter {
        chain INPUT { type filter hook input priority 0; policy accept; }
        chain FORWARD {
            type filter hook forward priority 0; policy drop
            iifname "docker0" accept
        }
    }
    """
    PROGRAM = """
from devcloud import settings
from devcloud.dataplane import firewall
table = settings.current().nft_table
firewall.admit(table)
firewall.admit(table)
print(listing())
firewall.withdraw(table)
print(listing())
"""
    LISTING = """
import subprocess
def listing():
    return subprocess.run(['nft', 'list', 'table', 'ip', 'filter'],
                          stdout=subprocess.PIPE, text=True).stdout + '#'
"""

    def test_own_ports_pass_and_nothing_is_left(self) -> None:
        for family in ('ip', 'ip6'):
            self.assertPasses(family)

    def assertPasses(self, family: str) -> None:
        cloud = own_cloud.Cloud(19990)
        done = subprocess.run(
            [
                'unshare',
                '--net',
                'sh',
                '-ec',
                'echo "$1" | nft -f -; exec "$2" -c "$3"',
                'sh',
                self.RULES.replace('ip filter', f'{family} filter'),
                sys.executable,
                self.LISTING.replace("'ip'", f"'{family}'") + self.PROGRAM,
            ],
            env=cloud.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual('', done.stderr)
        during, after = done.stdout.split('#')[:2]
        for field in ('iifname', 'oifname'):
            self.assertEqual(1, during.count(f'{field} "d19990t*" accept'))
        self.assertLess(during.index('d19990t'), during.index('docker0'))
        self.assertNotIn('d19990t', during.partition('FORWARD')[0])
        self.assertNotIn('d19990t', after)
        self.assertIn('docker0', after)
