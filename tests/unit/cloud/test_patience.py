# SPDX-License-Identifier: Apache-2.0
"""What is asked again, how often, and what never is."""

from dockermachine_osc.cloud import patience
from dockermachine_osc.cloud.failures import ApiError
from tests.unit import workbench


class TestPatience(workbench.CloudTestCase):
    def asked(self, *statuses, seconds=0):
        """Give a call that fails with these statuses, and then works."""
        left = list(statuses)

        def call():
            self.count += 1
            self.clock.sleep(seconds)
            if left:
                raise ApiError('No', status=left.pop(0))
            return 'done'

        self.count = 0
        return call

    def test_repeated(self):
        patience.repeated(self.asked(503, 0, 429))
        self.assertEqual(4, self.count)

    def test_repeated_after_a_long_silence(self):
        patience.repeated(self.asked(0, seconds=60))
        self.assertEqual(2, self.count)

    def test_repeated_in_vain(self):
        call = self.asked(*[503] * 100)
        self.assertRaises(ApiError, patience.repeated, call)
        self.assertLess(self.count, 20)
        call = self.asked(403)
        self.assertRaises(ApiError, patience.repeated, call)
        self.assertEqual(1, self.count)

    def test_known_again(self):
        self.assertEqual('done', patience.known_again(self.asked(401, 401)))
        for statuses in ((401,) * 5, (503,)):
            call = self.asked(*statuses)
            self.assertRaises(ApiError, patience.known_again, call)
            self.assertEqual(len(statuses), self.count)

    def test_token_lost_to_another_thread(self):
        """As keystoneauth's get_access fails then."""
        tries = iter([AssertionError()])

        def ask():
            for error in tries:
                raise error
            return 'done'

        self.assertEqual('done', patience.known_again(ask))
