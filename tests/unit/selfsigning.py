# SPDX-License-Identifier: Apache-2.0
"""A host that makes a certificate for itself, as it is asked to in user data.

With cryptography instead of openssl, and otherwise than asked if a test says
so.
"""

import base64
import datetime
import ipaddress

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'host')])


def told(user_data):
    """Give what the host is told to put in there, '' for nothing, and the CA.

    :param user_data: as Nova gets them.
    """
    config = yaml.safe_load(base64.b64decode(user_data))
    settings, *more = config['bootcmd'][0][8:]
    lines = dict(line.partition('=')[::2] for line in settings.splitlines())
    return lines.get('self_signed', ''), more[1] if more else ''


def make(asked, *, authority=False, curve=None, issuer=None, purpose=None):
    """Give a certificate as DER that says what was asked for, and its key."""
    begins, ends, names = asked.split(' ')
    key = ec.generate_private_key(curve or ec.SECP256R1())
    usage = purpose or ExtendedKeyUsageOID.SERVER_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(begins))
        .not_valid_after(_time(ends))
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.ExtendedKeyUsage([usage]), False)
        .add_extension(
            x509.SubjectAlternativeName([*map(_name, names.split(','))]), False
        )
    )
    made = builder.sign(issuer or key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER), key


def on_console(machine_id, der):
    """Give the line by which the host tells of it."""
    text = base64.b64encode(der).decode()
    return f'docker-machine {machine_id} certificate {text} end\n'


def _time(text):
    return datetime.datetime.strptime(text, '%Y%m%d%H%M%S%z')


def _name(text):
    kind, _, value = text.partition(':')
    if kind == 'IP':
        return x509.IPAddress(ipaddress.ip_address(value))
    return x509.DNSName(value)
