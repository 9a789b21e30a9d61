# SPDX-License-Identifier: Apache-2.0
"""The SDK's exceptions in this package's words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from keystoneauth1 import exceptions as ksa_exceptions
from openstack import exceptions as sdk_exceptions

from dockermachine_osc import errors, files, plaintext

_TEXT_LIMIT = 500
_UNKNOWN_VERSION = 406
#: How Nova refuses what `openstack server lock` is against.
_LOCKED = re.compile(r'Instance ([0-9a-f-]{36}) is locked')


def plain(text: object) -> str:
    """Give what a cloud said on one line, safe for a terminal."""
    return plaintext.line(str(text))[:_TEXT_LIMIT]


class ApiError(errors.CloudFailure):
    """An answer of an OpenStack API that is an error.

    :ivar status: the HTTP status, 0 if there was no answer at all.
    """

    def __init__(self, message: str, hint: str = '', status: int = 0) -> None:
        super().__init__(message, hint)
        self.status = status
        self.refused = 400 <= status < 500 and status not in (401, 429)

    @property
    def passing(self) -> bool:
        """Whether asking again may help: no answer, 429, or 5xx."""
        return self.status in (0, 429) or self.status >= 500


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Raise an ApiError that says what could not be done, and why.

    :param what: completes 'Cannot ...', as in 'create port web1'.
    """
    try:
        yield
    except sdk_exceptions.HttpException as error:
        detail = plain(error.details or error.message or error)
        status = int(error.status_code or 0)
        raise ApiError(
            f'Cannot {what}: {detail}', _hint(status, detail), status
        ) from error
    except sdk_exceptions.SDKException as error:
        raise ApiError(f'Cannot {what}: {plain(error)}') from error
    except ksa_exceptions.ClientException as error:
        raise ApiError(
            f'Cannot {what}: {plain(error)}',
            status=int(getattr(error, 'http_status', 0) or 0),
        ) from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        # The SDK takes every answer for what the API promises.
        raise ApiError(
            f'Cannot {what}: the answer is not as the API has it '
            f'({type(error).__name__}: {plain(error)})',
            'See the answers: openstack --debug docker machine ...',
        ) from error


def _hint(status: int, detail: str) -> str:
    if 'quota' in detail.lower():
        return (
            'See what is in use: openstack limits show --absolute, '
            'openstack quota show --usage'
        )
    if status == _UNKNOWN_VERSION:
        return (
            'If this cloud has gone back to an older release: rm '
            f'{files.default_root()}/scopes/*/versions.json'
        )
    if locked := _LOCKED.search(detail):
        return (
            'That keeps it from being changed or deleted by mistake; to end '
            f'it: openstack server unlock {locked[1]}'
        )
    if status in (401, 403):
        return (
            'See who you are there: openstack token issue, and which roles '
            'you have: openstack role assignment list --names'
        )
    return ''
