# SPDX-License-Identifier: Apache-2.0
"""Each test that the page about security names is there, and is run."""

import importlib
import inspect
import pathlib
import re

from oslotest import base

PAGE = (
    pathlib.Path(__file__).parents[2] / 'doc' / 'source' / 'user'
) / 'security.rst'
NAMED = re.compile(r'``(tests\.(?:[a-z_0-9]+\.)+)(\w+)\.(\w+)``')


def rows():
    """Give each promise with the tests that it names."""
    found = []
    table = PAGE.read_text().partition('What each promise rests on\n')[2]
    for line in table.splitlines():
        if line.startswith('   * - '):
            found.append((line.removeprefix('   * - '), []))
        elif found:
            found[-1][1].extend(NAMED.findall(line))
    return found[1:]


class SecurityPageTest(base.BaseTestCase):
    def test_every_promise_names_a_test(self):
        self.assertGreater(len(rows()), 20)
        for promise, tests in rows():
            self.assertTrue(tests, promise)

    def test_every_test_is_there(self):
        for promise, tests in rows():
            for module, kind, name in tests:
                where = importlib.import_module(module.rstrip('.'))
                case = getattr(where, kind)
                self.assertTrue(callable(getattr(case, name, None)), name)
                self.assertTrue(self.is_run(case, name), f'{promise}: {name}')

    def is_run(self, case, name):
        """A test, or a step that a test of the class comes to."""
        if name.startswith('test_'):
            return True
        source = inspect.getsource(case)
        return len(re.findall(rf'self\.{name}\(', source)) > 0
