# SPDX-License-Identifier: Apache-2.0
"""OpenStack, through openstacksdk. Knows nothing of SSH, Docker, or files."""

from dockermachine_osc.cloud.api import Address, Cloud
from dockermachine_osc.cloud.failures import ApiError
from dockermachine_osc.cloud.plan import Plan
from dockermachine_osc.cloud.servers import MachineServer

__all__ = ['Address', 'ApiError', 'Cloud', 'MachineServer', 'Plan']
