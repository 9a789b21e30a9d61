# SPDX-License-Identifier: Apache-2.0
"""The OpenStack services of a cloud, a process each.

``python -m devcloud.services keystone|glance|neutron|nova``, nova's with
Placement inside.  A missing database is made first, in the same process, so
that the slow imports are paid once.
"""
