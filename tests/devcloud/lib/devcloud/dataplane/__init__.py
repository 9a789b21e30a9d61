# SPDX-License-Identifier: Apache-2.0
"""The network that Neutron's database describes, made real.

No agent and no RPC: what is wanted is read from the database, what is there
is replaced.  A tenant network is a bridge, an external network a bridge
without ports, a router a set of permissions between bridges, a floating IP an
entry in a map, a security group a chain in each of its ports.
"""
