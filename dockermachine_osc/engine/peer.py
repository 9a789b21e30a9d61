# SPDX-License-Identifier: Apache-2.0
"""The certificate that an engine shows, trusted or not."""

from __future__ import annotations

import pathlib
import socket
import ssl

from dockermachine_osc.engine.client import EngineUnreachable


def shown_certificate(
    address: str, port: int, folder: pathlib.Path, timeout: float
) -> bytes:
    """Read the certificate that is shown at an engine's port, to show it.

    Nothing is verified and nothing is sent: an expired or foreign
    certificate is just what somebody may want to see.

    :param folder: has cert.pem and key.pem, without which engines hang up.
    :param timeout: seconds.
    :returns: PEM.
    :raises EngineUnreachable: if there is none to be seen.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
        with (
            socket.create_connection((address, port), timeout) as plain,
            context.wrap_socket(plain) as wrapped,
        ):
            shown = wrapped.getpeercert(binary_form=True)
    except (OSError, ssl.SSLError) as error:
        raise EngineUnreachable(
            f'No certificate is to be seen at {address} port {port}: {error}'
        ) from error
    return ssl.DER_cert_to_PEM_cert(shown or b'').encode()
