# SPDX-License-Identifier: Apache-2.0
"""The life of machines. Knows nothing of argparse, cliff, or the terminal."""

from dockermachine_osc.machines.api import Machines
from dockermachine_osc.machines.machine import Machine
from dockermachine_osc.machines.offline import LocalMachine, local_machine

__all__ = ['LocalMachine', 'Machine', 'Machines', 'local_machine']
