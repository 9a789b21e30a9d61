# SPDX-License-Identifier: Apache-2.0
"""What is said about the engine beside where it comes from: its options.

They stand on the host in /etc/docker-machine/options, which only root can
read, a line each: a word, a space, and the value as it was given. The set-up
there makes flags of dockerd and its environment of them; the names of the
flags are those of
https://docs.docker.com/reference/cli/dockerd/#daemon-cli-reference.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping

from dockermachine_osc import errors

#: Of everything together, in characters, CAs in base64 included.
LIMIT = 512 * 1024
#: Of one registry's CA file, in bytes.
CA_LIMIT = 65536

_LABEL = re.compile(r'[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?')
_VARIABLE = re.compile(r'[A-Za-z_][A-Za-z0-9_]{0,127}')
_FLAG = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]+)+|[a-z][a-z0-9]+')
_DRIVER = re.compile(r'[a-z0-9][a-z0-9_.-]{0,31}')
_HOST = (
    r'(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?'
    r'|\[[0-9A-Fa-f:.]{2,45}\])'
)
_REGISTRY = re.compile(rf'{_HOST}(:[0-9]{{1,5}})?')
_NETWORK = re.compile(r'[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}')
_PROXY = re.compile(
    rf"https?://(?P<user>[A-Za-z0-9._~!$&'()*+,;=:%-]{{1,512}}@)?"
    rf'{_HOST}(:[0-9]{{1,5}})?/?'
)
_NO_PROXY = re.compile(r'[A-Za-z0-9.*:/_\[\]-]+(, ?[A-Za-z0-9.*:/_\[\]-]+)*')
_MIRROR = re.compile(rf'https?://{_HOST}(:[0-9]{{1,5}})?(/[!-~]*)?')

_OURS = 'is set by this tool'
#: Flags that --engine-opt does not take, and why.
_REFUSED = {
    'config-file': 'belongs to the host',
    'containerd': 'belongs to the host',
    'exec-root': 'belongs to the host',
    'graph': 'is data-root by its old name',
    'help': 'is no setting',
    'host': _OURS,
    'insecure-registry': 'has an option: --engine-insecure-registry',
    'label': 'has an option: --engine-label',
    'http-proxy': 'has an option: --http-proxy',
    'https-proxy': 'has an option: --https-proxy',
    'no-proxy': 'has an option: --no-proxy',
    'pidfile': 'belongs to the host',
    'registry-mirror': 'has an option: --engine-registry-mirror',
    'storage-driver': 'has an option: --engine-storage-driver',
    'validate': 'is no setting',
    'version': 'is no setting',
}
# What systemd tells the engine, and the unit's own way to flags.
_OUR_VARIABLES = re.compile(
    r'LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|WATCHDOG_(PID|USEC)'
    r'|DOCKER_OPTS|DOCKER_TLS.*'
)
# What lies below the second ones is not for an engine's data, either.
_SYSTEM_FOLDER = re.compile(
    r'/((bin|boot|home|lib|lib64|root|sbin|usr|var|tmp|var/(lib|run))'
    r'|(dev|etc|proc|run|sys)(/.*)?)?'
)


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """The options of one engine; nothing said is nothing changed.

    :param opts: further flags of dockerd, 'name' or 'name=value'.
    :param registry_cas: PEM by the registry's 'host' or 'host:port'.
    :raises InvalidRequest: for a value that cannot be meant.
    """

    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    env: Mapping[str, str] = dataclasses.field(
        default_factory=dict, repr=False
    )
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    storage_driver: str = ''
    opts: tuple[str, ...] = ()
    http_proxy: str = dataclasses.field(default='', repr=False)
    https_proxy: str = dataclasses.field(default='', repr=False)
    no_proxy: str = ''
    registry_cas: Mapping[str, bytes] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for check in _CHECKS:
            check(self)
        text = self.render()
        if len(text) > LIMIT:
            raise errors.InvalidRequest(
                f'The options of the engine are {len(text)} characters long; '
                f'more than {LIMIT} are not carried'
            )

    def __bool__(self) -> bool:
        return self != NO_OPTIONS

    def render(self) -> str:
        """Give the lines that stand on the host; they may hold secrets."""
        return ''.join(f'{line}\n' for line in self._lines())

    def _lines(self) -> Iterator[str]:
        for key, value in self.labels.items():
            yield f'label {key}={value}'
        for registry in self.insecure_registries:
            yield f'insecure-registry {registry}'
        for mirror in self.registry_mirrors:
            yield f'registry-mirror {mirror}'
        if self.storage_driver:
            yield f'storage-driver {self.storage_driver}'
        for opt in self.opts:
            yield f'opt {opt}'
        for name in PROXIES:
            if value := getattr(self, name):
                yield f'{name.replace("_", "-")} {value}'
        for key, value in self.env.items():
            yield f'env {key}={value}'
        for registry, pem in self.registry_cas.items():
            yield f'registry-ca {registry} {base64.b64encode(pem).decode()}'

    @classmethod
    def parse(cls, lines: Iterable[str]) -> EngineOptions:
        """Read what :meth:`render` gave.

        :raises EngineFailure: for lines of another making.
        """
        found: dict[str, list[str]] = {}
        for line in lines:
            word, _, value = line.partition(' ')
            found.setdefault(word, []).append(value)
        try:
            if unknown := found.keys() - _WORDS:
                raise ValueError(f"'{sorted(unknown)[0][:40]}' is not known")
            return cls(
                labels=_pairs(found, 'label'),
                env=_pairs(found, 'env'),
                insecure_registries=_all(found, 'insecure-registry'),
                registry_mirrors=_all(found, 'registry-mirror'),
                storage_driver=_last(found, 'storage-driver'),
                opts=_all(found, 'opt'),
                http_proxy=_last(found, 'http-proxy'),
                https_proxy=_last(found, 'https-proxy'),
                no_proxy=_last(found, 'no-proxy'),
                registry_cas=dict(map(_ca, _all(found, 'registry-ca'))),
            )
        except (ValueError, errors.InvalidRequest) as error:
            raise errors.EngineFailure(
                f'The options on the host are damaged: {error}',
                'See them: /etc/docker-machine/options on the host',
            ) from error

    def proxies(self) -> EngineOptions:
        """Give what an installer has to know, and nothing else."""
        return EngineOptions(**{name: getattr(self, name) for name in PROXIES})

    def proxies_are_secret(self) -> bool:
        """Tell whether a proxy's URL says who asks."""
        return '@' in self.http_proxy + self.https_proxy

    def kinds(self) -> list[str]:
        """Name what is set but the CAs, as the lines on the host do."""
        words = [line.partition(' ')[0] for line in self._lines()]
        return [w for w in dict.fromkeys(words) if w != 'registry-ca']

    def needs_restart(self, before: EngineOptions) -> bool:
        """Tell whether the engine has to start anew to take them up.

        The CAs of registries are read whenever a registry is asked.
        """
        cas = before.registry_cas
        return dataclasses.replace(self, registry_cas=cas) != before


PROXIES = ('http_proxy', 'https_proxy', 'no_proxy')
_WORDS = {
    'label',
    'env',
    'insecure-registry',
    'registry-mirror',
    'storage-driver',
    'opt',
    'http-proxy',
    'https-proxy',
    'no-proxy',
    'registry-ca',
}


def flag(opt: str) -> str:
    """Give the name of the flag of 'name=value'."""
    return opt.partition('=')[0]


def masked(url: str) -> str:
    """Give a proxy's URL without its password."""
    parts = urllib.parse.urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f':{parts.password}@', ':***@', 1)


# ------------------------------------------------------------------- reading


def _all(found: Mapping[str, list[str]], word: str) -> tuple[str, ...]:
    return tuple(found.get(word, ()))


def _last(found: Mapping[str, list[str]], word: str) -> str:
    return found.get(word, [''])[-1]


def _pairs(found: Mapping[str, list[str]], word: str) -> dict[str, str]:
    return {
        key: value
        for key, _, value in (x.partition('=') for x in _all(found, word))
    }


def _ca(text: str) -> tuple[str, bytes]:
    registry, _, encoded = text.partition(' ')
    try:
        return registry, base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(f'the CA of {registry[:80]} is cut off') from error


# ------------------------------------------------------------------ checking


def _refuse(option: str, value: str, why: str, hint: str = '') -> None:
    raise errors.InvalidRequest(f"{option} '{value[:80]}': {why}", hint)


def _check_text(option: str, key: str, value: str) -> None:
    if not value.isprintable():
        # The value may be a secret.
        _refuse(option, key, 'the value has control characters in it')


def _check_labels(options: EngineOptions) -> None:
    for key, value in options.labels.items():
        if not _LABEL.fullmatch(key):
            _refuse(
                '--engine-label',
                key,
                'a key has letters, digits, and ._/- between them',
            )
        _check_text('--engine-label', key, value)
        if not value:
            _refuse('--engine-label', key, 'the value is missing')


def _check_env(options: EngineOptions) -> None:
    for key, value in options.env.items():
        if not _VARIABLE.fullmatch(key):
            _refuse('--engine-env', key, 'that is no name of a variable')
        if _OUR_VARIABLES.fullmatch(key):
            _refuse(
                '--engine-env',
                key,
                'that belongs to the unit',
                'Flags of dockerd are given with --engine-opt',
            )
        _check_text('--engine-env', key, value)
        name = key.lower()
        if name in PROXIES and getattr(options, name):
            option = f'--{name.replace("_", "-")}'
            _refuse('--engine-env', key, f'contradicts {option}')


def _check_registries(options: EngineOptions) -> None:
    for registry in options.insecure_registries:
        if not (_REGISTRY.fullmatch(registry) or _NETWORK.fullmatch(registry)):
            _refuse(
                '--engine-insecure-registry',
                registry,
                'give HOST, HOST:PORT, or a network as in 192.0.2.0/24',
            )
    for mirror in options.registry_mirrors:
        if '@' in mirror:
            _refuse(
                '--engine-registry-mirror',
                _anonymous(mirror),
                'a mirror has no user and password: everybody on the host '
                'could read them',
            )
        if not _MIRROR.fullmatch(mirror):
            _refuse('--engine-registry-mirror', mirror, 'not an http(s) URL')
    driver = options.storage_driver
    if driver and not _DRIVER.fullmatch(driver):
        _refuse('--engine-storage-driver', driver, 'not the name of a driver')


def _check_opts(options: EngineOptions) -> None:
    for opt in options.opts:
        name, _, value = opt.partition('=')
        if not _FLAG.fullmatch(name):
            _refuse(
                '--engine-opt',
                name,
                "not the long name of a dockerd option, without '--'",
            )
        why = _OURS if name.startswith('tls') else _REFUSED.get(name)
        if why:
            _refuse('--engine-opt', name, f'that {why}')
        _check_text('--engine-opt', name, value)
        if name == 'data-root':
            _check_data_root(value)


def _check_data_root(folder: str) -> None:
    parts = [part for part in folder.split('/') if part]
    plain = '/' + '/'.join(parts)
    if (
        not folder.startswith('/')
        or '..' in parts
        or _SYSTEM_FOLDER.fullmatch(plain)
    ):
        _refuse(
            '--engine-opt',
            f'data-root={folder}',
            'give the full path of a folder of its own on a disk',
        )


def _check_proxies(options: EngineOptions) -> None:
    for name in ('http_proxy', 'https_proxy'):
        url = getattr(options, name)
        if url and not _PROXY.fullmatch(url):
            _refuse(
                f'--{name.replace("_", "-")}',
                _anonymous(url),
                'not a URL as in http://proxy.example.com:3128',
                'Encode what is special in a password as %XX',
            )
    names = options.no_proxy
    if names and not _NO_PROXY.fullmatch(names):
        _refuse(
            '--no-proxy',
            names,
            'give names, addresses and networks, apart by commas',
        )


def _anonymous(url: str) -> str:
    """Leave out what could be a password."""
    return re.sub(r'//.*@', '//***@', url)


def _check_cas(options: EngineOptions) -> None:
    for registry, pem in options.registry_cas.items():
        check_registry(registry)
        if len(pem) > CA_LIMIT:
            _refuse(
                '--registry-ca',
                registry,
                f'the file is {len(pem)} bytes long, more than {CA_LIMIT}',
            )


def check_registry(registry: str) -> None:
    """Raise InvalidRequest unless the text names a registry.

    It becomes the name of a folder: docs.docker.com/engine/security/
    certificates.
    """
    if not _REGISTRY.fullmatch(registry) or '..' in registry:
        _refuse('--registry-ca', registry, 'give HOST=FILE or HOST:PORT=FILE')


_CHECKS: tuple[Callable[[EngineOptions], None], ...] = (
    _check_labels,
    _check_env,
    _check_registries,
    _check_opts,
    _check_proxies,
    _check_cas,
)
#: Nothing said.
NO_OPTIONS = EngineOptions()
