# SPDX-License-Identifier: Apache-2.0
"""What is common to all tests: they can be asked where they hang."""

import faulthandler
import signal

# tests/watched.py asks. The file descriptor is that of a process that runs
# tests, whatever a test does to sys.stderr later.
faulthandler.register(signal.SIGUSR1, file=2)
