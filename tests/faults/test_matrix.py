# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong at whatever call: nothing is left, no run lies.

A class for each command and fault, so that workers share them well.
"""

from __future__ import annotations

from oslotest import base

from tests.faults import matrix
from tests.faults.faults import FAULTS
from tests.faults.scenes import SCENES


class ColumnTest(base.BaseTestCase):
    """One fault at each call of one command."""

    command = fault = ''

    def check(self) -> None:
        problems = [
            f'{cell.call}: {cell.outcome}\n{cell.problem}'
            for cell in matrix.column(self.command, self.fault)
            if cell.problem
        ]
        self.assertEqual([], problems, '\n\n'.join(problems))


def _tests(command: str, fault: str) -> type:
    words = f'{command} {fault}'.title().replace(' ', '')
    body = {'command': command, 'fault': fault, '__module__': __name__}
    return type(words, (ColumnTest,), body | {'test': ColumnTest.check})


for _command in SCENES:
    for _fault in FAULTS:
        _test = _tests(_command, _fault)
        globals()[_test.__name__] = _test
