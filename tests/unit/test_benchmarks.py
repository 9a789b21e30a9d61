# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own arithmetic, its outputs, and its command line."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import fixtures
from oslotest import base

from dockermachine_osc import record
from tests.benchmarks import __main__ as command
from tests.benchmarks import measure, picture, report, standin, standins
from tests.benchmarks.measure import Figure, Group

_SVG = '{http://www.w3.org/2000/svg}'


def group():
    floor = Figure('floor <a>', 's', [1.0, 4.0, 2.0], measure.FLOOR)
    ours = Figure('ours', 's', [3.0, 4.0, 3.0])
    return Group(
        'on an image',
        [floor, ours],
        [Figure('calls', '', [12, 12, 13])],
        [measure.ratio(ours, floor, '<= 2')],
        ['other: not on PATH'],
    )


def results():
    groups = [json.loads(json.dumps(group().to_json()))]
    return {'facts': report.facts(), 'parts': {'create': groups}}


class TestMeasure(base.BaseTestCase):
    def run_python(self, script):
        return measure.run([sys.executable, '-c', script], dict(os.environ))

    def test_cost(self):
        done = self.run_python('x = b"x" * 300 * 2**20; print("said")')
        self.assertEqual('said\n', done.out)
        self.assertGreater(done.rss, 300)
        self.assertGreater(done.wall, 0)

    def test_children_count(self):
        burn = 'import time\nwhile time.process_time() < 0.3: pass'
        run = f'subprocess.run([sys.executable, "-c", {burn!r}])'
        done = self.run_python(f'import subprocess, sys; {run}')
        self.assertGreater(done.cpu, 0.3)

    def test_failure_has_the_words(self):
        script = 'import sys; print("a"); sys.exit("b")'
        raised = self.assertRaises(measure.RunFailed, self.run_python, script)
        self.assertIn('exit code 1\na\nb', str(raised))

    def test_turns(self):
        said = []
        sides = {name: lambda n=name: said.append(n) or n for name in 'ab'}
        found = measure.by_turns(3, sides)
        self.assertEqual('abbaab', ''.join(said))
        self.assertEqual({'a': ['a'] * 3, 'b': ['b'] * 3}, found)

    def test_settles(self):
        """It looks until little is done, and no longer than it may."""
        for busy, most, looks in (
            ([0.9, 0.5, 0.05], 30, 3),
            ([0.9] * 9, 0, 1),
        ):
            seen = iter(busy)
            path = 'tests.benchmarks.measure._busy'
            patch = fixtures.MonkeyPatch(path, lambda s, seen=seen: next(seen))
            with patch:
                measure.settle(most)
            self.assertEqual(len(busy) - looks, len(list(seen)))

    def test_ratios_are_of_pairs(self):
        figure = group().ratios[0]
        self.assertEqual([3.0, 1.0, 1.5], figure.samples)
        self.assertEqual(1.5, figure.median)

    def test_json_and_back(self):
        there = json.loads(json.dumps(group().to_json()))
        self.assertEqual(group(), Group.from_json(there))
        drawn = there['drawn'][0]
        summary = [drawn[key] for key in ('median', 'min', 'max')]
        self.assertEqual([2.0, 1.0, 4.0], summary)


class TestReport(base.BaseTestCase):
    def test_text(self):
        lines = report.text(results()).splitlines()
        (line,) = (one for one in lines if one.startswith('  floor <a> '))
        self.assertEqual(
            ['floor', '<a>', '2.00', 's', '(1.00', 'to', '4.00,', 'n=3)'],
            line.split(),
        )
        self.assertIn('  other: not on PATH', lines)
        self.assertIn('create: on an image', lines)

    def test_facts_are_typed(self):
        known = json.loads(json.dumps(report.facts()))
        self.assertIsInstance(known['cores'], int)
        self.assertIsInstance(known['load_at_start'], float)
        self.assertRegex(known['date'], r'^\d{4}-\d\d-\d\dT[\d:]{8}Z$')

    def test_page(self):
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        report.write_pages(results(), folder)
        page = (folder / 'create.inc').read_text()
        report.write_pages(results(), folder)
        self.assertIn(
            '   * - ``calls``\n     - 12\n     - 12 to 13, n=3\n', page
        )
        self.assertIn('     - 1.50 x\n     - 1.00 to 3.00, n=3\n', page)


class TestPicture(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.root = ET.fromstring(picture.draw(results()))

    def test_each_label_once(self):
        said = [text.text for text in self.root.iter(f'{_SVG}text')]
        for words in ('floor <a>', 'ours', '2.00 s', '3.00 s'):
            self.assertEqual(1, said.count(words), words)
        self.assertIn('create: on an image, seconds', said)

    def test_lengths(self):
        bars = {}
        for bar in self.root.iter(f'{_SVG}rect'):
            bars[bar.get('class')] = float(bar.get('width'))
        self.assertAlmostEqual(bars['ours'] / bars['floor'], 1.5, places=2)
        # The first is the legend's.
        spreads = list(self.root.iter(f'{_SVG}line'))
        start, end = (float(spreads[1].get(x)) for x in ('x1', 'x2'))
        # From 1 to 4, where the bar's length is 2.
        self.assertAlmostEqual(bars['floor'] * 1.5, end - start, delta=0.2)

    def test_all_is_within(self):
        width = float(self.root.get('width'))
        for bar in self.root.iter(f'{_SVG}rect'):
            right = float(bar.get('x', 0)) + float(bar.get('width'))
            self.assertLessEqual(right, width)


class TestStandIn(base.BaseTestCase):
    """Its pages are those of Nova."""

    def setUp(self):
        super().setUp()
        count = 2 * standin.PAGE
        self.servers = [standin.server(n + 1) for n in range(count)]
        self.machines = standin.Machines(self.servers)

    def page(self, **query):
        body = json.loads(self.machines.page('http://x', query))
        return [s['id'] for s in body['servers']], body.get('servers_links')

    def test_all_pages(self):
        ids, links = self.page(tags='a')
        marker = ids[-1]
        self.assertEqual(
            [{'rel': 'next', 'href': f'http://x?tags=a&marker={marker}'}],
            links,
        )
        more, links = self.page(marker=marker)
        self.assertTrue(links)
        self.assertEqual(([], None), self.page(marker=more[-1]))
        self.assertEqual([s['id'] for s in self.servers], ids + more)

    def test_limit(self):
        ids, links = self.page(limit='3')
        self.assertEqual([s['id'] for s in self.servers[:3]], ids)
        self.assertTrue(links)

    def test_each_is_a_whole_machine(self):
        for server in (self.servers[0], self.servers[-1]):
            read = record.Record.from_metadata(server['metadata'])
            self.assertEqual((), read.problems)
            self.assertEqual('ready', read.state)
            self.assertTrue(record.is_address(read.address))


class TestElsewhere(base.BaseTestCase):
    def test_a_machine_is_made_there(self):
        """By the real `openstack`; its engine is asked for its version."""
        home = Path(self.useFixture(fixtures.TempDir()).path)
        words = '--ssh-port', str(standins.SSH_PORT), '-f', 'json'
        with standins.elsewhere(0.5) as (port, path):
            client = standins.Client(home, port, path)
            machine = ('openstack', 'docker', 'machine')
            done = client.run(*machine, 'create', 'web1', *words)
            shown = json.loads(done.out)
            self.assertEqual('running', shown['state'])
            self.assertEqual('20.10.24+dfsg1', shown['engine_version'])
            client.run(*machine, 'delete', 'web1')
            self.assertEqual([], list(client.store.glob('**/web1')))


class TestCommand(base.BaseTestCase):
    def bench(self, *words):
        done = subprocess.run(
            [report.ROOT / 'tests' / 'bench', *words],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def test_help_names_each_part(self):
        code, said = self.bench('--help')
        self.assertEqual(0, code)
        listed = re.findall(r'^  (\w+)  ', said, re.MULTILINE)
        self.assertEqual(list(command.PARTS), listed)

    def test_unknown(self):
        for words in (['nothing'], ['--runs'], ['--what']):
            self.assertEqual(2, self.bench(*words)[0], words)

    def test_each_part_is_there(self):
        for part in command.PARTS:
            script = f'from tests.benchmarks.{part} import measure, RUNS'
            subprocess.run(
                [sys.executable, '-c', script], cwd=report.ROOT, check=True
            )

    def test_what_needs_no_cloud_needs_no_sdk(self):
        """It would be in what is told of others' memory: measure.Run.rss."""
        script = (
            'import sys; from tests.benchmarks import __main__, PARTS;'
            'sys.exit("openstack" in sys.modules)'
        )
        parts = ', '.join(
            p for p in command.PARTS if p not in ('create', 'many')
        )
        subprocess.run(
            [sys.executable, '-c', script.replace('PARTS', parts)],
            cwd=report.ROOT,
            check=True,
        )
