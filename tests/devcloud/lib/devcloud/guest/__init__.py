# SPDX-License-Identifier: Apache-2.0
"""Instances of the devcloud: Debian systems in systemd-nspawn.

Each guest has Debian's own systemd, cloud-init and sshd, a network namespace
and a cgroup of its own, and a writable overlay over a base tree that all
guests share.  ``python -m devcloud.guest --help`` lists the verbs.

Standard library only, so that any Python >= 3.11 runs it.
"""
