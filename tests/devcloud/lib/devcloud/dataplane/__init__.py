# SPDX-License-Identifier: Apache-2.0
"""The network that Neutron's database describes, made real.

No agent and no RPC: what is wanted is read from the database, what is there
is replaced.  A network is a bridge that holds its gateways' addresses, a
guest's port a point-to-point link with a route to it, a router a permission
to cross, a floating IP an entry in a map, a security group a chain in each of
its ports.

Guests are routed, not bridged, also to their neighbours, for whom the host
answers ARP.  So the rules see all that guests say, whether the kernel's
br_netfilter is on (as Docker sets it) or not.  With bridges it matters: on,
it takes a packet whose DNAT leads back to the same bridge for a frame to be
bridged, and isolated ports then drop it; off, the rules do not see frames.
"""
