# SPDX-License-Identifier: Apache-2.0
"""What a command on a host prints, line by line and within bounds.

A host that somebody else has taken over may print for ever, and without ever
ending a line.
"""

from __future__ import annotations

from collections.abc import Callable

#: Bytes that are kept of one stream, and of one line.
LIMIT = 1 << 20


class Output:
    """Takes what comes, and keeps the beginning.

    :param on_line: is given each line as soon as it is whole.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._kept = bytearray()
        self._line = b''

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        self._kept += data[: max(0, LIMIT - len(self._kept))]
        *whole, self._line = (self._line + data).split(b'\n')
        # The rest of an overlong line is as if it had not been said.
        self._line = self._line[:LIMIT]
        for one in whole:
            self._on_line(one[:LIMIT].decode(errors='replace'))

    def end(self) -> str:
        """Give what was kept; the last line may have had no end."""
        if self._line:
            self._on_line(self._line.decode(errors='replace'))
        return self._kept.decode(errors='replace')
