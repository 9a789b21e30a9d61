# SPDX-License-Identifier: Apache-2.0
"""``python -m devcloud.guest VERB ...``."""

import sys

from devcloud.guest import cli

sys.exit(cli.main())
