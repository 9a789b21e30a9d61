# SPDX-License-Identifier: Apache-2.0
"""What Nova sees of the guests."""
