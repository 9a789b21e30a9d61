# SPDX-License-Identifier: Apache-2.0
"""Files of a host that the set-up reads, by the functions that it reads with.

Many of them are given to one shell, as a shell takes longer to start than to
read them.
"""

import json
import pathlib
import shutil
import subprocess

import fixtures
import hypothesis
from hypothesis import strategies as st
from oslotest import base

from tests.unit import fuzz
from tests.unit.engine import hostroot

ADDED = 'tcp://0.0.0.0:2376'
SOCKET = 'unix:///var/run/docker.sock'
#: What is done with each file of the folder $1, and how it ended.
DRIVER = r"""
. "$FUNCTIONS"
for file in "$1"/*.json; do
    json_parts <"$file" >"$file.parts"
    echo $? >"$file.status"
    grep -q '^array ' "$file.parts" || continue
    with_entries "$file" "\"tcp://0.0.0.0:2376\"" >"$file.with"
    without_entry "$file.with" "tcp://0.0.0.0:2376" >"$file.without"
done
"""
TEXT = st.text(
    st.characters(blacklist_categories=['Cs'], blacklist_characters='\0'),
    max_size=8,
)
#: What looks like parts of the file.
TRICKY = st.sampled_from(
    ['hosts', 'tls', ':', '{', '[', ']', '}', '"', '\\', '\\"', '//', 'fd://']
)
WORDS = TEXT | TRICKY | st.sampled_from([SOCKET, 'hosts: [', ADDED + '0'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3)
    ),
    max_leaves=8,
)
HOSTS = st.lists(WORDS.filter(lambda word: word != ADDED), max_size=3)


@st.composite
def texts(draw):
    """Give the text of a daemon.json, written in one of many ways."""
    document = draw(st.dictionaries(WORDS, VALUES, max_size=3))
    if draw(st.booleans()):
        items = [*document.items(), ('hosts', draw(HOSTS | VALUES))]
        document = dict(draw(st.permutations(items)))
    text = json.dumps(
        document,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 2, '\t', ' \r'])),
        separators=draw(
            st.sampled_from([(',', ':'), (', ', ': '), (' ,', '\t:\r\n')])
        ),
    )
    return text + draw(st.sampled_from(['', '\n', '\r\n', '\n\n', ' ']))


class DocumentsTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        host = self.useFixture(hostroot.HostRoot())
        self.functions = host.script.with_name('functions.sh')
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def sh(self, script, *arguments, **environment):
        done = subprocess.run(
            ['/bin/sh', '-c', script, 'sh', *arguments],
            env={'FUNCTIONS': str(self.functions), 'PATH': '/usr/bin:/bin'}
            | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(b'', done.stderr)
        return done.stdout

    def files(self, contents, name):
        """Write files into a folder that is there for them alone."""
        folder = self.folder / 'now'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        paths = [folder / name.format(n) for n in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder, paths


class DaemonJsonTest(DocumentsTestCase):
    def read(self, contents):
        folder, paths = self.files(contents, '{:04}.json')
        self.sh(DRIVER, str(folder))
        for path, content in zip(paths, contents, strict=True):
            status = int(path.with_suffix('.json.status').read_text())
            yield content, status, path

    @fuzz.tries(25)
    @hypothesis.given(st.lists(texts(), min_size=1, max_size=40))
    def test_valid(self, given):
        encoded = [text.encode() for text in given]
        for content, status, path in self.read(encoded):
            document = json.loads(content)
            hosts = document.get('hosts', [])
            flat = isinstance(hosts, list) and all(
                isinstance(entry, str) for entry in hosts
            )
            self.assertEqual(0 if flat else 2, status, content)
            if flat and 'hosts' in document:
                self.assertSpliced(content, document, path)

    def assertSpliced(self, content, document, path):
        """Assert that ours is in it, and all else stays byte for byte."""
        more = path.with_suffix('.json.with').read_bytes()
        before = document['hosts'] or [SOCKET]
        document['hosts'] = [*before, ADDED]
        self.assertEqual(repr(document), repr(json.loads(more)), content)
        less = path.with_suffix('.json.without').read_bytes()
        socket = f'"{SOCKET}"'.encode()
        if len(less) > len(content):
            at = content.rindex(b'[', 0, _first_difference(content, less))
            less = less[: at + 1] + less[at + 1 :].replace(socket, b'', 1)
        self.assertEqual(content, less)

    @fuzz.tries(15)
    @hypothesis.given(
        st.lists(
            st.binary(max_size=60)
            | st.lists(
                st.sampled_from(
                    [
                        *('{', '}', '[', ']', '"', '\\', ':', ',', '"hosts"'),
                        *('\n', '"a"', ' ', '1', '\0', 'é', '"hosts":["a"]'),
                    ]
                ),
                max_size=14,
            ).map(lambda parts: ''.join(parts).encode()),
            min_size=1,
            max_size=40,
        )
    )
    def test_anything(self, given):
        """No object is not taken for one, and nothing gets stuck."""
        for content, status, _ in self.read(given):
            self.assertIn(status, (0, 1, 2), content)
            try:
                document = json.loads(content)
            except ValueError:
                continue
            if not isinstance(document, dict):
                self.assertEqual(1, status, content)


def _first_difference(one, other):
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), len(one))


OS_RELEASE = r"""
. "$FUNCTIONS"
for ROOT in "$1"/*; do
    read_os_release
    printf '%s\0%s\0%s\0' "$os_id" "$os_like" "$os_version"
done
"""
LINES = st.sampled_from(
    [
        *('ID=debian', 'ID="ubuntu"', "ID='x'", 'ID=$(touch bad)', 'ID='),
        *('ID_LIKE="rhel fedora"', 'ID_LIKE=`touch bad`', 'VERSION_ID=12'),
        *('VERSION_ID="22.04"', '#ID=no', ' ID=no', 'ID=a b; touch bad'),
        *('ID="unclosed', 'NAME=é', '\\', '%s%n', '-n', '*', '$IFS'),
    ]
)


class OsReleaseTest(DocumentsTestCase):
    @fuzz.tries(15)
    @hypothesis.given(
        st.lists(
            st.binary(max_size=80).map(lambda data: data.replace(b'\0', b''))
            | st.lists(LINES, max_size=6).map(lambda x: '\n'.join(x).encode()),
            min_size=1,
            max_size=30,
        )
    )
    def test_anything(self, given):
        folder, _ = self.files(given, '{:04}/etc/os-release')
        found = self.sh(OS_RELEASE, str(folder)).split(b'\0')[:-1]
        self.assertEqual(3 * len(given), len(found))
        for value in found:
            self.assertRegex(value, rb'\A[A-Za-z0-9. _-]*\Z')
        self.assertEqual([], list(self.folder.rglob('bad')))
        self.assertFalse(pathlib.Path('bad').exists())
