# SPDX-License-Identifier: Apache-2.0
"""Every parser, given what nobody thought of.

All of these together take less than a minute. ``FUZZ=100 stestr run
unit.fuzz`` tries a hundred times as much.
"""

import functools
import os

import fixtures
import hypothesis

_FACTOR = float(os.environ.get('FUZZ') or 1)
# To explain a failure, Hypothesis traces every line of every example, which
# makes each take several times as long.
_PHASES = [p for p in hypothesis.Phase if p is not hypothesis.Phase.explain]


class _Hung(BaseException):
    """Nothing that Hypothesis catches."""


def tries(examples):
    """Give the settings for about so many examples.

    An example that hangs until the test's time is over is the last: to find
    a smaller one that hangs, Hypothesis would try it again, without an end.
    """
    settings = hypothesis.settings(
        max_examples=max(1, int(examples * _FACTOR)),
        database=None,
        deadline=None,
        phases=_PHASES,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def decorate(test):
        handle = test.hypothesis
        handle.inner_test = _last_if_it_hangs(handle.inner_test)
        with_examples = settings(test)

        @functools.wraps(test)
        def run(case):
            try:
                with_examples(case)
            except _Hung as error:
                raise AssertionError(str(error)) from error.__cause__

        return run

    return decorate


def _last_if_it_hangs(test):
    @functools.wraps(test)
    def run(*arguments, **examples):
        try:
            test(*arguments, **examples)
        except fixtures.TimeoutException as error:
            raise _Hung(f'hung at {examples} {arguments[1:]}') from error

    return run
