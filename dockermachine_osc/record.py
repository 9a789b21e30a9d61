# SPDX-License-Identifier: Apache-2.0
"""What the cloud remembers of a machine: Nova metadata and resource marks.

A machine is a Nova server that carries :data:`TAG` (so that Nova can filter
on it) and the metadata items of :class:`Record`. Everything else that is made
for it carries its :func:`mark` as description from the call that makes it, so
that it can be found after a crash at any instant and from any workstation.

Anyone in the project can write metadata and descriptions, so what is read
back is untrusted: a value that does not fit its field is dropped and named in
:attr:`Record.problems`.

Nova allows 255 characters a value, and letters, digits and ``-_:.`` and space
in keys: https://docs.openstack.org/api-ref/compute/#create-server-metadata
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping

from dockermachine_osc.errors import InvalidRequest

#: The server tag by which Nova finds our servers (microversion 2.26).
TAG = 'docker-machine'
#: Every metadata key of ours starts with this.
PREFIX = 'docker-machine:'
SCHEMA = '1'
#: Begins the problem of a record that is of another time.
_NEWER = 'written by a newer release'
VALUE_LIMIT = 255

#: Where a machine comes from; only what was created is ever deleted.
CREATED, ADOPTED, IMPORTED = 'created', 'adopted', 'imported'

#: Life of a machine as far as this tool has brought it.
CREATING, READY = 'creating', 'ready'
#: Of a create that failed, and was asked to leave what it had made.
KEPT = 'kept'

_MARK = re.compile(
    r'docker-machine ([0-9a-f]{32}) ([A-Za-z0-9][A-Za-z0-9.-]*)'
)
_ID = re.compile(r'[0-9a-f]{32}')
_HOST_KEY = re.compile(r'[a-z0-9@.-]{1,50} [A-Za-z0-9+/]{1,250}={0,2}')
_PRINTABLE = re.compile(r'[\x20-\x7e]{0,255}')
_WORD = re.compile(r'[A-Za-z0-9._+~:@/-]{0,128}')
_TIME = re.compile(r'[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}Z')


def new_machine_id() -> str:
    """Make the id that marks everything of one machine (32 hex digits)."""
    return uuid.uuid4().hex


def mark(machine_id: str, name: str) -> str:
    """Give the description that says whose a port or floating IP is."""
    return f'docker-machine {machine_id} {name}'


def read_mark(description: str | None) -> tuple[str, str] | None:
    """Read a description back into (machine id, machine name), or None."""
    # Not only its text but its type is the cloud's word.
    found = _MARK.fullmatch(str(description or ''))
    return (found[1], found[2]) if found else None


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address, of no zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # An IPv6 zone may be any text, and is of no use elsewhere.
    return '%' not in text


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_line(text: str) -> bool:
    return len(text) <= VALUE_LIMIT and text.isprintable()


def _is_port(text: str) -> bool:
    return re.fullmatch(r'[0-9]{1,5}', text) is not None and (
        0 < int(text) < 65536
    )


def is_uuid(text: str) -> bool:
    """Tell whether a text is an id as OpenStack writes them."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def is_id(text: str) -> bool:
    """Tell whether a text may be the id of a machine or of a server."""
    return bool(_ID.fullmatch(text)) or is_uuid(text)


@dataclasses.dataclass(frozen=True)
class Record:
    """A machine as its server's metadata has it; '' means not known.

    Ports are numbers, times UTC in ISO 8601, fingerprints SHA-256 in hex,
    ``host_key`` is one line as in a known_hosts file without the host,
    ``tls_sans`` a comma list of what was given as --tls-san, ``timeout`` how
    many seconds the create was given, 0 if there was none.
    """

    id: str = ''
    origin: str = CREATED
    state: str = CREATING
    timeout: int = 0
    access: str = 'tls'
    address: str = ''
    engine_port: int = 2376
    engine_version: str = ''
    engine_source: str = ''
    ssh_user: str = ''
    ssh_port: int = 22
    host_key: str = ''
    image: str = ''
    tls_sans: str = ''
    ca_fingerprint: str = ''
    server_fingerprint: str = ''
    client_fingerprint: str = ''
    ca_expires: str = ''
    server_expires: str = ''
    client_expires: str = ''
    port_id: str = ''
    floating_ip_id: str = ''
    security_group_id: str = ''
    problems: tuple[str, ...] = ()

    def to_metadata(self) -> dict[str, str]:
        """Give the metadata items.

        What Nova would not take or we not read back is left out.
        """
        items = {f'{PREFIX}schema': SCHEMA}
        for field, fits in _CHECKS.items():
            text = str(getattr(self, field))
            if text and len(text) <= VALUE_LIMIT and fits(text):
                items[_key(field)] = text
        return items

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, object]) -> Record:
        """Read untrusted metadata; what does not fit becomes a problem."""
        values: dict[str, str | int] = {}
        problems = []
        for field, fits in _CHECKS.items():
            raw = metadata.get(_key(field))
            if raw is None:
                continue
            if not isinstance(raw, str) or not fits(raw):
                problems.append(f'{_key(field)} is not understood')
                continue
            number = isinstance(getattr(cls, field), int)
            values[field] = int(raw) if number else raw
        origin = metadata.get(_key('origin'))
        if 'id' not in values or origin not in (None, CREATED, IMPORTED):
            # What cannot be read must not cost somebody a server.
            values['origin'] = ADOPTED
        schema = metadata.get(f'{PREFIX}schema')
        if _is_newer(schema):
            problems.append(f'{_NEWER}: {PREFIX}schema is {schema}')
        elif schema != SCHEMA:
            problems.append(f'{PREFIX}schema is not {SCHEMA}')
        return cls(problems=tuple(problems), **values)  # type: ignore[arg-type]

    @property
    def newer(self) -> bool:
        """Whether a newer release has written it."""
        return any(problem.startswith(_NEWER) for problem in self.problems)

    def check_release(self, machine: str) -> None:
        """Refuse to change what only a newer release understands.

        :raises InvalidRequest: it is of one.
        """
        if self.newer:
            raise InvalidRequest(
                f"Machine '{machine}' is one of a newer release, as its "
                'metadata says; this one can show and delete it',
                'Upgrade dockermachine-osc on this workstation',
            )

    @property
    def server_stays(self) -> bool:
        """Whether the server was there before, and outlives the machine."""
        return self.origin != CREATED

    def replace(self, **changes: str | int) -> Record:
        """Give a copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def is_machine(metadata: Mapping[str, object]) -> bool:
    """Tell whether a server's metadata says that it is a machine of ours."""
    machine_id = metadata.get(_key('id'))
    return isinstance(machine_id, str) and bool(_ID.fullmatch(machine_id))


def _is_newer(schema: object) -> bool:
    fits = isinstance(schema, str) and re.fullmatch('[0-9]{1,9}', schema)
    return bool(fits) and int(str(schema)) > int(SCHEMA)


def _key(field: str) -> str:
    return PREFIX + field.replace('_', '-')


_FINGERPRINT = _matches(re.compile(r'[0-9a-f]{64}'))
_CHECKS: dict[str, Callable[[str], bool]] = {
    'id': _matches(_ID),
    'origin': {CREATED, ADOPTED, IMPORTED}.__contains__,
    'state': {CREATING, READY, KEPT}.__contains__,
    'timeout': _matches(re.compile(r'[1-9][0-9]{0,6}')),
    'access': {'tls', 'ssh'}.__contains__,
    'address': is_address,
    'engine_port': _is_port,
    'engine_version': _matches(_WORD),
    'engine_source': _matches(_PRINTABLE),
    'ssh_user': _matches(re.compile(r'[A-Za-z_][A-Za-z0-9._-]{0,31}')),
    'ssh_port': _is_port,
    'host_key': _matches(_HOST_KEY),
    'image': _is_line,
    'tls_sans': _matches(re.compile(r'[A-Za-z0-9.:,-]{0,255}')),
    'ca_fingerprint': _FINGERPRINT,
    'server_fingerprint': _FINGERPRINT,
    'client_fingerprint': _FINGERPRINT,
    'ca_expires': _is_time,
    'server_expires': _is_time,
    'client_expires': _is_time,
    'port_id': is_uuid,
    'floating_ip_id': is_uuid,
    'security_group_id': is_uuid,
}
