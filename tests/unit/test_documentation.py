# SPDX-License-Identifier: Apache-2.0
"""The reference pages leave nothing out that the code has."""

from __future__ import annotations

import dataclasses
import pathlib
import re

from oslotest import base

from dockermachine_osc import record, request, shells, store
from dockermachine_osc.cloud import choices
from dockermachine_osc.commands import options

PAGES = pathlib.Path(__file__).resolve().parents[2] / 'doc' / 'source'


def literals(page: str) -> set[str]:
    """Every word between double backquotes."""
    text = (PAGES / f'{page}.rst').read_text()
    return {
        word
        for literal in re.findall(r'``([^`]+)``', text)
        for word in literal.split()
    }


class PagesTest(base.BaseTestCase):
    """Each page against the table in the code that it describes."""

    def test_keys_of_the_metadata(self) -> None:
        fields = {f.name for f in dataclasses.fields(record.Record)}
        fields -= {'problems'}
        fields = {field.replace('_', '-') for field in fields} | {'schema'}
        self.assertEqual(set(), fields - literals('reference/metadata'))

    def test_defaults_for_a_cloud(self) -> None:
        known = set(options._DEFAULTS)
        self.assertEqual(set(), known - literals('user/defaults'))

    def test_sources_of_the_engine(self) -> None:
        known = set(request.ENGINE_SOURCES)
        self.assertEqual(set(), known - literals('user/engine'))

    def test_shells(self) -> None:
        self.assertEqual(set(), set(shells.SHELLS) - literals('user/env'))

    def test_files_of_a_machine(self) -> None:
        names = {
            store.CA, store.CERT, store.KEY, store.CA_KEY, store.SSH_KEY,
            store.KNOWN_HOSTS, store.OPTIONS, store.RECORD,
        }  # fmt: skip
        text = (PAGES / 'reference' / 'files.rst').read_text()
        self.assertEqual([], [n for n in names if n not in text])

    def test_distributions_that_say_what_they_are(self) -> None:
        known = set(choices.LOGIN_USERS)
        self.assertEqual(set(), known - literals('user/create'))
        users = set(choices.LOGIN_USERS.values())
        self.assertEqual(set(), users - literals('reference/distributions'))
