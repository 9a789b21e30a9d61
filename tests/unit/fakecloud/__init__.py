# SPDX-License-Identifier: Apache-2.0
"""A small OpenStack that answers over requests-mock and remembers.

It holds the parts of Keystone, Nova, Neutron and Glance that this package
uses, and refuses what they refuse, in their words: the bodies were taken
from real services.
"""

from tests.unit.fakecloud.answers import OTHER, PROJECT
from tests.unit.fakecloud.cloud import AUTH_URL, FakeCloud

__all__ = ['AUTH_URL', 'OTHER', 'PROJECT', 'FakeCloud']
