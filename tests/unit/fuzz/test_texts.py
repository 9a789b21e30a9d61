# SPDX-License-Identifier: Apache-2.0
"""Texts that others write: consoles, ssh's files, docker's, names."""

import dataclasses
import ipaddress
import json
import pathlib
import time

import fixtures
import hypothesis
from hypothesis import strategies as st
from oslotest import base

from dockermachine_osc import (
    contexts,
    engine,
    errors,
    local_record,
    openssh,
    request,
    sshconfig,
    store,
    together,
)
from dockermachine_osc.commands import options
from dockermachine_osc.machines import errand
from dockermachine_osc.record import Record
from tests.unit import fuzz
from tests.unit.workbench import ED25519

ID = 'a' * 32
LINE = f'docker-machine {ID} login debian end'
PIECES = st.sampled_from(
    [
        *(LINE, LINE[:30], LINE[30:], f'docker-machine {ID} hostkey '),
        *(ED25519, ED25519[:40], ' end', '\n', '\r', '\r\n', '\0', '\x1b[2J'),
        *('\x1b]0;title\x07', '\x9b31m', '\u202e', '\ud800', '[ 3.2] random:'),
        *('-----BEGIN SSH HOST KEY KEYS-----\n', '\x85', '\u2028'),
        *('-----END SSH HOST KEY KEYS-----\n', 'x' * 5000, 'failed \x1b[1m'),
        *(f'docker-machine {ID} failed ', f'docker-machine {ID} installed '),
    ]
)


class ConsoleTest(base.BaseTestCase):
    @fuzz.tries(400)
    @hypothesis.given(st.lists(PIECES | st.text(max_size=20), max_size=20))
    def test_only_whole_lines_are_believed(self, pieces):
        text = ''.join(pieces)
        facts = engine.read_console(text, ID)
        self.assertIn(facts.login, (None, 'debian'))
        self.assertLessEqual(set(facts.host_keys), {ED25519})
        for said in (facts.failure, facts.installed):
            self.assertTrue(said is None or said.isprintable())
            self.assertLessEqual(len(said or ''), 200)
        for line in engine.console_end(text):
            self.assertTrue(line.isprintable())

    @fuzz.tries(10)
    @hypothesis.given(st.lists(PIECES, min_size=1, max_size=4))
    def test_huge(self, pieces):
        """As much as a server can print: it must not take long."""
        text = ''.join(pieces) * (4_000_000 // len(''.join(pieces)))
        start = time.process_time()
        engine.read_console(text, ID)
        engine.console_end(text)
        self.assertLess(time.process_time() - start, 10)


LINES = st.binary(max_size=40) | st.sampled_from(
    [
        *(b'Host *', b'Host web1', b'  User me', b'Match all', b'\xff\xfe'),
        *(b'Include x', b'# comment', b'', b' ', b'\t', b'Include "'),
    ]
)
ENDS = st.sampled_from([b'\n', b'\r\n', b'\n\n', b'\x0b', b'\x0c', b'\x1c'])


class SshConfigTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.users = self.folder / 'ssh' / 'config'
        self.users.parent.mkdir()
        self.config = sshconfig.SshConfig(self.folder, self.users)
        # Whether ssh finds the file already is not asked here.
        self.useFixture(
            fixtures.MonkeyPatch('shutil.which', lambda name: None)
        )
        self.entry = sshconfig.Entry(
            'web1.docker-machine',
            '192.0.2.1',
            22,
            'debian',
            self.folder / 'known_hosts',
            '192.0.2.1',
            None,
        )

    @fuzz.tries(150)
    @hypothesis.given(st.lists(st.tuples(LINES, ENDS), max_size=6), LINES)
    def test_the_users_bytes_come_back(self, lines, last):
        text = b''.join(line + end for line, end in lines) + last
        self.users.write_bytes(text)
        self.config.update([self.entry])
        self.assertTrue(self.users.read_bytes().endswith(text))
        self.config.update([self.entry])
        self.config.update([])
        after = self.users.read_bytes() if self.users.exists() else b''
        self.assertEqual(text, after)

    @fuzz.tries(200)
    @hypothesis.given(
        st.text(max_size=20) | st.sampled_from(['web1', 'a\nHost *', '-x']),
        st.text(max_size=20) | st.sampled_from(['192.0.2.1', '::1%eth0', '']),
        st.integers(-1, 70000),
        st.text(max_size=10) | st.sampled_from(['', 'debian', 'a b']),
        st.text(max_size=20) | st.sampled_from(['k\nProxyCommand x', 'a"b']),
        st.text(max_size=20) | st.sampled_from(['[192.0.2.1]:22', '*']),
    )
    def test_a_value_is_one_word_or_refused(
        self, alias, address, port, user, path, known_as
    ):
        path = pathlib.Path('/' + path.replace('\0', ''))
        entry = sshconfig.Entry(
            alias, address, port, user, path, known_as, path
        )
        try:
            text = sshconfig.block(entry)
        except errors.StoreFailure:
            return
        first, *rest = text.splitlines()
        self.assertEqual(f'Host {alias}', first)
        # As many lines, with as many words before values, as for any other.
        plain = dataclasses.replace(self.entry, user=user and 'u', key=path)
        expected = sshconfig.block(plain).splitlines()[1:]
        self.assertEqual(
            [line.split()[0] for line in expected],
            [line.split()[0] for line in rest],
        )

    @fuzz.tries(100)
    @hypothesis.given(st.binary(max_size=200))
    def test_known_hosts(self, data):
        scope = store.Store(self.folder / 'store').scope('u', 'r', 'p')
        folder = scope.machine('web1')
        if not folder.exists():
            folder.create()
        folder.write(store.KNOWN_HOSTS, data)
        try:
            way = errand.known_way(Record(address='192.0.2.1'), folder)
        except errors.StoreFailure as error:
            self.assertIn('damaged', str(error))
            return
        for key in way.host_keys:
            self.assertEqual(1, len(key.splitlines()), key)
            self.assertNotEqual('', key.strip())

    @fuzz.tries(100)
    @hypothesis.given(st.text(max_size=200))
    def test_what_ssh_says(self, text):
        found = openssh.resolved(text)
        self.assertTrue(all(isinstance(v, str) for v in found.values()))


class DockerTest(base.BaseTestCase):
    DOCUMENT = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        'currentContext',
                        'Metadata',
                        'Name',
                        contexts.MARK,
                        'auths',
                    ]
                )
                | st.text(max_size=5),
                inner | st.sampled_from(['web1', 'id1']),
                max_size=4,
            )
        ),
        max_leaves=10,
    )

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.contexts = contexts.Contexts(self.folder)

    @fuzz.tries(120)
    @hypothesis.given(
        DOCUMENT.map(lambda d: json.dumps(d, ensure_ascii=False))
        | st.text(max_size=60)
    )
    def test_config(self, text):
        """All but currentContext stays, and what is no object untouched."""
        path = self.folder / 'config.json'
        path.write_bytes(text.encode('utf-8', 'surrogatepass'))
        before = path.read_bytes()
        self.contexts.write('web1', 'tcp://192.0.2.1:2376', '', 'id1')
        self.assertTrue(self.contexts.remove('web1', 'id1'))
        try:
            known = json.loads(before)
        except ValueError:
            known = None
        if isinstance(known, dict) and known.get('currentContext') == 'web1':
            del known['currentContext']
            self.assertEqual(known, json.loads(path.read_bytes()))
        else:
            self.assertEqual(before, path.read_bytes())

    @fuzz.tries(120)
    @hypothesis.given(
        DOCUMENT.map(lambda d: json.dumps(d).encode()) | st.binary(max_size=60)
    )
    def test_meta(self, data):
        path = self.contexts._meta('web1')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.assertIsInstance(self.contexts.owner('web1'), str)
        self.assertLessEqual(set(self.contexts.made_for('id1')), {'web1'})
        if self.contexts.owner('web1') != 'id1':
            self.assertFalse(self.contexts.remove('web1', 'id1'))
            self.assertEqual(data, path.read_bytes())

    @fuzz.tries(150)
    @hypothesis.given(
        DOCUMENT.map(lambda d: json.dumps(d).encode()) | st.binary(max_size=60)
    )
    def test_our_own(self, data):
        try:
            found = local_record.read(data, self.folder / 'x', 'web1')
        except errors.StoreFailure:
            found = {}
        self.assertIsInstance(found, dict)
        (self.folder / '.together').write_bytes(data)
        for name in together._read(self.folder / '.together'):
            self.assertNotIn('/', name)


class DefaultsTest(base.BaseTestCase):
    """clouds.yaml is the user's own, and yet people make mistakes there."""

    VALUES = st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9, 70000)
        | st.floats()
        | st.dates()
        | st.binary(max_size=5)
        | st.text(max_size=12)
        | st.sampled_from(
            ['10', '1G', 'yes', '~nobody/x', '/dev/null', 'a=b']
        ),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.text(max_size=5) | st.integers() | st.none(),
                inner,
                max_size=3,
            )
        ),
        max_leaves=4,
    )

    @fuzz.tries(300)
    @hypothesis.given(
        st.dictionaries(st.sampled_from(sorted(options._DEFAULTS)), VALUES)
        | st.dictionaries(st.text(max_size=5) | st.none(), VALUES, max_size=2)
        | VALUES
    )
    def test_anything(self, configured):
        for build in (options.request, options.adopt_request):
            given = {'name': 'web1', 'server': 'web1'}
            try:
                build(given, configured).check()
            except errors.MachineError as error:
                self.assertNotIn('Traceback', str(error))


class NamesTest(base.BaseTestCase):
    @fuzz.tries(200)
    @hypothesis.given(
        st.text(max_size=70)
        | st.text('aZ09.-_/\\ \n', max_size=70)
        | st.from_regex(r'\A[a-z0-9.-]{1,65}\n?\Z')
    )
    def test_machine(self, name):
        try:
            store.check_name(name)
        except errors.InvalidRequest as error:
            self.assertIn('cannot be the name', str(error))
            return
        root = pathlib.Path('/root')
        self.assertEqual(root, (root / name).parent)
        self.assertTrue(name.isascii() and name.isprintable())
        self.assertLess(len(name), 64)
        self.assertFalse(name.startswith(('-', '.')))

    @fuzz.tries(200)
    @hypothesis.given(
        st.text('0123456789abcdef.:/ %-\n', max_size=24)
        | st.text(max_size=12)
        | st.ip_addresses().map(str)
        | st.tuples(st.ip_addresses(), st.integers(-1, 130)).map(
            lambda pair: f'{pair[0]}/{pair[1]}'
        )
    )
    def test_cidr(self, text):
        asked = request.CreateRequest('web1', allow_cidrs=(text,))
        try:
            asked.check()
        except errors.InvalidRequest:
            return
        ipaddress.ip_network(text)
