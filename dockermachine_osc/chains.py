# SPDX-License-Identifier: Apache-2.0
"""Whether certificates of another program's making belong together."""

from __future__ import annotations

import datetime

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import serialization

from dockermachine_osc.errors import StoreFailure

_UNREADABLE = (ValueError, TypeError, exceptions.UnsupportedAlgorithm)


def check(ca: bytes, certificate: bytes, key: bytes) -> None:
    """Make sure that a client certificate is of its CA and key, and valid.

    :param ca: PEM, as are certificate and key.
    :raises StoreFailure: one is damaged, expired, or of another pair.
    """
    authority = _certificate(ca, 'CA')
    client = _certificate(certificate, 'client certificate')
    _check_time(authority, 'CA')
    _check_time(client, 'client certificate')
    if not _is_authority(authority):
        raise StoreFailure('What stands as its CA is no CA')
    if not _is_pair(client, key):
        raise StoreFailure(
            'Its client certificate and the key of that do not belong together'
        )
    try:
        client.verify_directly_issued_by(authority)
    except (*_UNREADABLE, exceptions.InvalidSignature) as error:
        raise StoreFailure(
            'Its client certificate was not issued by its CA'
        ) from error


def is_key_of(certificate: bytes, key: bytes) -> bool:
    """Tell whether a private key is that of a certificate.

    :raises StoreFailure: the certificate is damaged.
    """
    return _is_pair(_certificate(certificate, 'CA'), key)


def is_strict(ca: bytes) -> bool:
    """Tell whether a CA has what the strict checks of RFC 5280 look for.

    :raises StoreFailure: it is damaged.
    """
    extensions = _certificate(ca, 'CA').extensions
    try:
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return False
    return True


def _certificate(pem: bytes, what: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise StoreFailure(f'Its {what} is damaged') from error


def _check_time(certificate: x509.Certificate, what: str) -> None:
    now = datetime.datetime.now(datetime.UTC)
    if now > certificate.not_valid_after_utc:
        raise StoreFailure(
            f'Its {what} expired on {certificate.not_valid_after_utc:%Y-%m-%d}'
        )
    if now < certificate.not_valid_before_utc:
        raise StoreFailure(f'Its {what} is not valid yet')


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(
            x509.BasicConstraints
        )
    except (x509.ExtensionNotFound, ValueError):
        return False
    return found.value.ca


def _is_pair(certificate: x509.Certificate, key: bytes) -> bool:
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except _UNREADABLE:
        return False
    return private.public_key() == certificate.public_key()
