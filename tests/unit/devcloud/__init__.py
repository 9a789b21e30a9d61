# SPDX-License-Identifier: Apache-2.0
"""The parts of the devcloud that need neither root nor a cloud."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'devcloud' / 'lib'))
