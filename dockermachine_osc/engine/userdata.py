# SPDX-License-Identifier: Apache-2.0
"""The user data that set a new server's engine up while it boots."""

from __future__ import annotations

import base64
import dataclasses
import email.message
import email.mime.multipart
import email.mime.text
import functools
import gzip
import json
import shlex
import zlib

from dockermachine_osc import errors
from dockermachine_osc.engine import settings as engine_settings
from dockermachine_osc.engine.options import EngineOptions

#: Nova's limit, in bytes of base64 (nova/api/openstack/compute/schemas).
LIMIT = 65535
#: How long the user's own commands wait for the engine, in seconds.
HOLD = 180

_HEADER = '#cloud-config\n'
# What cloud-init tells a part's type by (cloudinit/handlers/__init__.py).
_BEGINNINGS = (
    b'#!',
    b'#cloud-config',
    b'#cloud-boothook',
    b'#include',
    b'#part-handler',
    b'## template: jinja',
)
# Not RSA's, which takes longer than the rest of cloud-init's first stage: any
# SSH of the last ten years knows these.
_HOST_KEYS = ['ecdsa', 'ed25519']
_INSTALL = ['sh', '/etc/docker-machine/setup.sh', 'install']
# Ours comes second and in front: whatever merge rule the user's own part has
# does not apply to it (cloudinit/handlers/cloud_config.py).
_MERGE = 'list(prepend)+dict(recurse_array)+str()'
_EARLY = (
    'umask 077; d=/etc/docker-machine; mkdir -p "$d" && '
    'printf %s "$1" | base64 -d | gzip -dc >"$d/setup.sh" && '
    'shift && exec sh "$d/setup.sh" early "$@"'
)


@dataclasses.dataclass(frozen=True)
class AtOnce:
    """How an engine that is in the image starts with the boot.

    :param self_signed: what the certificate of its own is to say, see
        :meth:`selfsigned.Asked.render`.
    :param ca: PEM; clients with a certificate of it are let in.
    """

    self_signed: str
    ca: bytes


def user_data(
    settings: engine_settings.EngineSettings,
    public_key: str,
    extra: bytes | None = None,
    options: EngineOptions | None = None,
    at_once: AtOnce | None = None,
) -> bytes:
    """Return user data for cloud-init; nothing in them is a secret.

    :param public_key: who holds its other half may log in as the image's
        default user.
    :param extra: the user's own user data, of any type that cloud-init knows.
    :param options: of the engine; of these only its proxies are in there, and
        none if one is a secret: then it is installed over SSH.
    :param at_once: not with `extra` or `options`: the engine does not wait
        until somebody hands over a certificate, if it is in the image.
    :raises InvalidRequest: `extra` is of no such type, or too long.
    """
    if extra:
        config = _cloud_config(settings, public_key, HOLD, options)
        data = _multipart(config, extra)
    else:
        config = _cloud_config(settings, public_key, 0, options, at_once)
        data = _text(config | {'runcmd': [_INSTALL]}).encode()
    if _encoded(data) > LIMIT:
        # cloud-init unpacks what is compressed as a whole.
        data = gzip.compress(data, mtime=0)
    if _encoded(data) > LIMIT:
        raise errors.InvalidRequest(
            f'The user data are {_encoded(data)} bytes long with what sets '
            f'up the engine; a server takes no more than {LIMIT}.',
            'Put the larger part where "#include" can fetch it.',
        )
    return data


def _encoded(data: bytes) -> int:
    return len(base64.b64encode(data))


def _cloud_config(
    settings: engine_settings.EngineSettings,
    public_key: str,
    hold: int,
    options: EngineOptions | None,
    at_once: AtOnce | None = None,
) -> dict[str, object]:
    key = engine_settings.plain_key(public_key)
    early = ['cloud-init-per', 'instance', 'docker-machine', 'sh', '-c']
    early += [_EARLY, 'sh', _packed_script()]
    proxies = (options or EngineOptions()).proxies()
    defer = proxies.proxies_are_secret()
    asked = at_once.self_signed if at_once else ''
    early.append(settings.render(key, hold, defer=defer, self_signed=asked))
    if at_once:
        early += ['', at_once.ca.decode()]
    elif proxies and not defer:
        early.append(proxies.render())
    return {
        'ssh_authorized_keys': [key],
        'ssh_genkeytypes': _HOST_KEYS,
        'bootcmd': [early],
    }


@functools.cache
def _packed_script() -> str:
    """Pack the script, which is the same for each machine and each look."""
    script = gzip.compress(engine_settings.boot_script(), 9, mtime=0)
    return base64.b64encode(script).decode()


def _text(config: dict[str, object]) -> str:
    """JSON is YAML, and has no surprises in it."""
    return _HEADER + json.dumps(config, indent=1) + '\n'


def _multipart(config: dict[str, object], extra: bytes) -> bytes:
    """Join theirs and ours.

    cloud-init runs scripts in the order of their file names. With a script
    of ours instead of a runcmd all of theirs find an engine, also the first.
    """
    whole = email.mime.multipart.MIMEMultipart()
    whole.attach(_extra_part(_decompressed(extra)))
    part = _own_part(_text(config), 'cloud-config', 'docker-machine')
    part['X-Merge-Type'] = _MERGE
    whole.attach(part)
    script = f'#!/bin/sh\nexec {shlex.join(_INSTALL)}\n'
    whole.attach(_own_part(script, 'x-shellscript', '00-docker-machine'))
    return whole.as_bytes()


def _own_part(text: str, kind: str, name: str) -> email.message.Message:
    part = email.mime.text.MIMEText(text, kind, 'us-ascii')
    part.add_header('Content-Disposition', 'attachment', filename=name)
    return part


def _extra_part(extra: bytes) -> email.message.Message:
    message = email.message_from_bytes(extra)
    if message.is_multipart():
        return message
    if not extra.lstrip().startswith(_BEGINNINGS):
        raise errors.InvalidRequest(
            'The user data are of no type that cloud-init knows.',
            'They begin with "#cloud-config", "#!" or another of its marks, '
            'or are a MIME multipart.',
        )
    # cloud-init finds the type out by itself, as it would without us.
    part = email.message.Message()
    part['Content-Type'] = 'text/plain'
    part['Content-Transfer-Encoding'] = 'base64'
    part.set_payload(base64.encodebytes(extra.lstrip()).decode())
    return part


def _decompressed(extra: bytes) -> bytes:
    """Unpack gzip, to no more than could be sent anyway."""
    if not extra.startswith(b'\x1f\x8b'):
        return extra
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(extra, 16 * LIMIT)
    except zlib.error as error:
        raise errors.InvalidRequest(
            f'The user data look like gzip and are damaged: {error}.'
        ) from error
    if not unpacker.eof:
        raise errors.InvalidRequest(
            'The user data are damaged, or far too long when unpacked.'
        )
    return text
