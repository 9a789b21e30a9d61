# SPDX-License-Identifier: Apache-2.0
"""ML2 mechanism driver that binds every port at once, without any agent.

The data plane sees the port in Neutron's database and plugs it.
"""

from __future__ import annotations

from typing import Any

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class DevcloudMechanismDriver(api.MechanismDriver):  # type: ignore[misc]
    """Entry point ``devcloud`` of ``neutron.ml2.mechanism_drivers``."""

    def initialize(self) -> None:
        self.vif_details = {portbindings.CAP_PORT_FILTER: True}

    @property
    def connectivity(self) -> str:
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        vnic = context.current.get(
            portbindings.VNIC_TYPE, portbindings.VNIC_NORMAL
        )
        if vnic != portbindings.VNIC_NORMAL or not context.segments_to_bind:
            return
        # not 'bridge': nova refuses ports of Linux bridge since 2025.1
        context.set_binding(
            context.segments_to_bind[0][api.ID],
            portbindings.VIF_TYPE_TAP,
            self.vif_details,
            status=constants.PORT_STATUS_ACTIVE,
        )

    def filter_hosts_with_segment_access(
        self,
        context: Any,
        segments: Any,
        candidate_hosts: Any,
        agent_getter: Any,
    ) -> set[str]:
        """Every host reaches every segment: there is one host."""
        return set(candidate_hosts)

    def check_vlan_transparency(self, context: Any) -> bool:
        return True
