# SPDX-License-Identifier: Apache-2.0
"""What python-openstackclient needs to load this extension.

This module is imported by every ``openstack`` call of every user, so nothing
heavy may be imported at its top: tests/unit/test_plugin.py holds that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from dockermachine_osc.machines import Machines

API_NAME = 'docker_machine'
API_VERSION_OPTION = 'os_docker_machine_api_version'
DEFAULT_API_VERSION = '1'
API_VERSIONS = ('1',)


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add no global options."""
    return parser


def make_client(instance: Any) -> Machines:  # noqa: ANN401
    """Make the client that is ``client_manager.docker_machine``.

    :param instance: OSC's client manager, authenticated.
    """
    import contextlib

    from dockermachine_osc import errors, identity, store
    from dockermachine_osc.cloud import Cloud
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.machines import Machines

    cloud = Cloud(instance.sdk_connection)
    files = store.Store()
    scope = files.scope(cloud.auth_url, cloud.region, cloud.project_id)
    fingerprint = identity.fingerprint(instance.get_configuration())
    # For use offline, later: no reason not to work online now.
    with contextlib.suppress(errors.StoreFailure):
        files.remember(fingerprint, scope)
    cloud.remember(scope.path)
    return Machines(cloud, scope, Contexts())
