# SPDX-License-Identifier: Apache-2.0
"""``python -m devcloud.dataplane [--once | --down]``."""

import sys

from devcloud.dataplane import daemon

sys.exit(daemon.main())
