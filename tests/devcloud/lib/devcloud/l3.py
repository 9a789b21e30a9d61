# SPDX-License-Identifier: Apache-2.0
"""L3 service plugin whose floating IPs need no agent to become ACTIVE.

The data plane sees the row in Neutron's database and does the rest.
"""

from __future__ import annotations

from typing import Any

from neutron.objects import router as l3_obj
from neutron.services.l3_router import l3_router_plugin
from neutron_lib import constants

_Base: Any = l3_router_plugin.L3RouterPlugin


class DevcloudL3Plugin(_Base):  # type: ignore[misc]
    """Entry point ``devcloud_l3`` of ``neutron.service_plugins``."""

    def create_floatingip(self, context: Any, floatingip: Any) -> Any:
        return self._settle(
            context, super().create_floatingip(context, floatingip)
        )

    # The name of the argument is Neutron's.
    def update_floatingip(self, context: Any, id: str, floatingip: Any) -> Any:
        return self._settle(
            context, super().update_floatingip(context, id, floatingip)
        )

    def disassociate_floatingips(self, context: Any, port_id: str) -> Any:
        """A port goes: its floating IPs are free, and say so."""
        elevated = context.elevated()
        freed = l3_obj.FloatingIP.get_objects(elevated, fixed_port_id=port_id)
        routers = super().disassociate_floatingips(context, port_id)
        for address in freed:
            self.update_floatingip_status(
                elevated, address.id, constants.FLOATINGIP_STATUS_DOWN
            )
        return routers

    def _settle(self, context: Any, address: Any) -> Any:
        """Stock Neutron leaves the status to an agent, so set it here."""
        status = (
            constants.FLOATINGIP_STATUS_ACTIVE
            if address.get('port_id')
            else constants.FLOATINGIP_STATUS_DOWN
        )
        if address['status'] != status:
            self.update_floatingip_status(
                context.elevated(), address['id'], status
            )
            address['status'] = status
        return address
