# SPDX-License-Identifier: Apache-2.0
"""Options of ``create``: from the command line, else from clouds.yaml.

``docker_machine:`` under a cloud in clouds.yaml holds defaults by the names
of the options, with underscores::

    clouds:
      mycloud:
        auth: ...
        docker_machine:
          image: debian-13
          flavor: m1.small
          allow_cidr: [192.0.2.0/24]
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dockermachine_osc.commands import engine_options, files
from dockermachine_osc.errors import InvalidRequest

if TYPE_CHECKING:
    from dockermachine_osc.request import AdoptRequest, CreateRequest

_WHERE = 'docker_machine in clouds.yaml'


def port_number(text: str) -> int:
    """Read a TCP port, for argparse."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port, 1 to 65535")
    return int(text)


def gibibytes(text: str) -> int:
    """Read the size of a volume, for argparse."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 10**6:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size in GiB")
    return int(text)


def seconds(text: str) -> float:
    """Read a time in seconds, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time in seconds")
    return number


def age(text: str) -> float:
    """Read an age in seconds, which may be none, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"'{text}' is no age in seconds")
    return number


def count(text: str) -> int:
    """Read a number of machines, for argparse."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is not 1 to 999")
    return int(text)


def ip_version(text: str) -> int:
    """Read a version of IP, for argparse."""
    if text not in ('4', '6'):
        raise argparse.ArgumentTypeError(f"'{text}' is neither 4 nor 6")
    return int(text)


def boolean(text: object) -> bool:
    """Read a yes or no of YAML, which may come as a text."""
    known = {'true': True, 'yes': True, 'false': False, 'no': False}
    try:
        return known[str(text).lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is neither true nor false"
        ) from None


#: As argparse calls it.
path = files.path


def _texts(value: object) -> tuple[str, ...]:
    """Read one text or a list of them."""
    items = value if isinstance(value, list) else [value]
    return tuple(str(i) for i in items)


def _pairs(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise argparse.ArgumentTypeError('not a mapping')
    return {str(k): str(v) for k, v in value.items()}


#: Fields of a CreateRequest that clouds.yaml may set, by the option's name
#: there, and how to read the value.
_DEFAULTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    'access': ('access', str),
    'allow_cidr': ('allow_cidrs', _texts),
    'availability_zone': ('availability_zone', str),
    'boot_from_volume': ('boot_from_volume', lambda v: gibibytes(str(v))),
    'config_drive': ('config_drive', boolean),
    'context': ('context', boolean),
    'data_volume': ('data_volume', lambda v: gibibytes(str(v))),
    'engine_env': ('engine_env', engine_options.pairs),
    'engine_insecure_registry': ('engine_insecure_registry', _texts),
    'engine_label': ('engine_label', engine_options.pairs),
    'engine_opt': ('engine_opt', engine_options.flags),
    'engine_port': ('engine_port', lambda v: port_number(str(v))),
    'engine_registry_mirror': ('engine_registry_mirror', _texts),
    'engine_source': ('engine_source', str),
    'engine_storage_driver': ('engine_storage_driver', str),
    'engine_version': ('engine_version', str),
    'external_network': ('external_network', str),
    'flavor': ('flavor', str),
    'http_proxy': ('http_proxy', engine_options.Hidden),
    'https_proxy': ('https_proxy', engine_options.Hidden),
    'image': ('image', str),
    'key_name': ('key_name', str),
    'ip_version': ('ip_version', lambda v: ip_version(str(v))),
    'keep_on_failure': ('keep_on_failure', boolean),
    'network': ('nics', lambda v: [{'network': n} for n in _texts(v)]),
    'no_floating_ip': ('no_floating_ip', boolean),
    'no_proxy': ('no_proxy', str),
    'post_script': ('post_script', str),
    'property': ('properties', _pairs),
    'registry_ca': ('registry_ca', engine_options.pairs),
    'security_group': ('security_groups', _texts),
    'server_group': ('server_group', str),
    'ssh_key': ('ssh_key', path),
    'ssh_port': ('ssh_port', lambda v: port_number(str(v))),
    'ssh_user': ('ssh_user', str),
    'tag': ('tags', _texts),
    'timeout': ('timeout', lambda v: seconds(str(v))),
    'tls_san': ('tls_sans', _texts),
    'volume_type': ('volume_type', str),
}

#: What is set on the command line makes these defaults meaningless.
_OVERRIDES = {
    'security_groups': ('allow_cidrs',),
    'allow_cidrs': ('security_groups',),
    'no_floating_ip': ('external_network',),
    'floating_ip': ('no_floating_ip', 'external_network', 'ip_version'),
    'external_network': ('no_floating_ip', 'ip_version'),
    'engine_source': ('engine_version',),
}


def request(given: Mapping[str, Any], configured: object) -> CreateRequest:
    """Put the options together.

    :param given: fields of a CreateRequest; None where nothing was said.
    :param configured: the value of docker_machine in clouds.yaml.
    :raises InvalidRequest: for a default that is unknown or not understood.
    """
    from dockermachine_osc.nics import Nic
    from dockermachine_osc.request import CreateRequest

    said = {k: v for k, v in given.items() if v is not None}
    values = _configured(configured)
    for option in said:
        for field in _OVERRIDES.get(option, ()):
            values.pop(field, None)
    if said.get('ip_version') == 6:
        # Floating IPs are IPv4.
        values.pop('external_network', None)
    if all('port' in nic for nic in said.get('nics', [{}])):
        # The groups of ports that are there already are as they are.
        for field in ('security_groups', 'allow_cidrs'):
            values.pop(field, None)
    values |= said
    _drop_meaningless(values, said)
    volumes = {'boot_from_volume', 'data_volume'} & values.keys()
    if not volumes and 'volume_type' not in said:
        # As a default it is for those who ask for a volume.
        values.pop('volume_type', None)
    values['nics'] = tuple(Nic(**nic) for nic in values.get('nics', ()))
    values['properties'] = {
        **_configured(configured).get('properties', {}),
        **said.get('properties', {}),
    }
    values.update(_of_the_engine(said, configured))
    known = {f.name for f in dataclasses.fields(CreateRequest)}
    return CreateRequest(**{k: v for k, v in values.items() if k in known})


def adopt_request(
    given: Mapping[str, Any], configured: object
) -> AdoptRequest:
    """Put the options of adopt together.

    How to log in to a server that is there already is ssh's affair, so the
    defaults for new servers do not apply to that.
    """
    from dockermachine_osc.request import AdoptRequest

    known = {f.name for f in dataclasses.fields(AdoptRequest)}
    values = {
        key: value
        for key, value in _configured(configured).items()
        if key in known and not key.startswith('ssh_')
    }
    said = {k: v for k, v in given.items() if v is not None}
    values |= {k: v for k, v in said.items() if k in known}
    _drop_meaningless(values, said)
    values |= _of_the_engine(said, configured)
    return AdoptRequest(**values)


def _of_the_engine(
    said: Mapping[str, Any], configured: object
) -> dict[str, Any]:
    """Make fields of a request of what is said about the engine."""
    defaults = _configured(configured)
    values = {**defaults, **said}
    for name in engine_options.MAPPINGS:
        values[name] = {**defaults.get(name, {}), **said.get(name, {})}
    return {
        'engine_options': engine_options.gathered(values),
        'post_script': engine_options.post_script(values),
    }


def _drop_meaningless(values: dict[str, Any], said: Mapping[str, Any]) -> None:
    """Drop defaults of the engine's port where it is to have none."""
    if values.get('access') == 'ssh':
        for field in {'engine_port', 'tls_sans'} - set(said):
            values.pop(field, None)


def _configured(configured: object) -> dict[str, Any]:
    if not configured:
        return {}
    if not isinstance(configured, Mapping):
        raise InvalidRequest(f'{_WHERE} is not a mapping of options')
    values = {}
    for option, value in configured.items():
        if option not in _DEFAULTS:
            raise InvalidRequest(
                f"{_WHERE}: '{option}' is not known",
                f'Known are: {", ".join(sorted(_DEFAULTS))}',
            )
        field, read = _DEFAULTS[option]
        if value is None:
            continue  # as if it were not there
        try:
            values[field] = read(value)
        except argparse.ArgumentTypeError as error:
            raise InvalidRequest(f'{_WHERE}: {option}: {error}') from None
    return values
