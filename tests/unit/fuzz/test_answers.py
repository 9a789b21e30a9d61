# SPDX-License-Identifier: Apache-2.0
"""A cloud whose answers are not of the shape that its API promises."""

import copy
import json
import shutil
import traceback

import fixtures
import hypothesis
from hypothesis import strategies as st
from testtools import content

from dockermachine_osc import errors
from tests.unit import fuzz, workbench

#: What a service behind a broken proxy, or another release, may put there.
WRONG = st.sampled_from(
    [
        *(None, True, 0, -1, 2**70, 1.5, float('nan')),
        *('', 'x', 'é' * 300, '\x1b[2J\n', '../..', '10.0.0.300'),
        *([], [None], [[]], ['x'], {}, {'id': None}, {'x': {}}),
    ]
)


def broken(body, where, value, drop):
    """Give a JSON document with something else at one place."""
    body = copy.deepcopy(body)
    place, key, owner = body, None, None
    for number in where:
        if not isinstance(place, (dict, list)) or not place:
            break
        keys = list(place) if isinstance(place, dict) else range(len(place))
        owner, key = place, keys[number % len(keys)]
        place = place[key]
    if owner is None:
        return value
    if drop:
        del owner[key]
    else:
        owner[key] = value
    return body


class AnswersTest(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.create('old')
        self.things = json.dumps(self.fake.things)
        self.number = None
        self.useFixture(
            fixtures.MonkeyPatch(
                'tests.unit.fakecloud.cloud._public', self.answer
            )
        )

    def answer(self, body):
        """Give the answer, or the one that is chosen to be wrong."""
        body = _public(body)
        if self.number is None:
            return body
        self.number -= 1
        return broken(body, *self.what) if self.number == 0 else body

    def begin_anew(self):
        self.fake.things = json.loads(self.things)
        for path in self.files.path.glob('machines/web1'):
            shutil.rmtree(path)
        for path in self.folder.glob('docker/contexts/*'):
            shutil.rmtree(path)

    def attempt(self, data, most, work):
        """Do it, with one wrong answer on its way."""
        self.begin_anew()
        number = data.draw(st.integers(1, most), 'number')
        self.what = (
            data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=6)),
            data.draw(WRONG),
            data.draw(st.booleans()),
        )
        self.addDetail('wrong', content.text_content(f'{number} {self.what}'))
        self.number = number
        try:
            work()
        except errors.MachineError as error:
            self.assertTrue(str(error).isprintable() or '\n' in str(error))
        except Exception:
            hypothesis.note(traceback.format_exc())
            raise
        finally:
            self.number = None

    @fuzz.tries(80)
    @hypothesis.given(st.data())
    def test_create(self, data):
        self.attempt(data, 32, lambda: self.create('web1', timeout=60))

    @fuzz.tries(60)
    @hypothesis.given(st.data())
    def test_list_and_show(self, data):
        def work():
            self.machines.list()
            self.machines.show('old')

        self.attempt(data, 3, work)

    @fuzz.tries(40)
    @hypothesis.given(st.data())
    def test_delete(self, data):
        self.attempt(data, 12, lambda: self.delete('old'))


def _public(body):
    if isinstance(body, dict):
        return {k: _public(v) for k, v in body.items() if k[:1] != '_'}
    if isinstance(body, list):
        return [_public(item) for item in body]
    return body
