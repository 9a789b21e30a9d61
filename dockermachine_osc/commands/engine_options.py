# SPDX-License-Identifier: Apache-2.0
"""The engine's options, as create, adopt and set take them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from osc_lib.cli import parseractions

from dockermachine_osc.commands import files
from dockermachine_osc.errors import InvalidRequest

if TYPE_CHECKING:
    from dockermachine_osc.engine import EngineOptions

#: In bytes; it travels with the certificates.
_SCRIPT_LIMIT = 1 << 20
#: Options whose keys from the command line come to those of clouds.yaml.
MAPPINGS = ('engine_label', 'engine_env', 'registry_ca')
NAMES = (
    *MAPPINGS,
    'engine_insecure_registry',
    'engine_registry_mirror',
    'engine_storage_driver',
    'engine_opt',
    'http_proxy',
    'https_proxy',
    'no_proxy',
)


class Hidden(str):
    """A text that does not show among all that was given, as by --debug."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that set something."""
    _add_pairs(
        parser,
        '--engine-label',
        '<key=value>',
        'Label of the engine (repeat for several)',
    )
    parser.add_argument(
        '--engine-env',
        metavar='<key[=value]>',
        action=_Variable,
        help='Variable in the environment of the engine; without a value it '
        'is the one that you have, which keeps a secret off the command line '
        '(repeat for several)',
    )
    _add_list(
        parser,
        '--engine-insecure-registry',
        '<registry>',
        'Registry, as host[:port] or network, that the engine talks to '
        'without a trusted certificate (repeat for several)',
    )
    _add_list(
        parser,
        '--engine-registry-mirror',
        '<url>',
        'Mirror of Docker Hub to ask first (repeat for several)',
    )
    parser.add_argument(
        '--engine-storage-driver',
        metavar='<driver>',
        help="Storage driver of the engine (default: the engine's choice); "
        'what an engine holds in another driver is not seen with this one',
    )
    _add_list(
        parser,
        '--engine-opt',
        '<key[=value]>',
        "Any other option of dockerd, without its '--' (repeat for several)",
    )
    for name, what in (('http', 'http://'), ('https', 'https://')):
        parser.add_argument(
            f'--{name}-proxy',
            metavar='<url>',
            type=Hidden,
            help=f'Proxy for {what} of the installation and of the engine',
        )
    parser.add_argument(
        '--no-proxy',
        metavar='<names>',
        help='Names, addresses and networks to reach without a proxy, apart '
        'by commas',
    )
    _add_pairs(
        parser,
        '--registry-ca',
        '<host[:port]=file>',
        'CA certificates (PEM) to trust for a registry, kept in '
        '/etc/docker/certs.d (repeat for several)',
    )


def add_post_script(parser: argparse.ArgumentParser) -> None:
    """Add the option for what is done when the engine is there."""
    parser.add_argument(
        '--post-script',
        metavar='<file>',
        help='Script or program to run once as root on the host when the '
        'engine has started; it goes there over SSH and may hold secrets',
    )


def _add_pairs(
    parser: argparse.ArgumentParser, name: str, metavar: str, text: str
) -> None:
    parser.add_argument(
        name,
        metavar=metavar,
        action=parseractions.KeyValueAction,
        help=text,
    )


def _add_list(
    parser: argparse.ArgumentParser, name: str, metavar: str, text: str
) -> None:
    parser.add_argument(name, metavar=metavar, action='append', help=text)


class _Variable(parseractions.KeyValueAction):
    """Takes the value from our own environment if none is given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if isinstance(values, str) and '=' not in values:
            if values not in os.environ:
                parser.error(
                    f"argument {option_string}: '{values}' is not set here; "
                    'give key=value'
                )
            values = f'{values}={os.environ[values]}'
        super().__call__(parser, namespace, values, option_string)
        given = getattr(namespace, self.dest)
        given.update({key: Hidden(value) for key, value in given.items()})


def pairs(value: object) -> dict[str, str]:
    """Read a mapping, or a list of 'key=value', of clouds.yaml."""
    if isinstance(value, Mapping):
        return {str(k): str(v) for k, v in value.items()}
    items = [str(i) for i in value] if isinstance(value, list) else []
    if not items or not all('=' in item for item in items):
        raise argparse.ArgumentTypeError('not a mapping')
    return dict(item.split('=', 1) for item in items)


def flags(value: object) -> list[str]:
    """Read flags of clouds.yaml, as a mapping or as texts."""
    if isinstance(value, Mapping):
        return [f'{k}={v}' for k, v in value.items()]
    return [str(i) for i in value] if isinstance(value, list) else [str(value)]


def gathered(values: Mapping[str, Any]) -> EngineOptions:
    """Make the options of what was given, by the names in NAMES.

    :raises InvalidRequest: for what cannot be meant, or read.
    """
    from dockermachine_osc.engine import EngineOptions
    from dockermachine_osc.engine.options import check_registry

    cas = values.get('registry_ca') or {}
    for registry in cas:
        check_registry(registry)
    return EngineOptions(
        labels=values.get('engine_label') or {},
        env=values.get('engine_env') or {},
        insecure_registries=_once(values.get('engine_insecure_registry')),
        registry_mirrors=_once(values.get('engine_registry_mirror')),
        storage_driver=values.get('engine_storage_driver') or '',
        opts=tuple(values.get('engine_opt') or ()),
        http_proxy=values.get('http_proxy') or '',
        https_proxy=values.get('https_proxy') or '',
        no_proxy=values.get('no_proxy') or '',
        registry_cas={
            registry: files.read(f'--registry-ca {registry}', file)
            for registry, file in cas.items()
        },
    )


def post_script(values: Mapping[str, Any]) -> bytes:
    """Read the script, nothing if there is none.

    :raises InvalidRequest: if it cannot be read, is empty, or too long.
    """
    file = values.get('post_script')
    if not file:
        return b''
    content = files.read('--post-script', file)
    if not 0 < len(content) <= _SCRIPT_LIMIT:
        raise InvalidRequest(
            f'--post-script {file}: it is {len(content)} bytes long; '
            f'1 to {_SCRIPT_LIMIT} are carried'
        )
    return content


def _once(items: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items or ()))
