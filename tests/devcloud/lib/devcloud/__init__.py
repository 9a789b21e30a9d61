# SPDX-License-Identifier: Apache-2.0
"""A small real OpenStack cloud for this repository's demo and tests."""
