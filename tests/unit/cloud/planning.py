# SPDX-License-Identifier: Apache-2.0
"""Planning a create, and what is refused while nothing is made yet."""

from dockermachine_osc import errors
from tests.unit import workbench


class PlanTestCase(workbench.CloudTestCase):
    def plan(self, **options):
        return self.cloud.plan([workbench.request(**options)])

    def refuses(self, expected, error=errors.InvalidRequest, **options):
        return self.assertRefuses(
            expected,
            lambda: self.plan(**options),
            error=error,
        )

    def assertChose(self, expected, kind, **options):
        choice = getattr(self.plan(**options), kind)
        self.assertEqual(expected['id'], choice.resource.id)
        return choice.why

    def assertNotes(self, *expected, **options):
        notes = '\n'.join(self.plan(**options).notes())
        for words in expected:
            self.assertIn(words, notes)
