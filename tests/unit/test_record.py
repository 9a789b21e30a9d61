# SPDX-License-Identifier: Apache-2.0
"""The record is read from metadata that anybody in the project can write."""

import dataclasses
import ipaddress

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from dockermachine_osc import record
from dockermachine_osc.machines import expiry, machine
from tests.unit import fuzz

FULL = record.Record(
    id='0123456789abcdef' * 2,
    timeout=600,
    state='ready',
    access='tls',
    origin='adopted',
    address='192.0.2.1',
    engine_port=12376,
    engine_version='28.2.2+dfsg1-1~deb12u1',
    engine_source='https://get.docker.com/?channel=test',
    ssh_user='debian',
    ssh_port=2222,
    host_key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKc2KbcHtrO+xNSTFVj1IA==',
    image='Debian 12 (bookworm) für alle',
    tls_sans='web1.example.org,192.0.2.7,2001:db8::7',
    ca_fingerprint='a' * 64,
    server_fingerprint='b' * 64,
    client_fingerprint='c' * 64,
    ca_expires='2036-11-22T12:00:00Z',
    server_expires='2027-11-22T12:00:00Z',
    client_expires='2027-11-22T12:00:00Z',
    port_id='00000001-0000-4000-8000-000000000000',
    floating_ip_id='00000002-0000-4000-8000-000000000000',
    security_group_id='00000003-0000-4000-8000-000000000000',
)
FIELDS = [f.name for f in dataclasses.fields(FULL) if f.name != 'problems']


def key(field):
    return record.PREFIX + field.replace('_', '-')


class TestRoundTrip(base.BaseTestCase):
    def test_full(self):
        default = record.Record()
        for field in FIELDS:
            if field != 'access':
                self.assertNotEqual(
                    getattr(default, field), getattr(FULL, field), field
                )
        items = FULL.to_metadata()
        self.assertEqual(len(FIELDS) + 1, len(items))
        self.assertEqual(FULL, record.Record.from_metadata(items))

    def test_new(self):
        new = record.Record(id=record.new_machine_id())
        self.assertEqual(new, record.Record.from_metadata(new.to_metadata()))

    def test_what_nova_takes(self):
        for name, value in FULL.to_metadata().items():
            self.assertRegex(name, '^[A-Za-z0-9:_. -]{1,255}$')
            self.assertIsInstance(value, str)
            self.assertLessEqual(len(value), 255)

    def test_what_nova_would_not_take_is_left_out(self):
        longest = 'x' * 255
        for image, expected in ((longest, longest), (longest + 'x', '')):
            items = FULL.replace(image=image).to_metadata()
            found = record.Record.from_metadata(items)
            self.assertEqual((expected, ()), (found.image, found.problems))

    def test_what_could_not_be_read_back_is_left_out(self):
        items = FULL.replace(image='a\nb').to_metadata()
        self.assertNotIn(key('image'), items)

    def test_other_items_are_not_ours(self):
        items = FULL.to_metadata() | {'team': 'blue', 'docker-machine': 'x'}
        self.assertEqual(FULL, record.Record.from_metadata(items))


class TestHostile(base.BaseTestCase):
    def assertDropped(self, field, value):
        items = FULL.to_metadata() | {key(field): value}
        found = record.Record.from_metadata(items)
        default = getattr(record.Record(), field)
        self.assertEqual(default, getattr(found, field), (field, value))
        self.assertEqual(1, len(found.problems), (field, value))
        self.assertIn(key(field), found.problems[0])

    def test_in_every_field(self):
        for field in FIELDS:
            if field == 'origin':
                continue
            for value in (
                '\x1b[2J',
                'a\nb',
                '\x00',
                'x' * 10000,
                5,
                None.__class__,
                ['x'],
                {'x': 'y'},
                True,
            ):
                self.assertDropped(field, value)

    def test_in_one_field(self):
        for field, *values in (
            ('id', '', 'A' * 32, '0' * 31, '../' + '0' * 29),
            ('state', 'Ready', '', 'gone'),
            ('access', 'telnet', ''),
            ('address', '', '1.2.3', 'web1.example.org', '-H', '1.2.3.4:1'),
            ('address', 'fe80::1%$(reboot)', 'fe80::1%\x1b[2J', 'fe80::1%1'),
            ('engine_port', '0', '65536', '-1', '2376 ', '²', '1e3', ''),
            ('ssh_port', '99999', 'ssh'),
            ('engine_version', '28; reboot', '$(x)', 'ü'),
            ('ssh_user', '-oProxyCommand=x', 'a b', 'x' * 33, ''),
            ('host_key', 'ssh-rsa', 'ssh-rsa A\nssh-rsa B', 'ssh-rsa A B'),
            ('image', 'a\x9bb', 'x\u202ey'),
            ('ca_expires', '2026-13-01T00:00:00Z', 'tomorrow', '2026-01-01'),
            ('server_expires', '٢٠٢٦-01-01T00:00:00Z', '2026-02-30T00:00:00Z'),
            ('port_id', '{' + FULL.port_id + '}', 'x', '../../x'),
        ):
            for value in values:
                self.assertDropped(field, value)

    def test_origin_that_is_unknown(self):
        """In doubt the server is the user's, and delete leaves it."""
        for value in ('x', '', 5, '\x1b[2J', 'x' * 10000):
            items = FULL.to_metadata() | {key('origin'): value}
            found = record.Record.from_metadata(items)
            self.assertEqual('adopted', found.origin)
            self.assertEqual(1, len(found.problems))
        items.pop(key('origin'))
        self.assertEqual('created', record.Record.from_metadata(items).origin)

    def test_schema(self):
        for value in ('2', '', 'x', 1, None):
            items = FULL.to_metadata() | {f'{record.PREFIX}schema': value}
            found = record.Record.from_metadata(items)
            self.assertEqual(1, len(found.problems))
            self.assertEqual(FULL, dataclasses.replace(found, problems=()))

    def test_nothing(self):
        self.assertFalse(record.is_machine({}))
        self.assertEqual('', record.Record.from_metadata({}).id)

    def test_is_machine(self):
        good = FULL.to_metadata()
        self.assertTrue(record.is_machine(good))
        for value in ('', 'x' * 32, 5, None, '0' * 33):
            self.assertFalse(record.is_machine(good | {key('id'): value}))

    @fuzz.tries(300)
    @hypothesis.given(
        st.dictionaries(
            st.sampled_from([key(f) for f in FIELDS]) | st.text(),
            st.text()
            | st.integers()
            | st.none()
            | st.sampled_from(sorted(FULL.to_metadata().values()))
            | st.ip_addresses().map(str)
            | st.from_regex(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', fullmatch=True)
            | st.lists(st.text()),
        )
    )
    def test_never_crashes_and_shows_nothing_that_steers(self, metadata):
        found = record.Record.from_metadata(metadata)
        record.is_machine(metadata)
        for field in FIELDS:
            text = str(getattr(found, field))
            self.assertTrue(text.isprintable(), (field, text))
            self.assertLessEqual(len(text), 512)
        for problem in found.problems:
            self.assertTrue(problem.isprintable())
        if found.address:
            ipaddress.ip_address(found.address)
            machine.endpoint_of(found, None)
        expiry.days_left(found.server_expires)
        again = record.Record.from_metadata(found.to_metadata())
        self.assertEqual(dataclasses.replace(found, problems=()), again)


class TestMark(base.BaseTestCase):
    def test_round_trip(self):
        machine_id = record.new_machine_id()
        for name in ('web1', 'a', 'Web-1.example.org'):
            mark = record.mark(machine_id, name)
            self.assertEqual((machine_id, name), record.read_mark(mark))
            self.assertLessEqual(len(record.mark(machine_id, 'x' * 63)), 255)

    def test_ids_differ(self):
        ids = {record.new_machine_id() for _ in range(100)}
        self.assertEqual(100, len(ids))

    def test_what_is_no_mark(self):
        good = record.mark('f' * 32, 'web1')
        for text in (
            None,
            '',
            'docker-machine',
            good + '\n',
            ' ' + good,
            good + ' x',
            good.upper(),
            good.replace('web1', '../x'),
            good.replace('web1', ''),
            good.replace('f' * 32, 'f' * 31),
        ):
            self.assertIsNone(record.read_mark(text), text)

    @fuzz.tries(200)
    @hypothesis.given(st.text())
    def test_never_crashes(self, text):
        for description in (text, f'docker-machine {"f" * 32} {text}'):
            found = record.read_mark(description)
            if found:
                self.assertEqual(description, record.mark(*found))
