# SPDX-License-Identifier: Apache-2.0
"""The networks that follow from a cloud's port base."""

import ipaddress
import pathlib

from devcloud import settings
from oslotest import base


class NetworksTest(base.BaseTestCase):
    def test_no_two_clouds_share_one(self) -> None:
        seen: set[ipaddress.IPv4Network | ipaddress.IPv6Network] = set()
        step = settings.PORTS_PER_CLOUD
        # the first and the last, and a default among them
        ports = [*range(1024, 1064, step), *range(19490, 19520, step)]
        ports += range(65490, 65530, step)
        for port in ports:
            found = settings.Settings(pathlib.Path('/x'), port).networks
            self.assertEqual(set(), seen & {*found})
            seen |= {*found}
        for network in seen:
            self.assertTrue(
                network.is_private or network.version == 4, network
            )

    def test_ipv6_is_of_the_port_base(self) -> None:
        here = settings.Settings(pathlib.Path('/x'), 19800)
        self.assertEqual(
            ('fd64:6576:4d58:1::/64', 'fd64:6576:4d58:2::/64'),
            (str(here.dual_ipv6_cidr), str(here.ipv6_cidr)),
        )
        self.assertTrue(
            here.dual_cidr.subnet_of(ipaddress.IPv4Network('100.64.0.0/10'))
        )
