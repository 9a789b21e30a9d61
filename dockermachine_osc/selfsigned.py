# SPDX-License-Identifier: Apache-2.0
"""A certificate that a host makes for itself: asked for, and accepted.

A host that boots can have a key before anybody has logged in: it makes one,
which never leaves it, and shows a certificate of it. What that is to say is
asked for beforehand, so that what is shown can be compared with it.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from collections.abc import Sequence

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from dockermachine_osc import certnames, pki

#: X.509's GeneralizedTime, in which the host is told the dates.
_TIME = '%Y%m%d%H%M%SZ'
#: What reading or checking a certificate of anybody may raise.
_UNUSABLE = (
    ValueError,
    TypeError,
    exceptions.InvalidSignature,
    exceptions.UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a host is asked to put into its certificate; times are in UTC.

    The dates come from here: the clock of a host that boots may be wrong.
    """

    names: tuple[x509.GeneralName, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime

    def render(self) -> str:
        """Give the dates and the names as `openssl ca` takes them."""
        dates = (f'{d:{_TIME}}' for d in (self.not_before, self.not_after))
        return ' '.join([*dates, ','.join(map(_rendered, self.names))])


def ask(names: Sequence[str]) -> Asked:
    """Ask for a certificate as the machine's own CA would issue it.

    :param names: DNS names and addresses under which clients reach the
        engine.
    :raises InvalidRequest: a name is neither.
    """
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return Asked(
        tuple(certnames.alternatives([*names, *certnames.LOCAL])),
        now - pki.CLOCK_SKEW,
        now + pki.LEAF_LIFETIME,
    )


def accepted(der: bytes, asked: Asked) -> bytes | None:
    """Give a certificate as PEM if it is what was asked for, else None.

    It signs nothing but itself, so who trusts it trusts one key for these
    names and no other.

    :param der: anything.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(certificate)
        if not _is_asked_for(certificate, asked):
            return None
    except _UNUSABLE:
        return None
    return certificate.public_bytes(serialization.Encoding.PEM)


def _is_asked_for(certificate: x509.Certificate, asked: Asked) -> bool:
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName)
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    key = certificate.public_key()
    return (
        isinstance(key, ec.EllipticCurvePublicKey)
        and isinstance(key.curve, ec.SECP256R1)
        and set(names.value) == set(asked.names)
        and not constraints.value.ca
        and list(usage.value) == [ExtendedKeyUsageOID.SERVER_AUTH]
        and certificate.not_valid_before_utc == asked.not_before
        and certificate.not_valid_after_utc == asked.not_after
    )


def _rendered(name: x509.GeneralName) -> str:
    address = isinstance(
        name.value, (ipaddress.IPv4Address, ipaddress.IPv6Address)
    )
    return f'{"IP" if address else "DNS"}:{name.value}'
