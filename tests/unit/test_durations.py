# SPDX-License-Identifier: Apache-2.0
"""The durations that stestr is told are of tests that there are."""

import io
import unittest

import subunit
import testtools
from oslotest import base

from tests import durations


class TestDurations(base.BaseTestCase):
    def test_of_tests_that_there_are(self):
        ids = [test for test, _ in durations.known()]
        loader = unittest.TestLoader()
        loaded = loader.loadTestsFromNames(ids)
        self.assertEqual([], loader.errors)
        self.assertEqual(ids, [test.id() for test in _flat(loaded)])

    def test_as_stestr_reads_it(self):
        stream, told = io.BytesIO(), []
        durations.tell(stream)
        stream.seek(0)
        result = testtools.StreamToDict(told.append)
        result.startTestRun()
        subunit.ByteStreamToStreamResult(stream).run(result)
        result.stopTestRun()
        found = {
            test['id']: (end - begin).total_seconds()
            for test in told
            for begin, end in [test['timestamps']]
        }
        self.assertEqual(dict(durations.known()), found)


def _flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test
