# SPDX-License-Identifier: Apache-2.0
"""Asking engines: real TLS servers on the loopback, good ones and others."""

import contextlib
import datetime
import http.server
import json
import pathlib
import socket
import ssl
import threading
import time

import fixtures
from oslotest import base

from dockermachine_osc import engine, errors, pki
from dockermachine_osc.waiting import Deadline
from tests import docker_machine

ANSWER = {
    'Version': '28.2.2',
    'ApiVersion': '1.50',
    'Os': 'linux',
    'Arch': 'amd64',
    'KernelVersion': '6.1.0-37-cloud-amd64',
    'Components': [{'Name': 'Engine'}],
}
NAMES = ('127.0.0.1', '::1', 'localhost')


class Engine(fixtures.Fixture):
    """Answers GET /version over TLS, to clients of its own CA."""

    def __init__(self, issued, ca, body=None, address='127.0.0.1', status=200):
        super().__init__()
        self.issued, self.ca, self.address = issued, ca, address
        self.body = json.dumps(ANSWER).encode() if body is None else body
        self.status = status
        self.asked = []

    def _setUp(self):
        fixture = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                fixture.asked.append(self.path)
                self.send_response(fixture.status)
                self.send_header('Content-Length', str(len(fixture.body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(fixture.body)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = (
                socket.AF_INET6 if ':' in self.address else socket.AF_INET
            )

            def handle_error(self, *args):
                pass

        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'server.pem').write_bytes(self.issued.certificate)
        (folder / 'key.pem').write_bytes(self.issued.key)
        (folder / 'ca.pem').write_bytes(self.ca.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / 'server.pem', folder / 'key.pem')
        context.load_verify_locations(folder / 'ca.pem')
        context.verify_mode = ssl.CERT_REQUIRED
        server = Server((self.address, 0), Handler)
        # The handshake belongs into the thread of the request.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = server.server_port
        threading.Thread(
            target=server.serve_forever, args=(0.05,), daemon=True
        ).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)


class ClientTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.ca = pki.Authority.create('web1')
        self.folder = self.client_folder(self.ca, self.ca)

    def client_folder(self, trusted, signer):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        client = signer.client('me')
        (folder / 'ca.pem').write_bytes(trusted.certificate)
        (folder / 'cert.pem').write_bytes(client.certificate)
        (folder / 'key.pem').write_bytes(client.key)
        return folder

    def engine(self, names=NAMES, **kwargs):
        return self.useFixture(
            Engine(self.ca.server(names), self.ca, **kwargs)
        )


class AskTest(ClientTestCase):
    def fails(self, kind, port, address='127.0.0.1', folder=None, timeout=5):
        error = self.assertRaises(
            kind, engine.ask, address, port, folder or self.folder, timeout
        )
        self.assertIsInstance(error, errors.EngineFailure)
        return str(error)

    def test_facts(self):
        there = self.engine()
        facts = engine.ask('127.0.0.1', there.port, self.folder, 5)
        self.assertEqual(
            engine.EngineFacts(
                '28.2.2', '1.50', 'linux', 'amd64', '6.1.0-37-cloud-amd64'
            ),
            facts,
        )
        # with a version of the API in it, old and new engines would differ
        self.assertEqual(['/version'], there.asked)

    def test_by_name(self):
        there = self.engine()
        engine.ask('localhost', there.port, self.folder, 5)

    def test_ipv6(self):
        there = self.engine(address='::1')
        for address in ('::1', '[::1]'):
            engine.ask(address, there.port, self.folder, 5)

    def test_address_that_is_not_in_the_certificate(self):
        there = self.engine(names=('10.0.0.1', 'web1'), address='127.0.0.2')
        text = self.fails(
            engine.EngineUntrusted, there.port, address='127.0.0.2'
        )
        self.assertIn('127.0.0.2', text)

    def dated(self, **dates):
        """Have certificates made with other dates from now on."""
        for name, delta in dates.items():
            path = f'dockermachine_osc.pki.{name}'
            self.useFixture(fixtures.MonkeyPatch(path, delta))

    def test_certificate_of_tomorrow(self):
        self.dated(CLOCK_SKEW=datetime.timedelta(days=-1))
        text = self.fails(engine.EngineUntrusted, self.engine().port)
        self.assertIn('is not valid yet, by the clock here: ', text)
        self.assertIn('set this clock', text)

    def test_certificate_of_yesterday(self):
        self.dated(LEAF_LIFETIME=datetime.timedelta(seconds=-60))
        text = self.fails(engine.EngineUntrusted, self.engine().port)
        self.assertIn('has expired, by the clock here: ', text)
        self.assertIn('cert renew', text)

    def test_engine_whose_clock_is_behind(self):
        """It does not take our certificate, as it is of tomorrow."""
        there = self.engine()
        self.dated(CLOCK_SKEW=datetime.timedelta(days=-1))
        folder = self.client_folder(self.ca, self.ca)
        text = self.fails(engine.ClientRefused, there.port, folder=folder)
        self.assertIn('refuses our certificate', text)
        self.assertIn('machine check compares the clocks', text)

    def test_certificate_of_another_ca(self):
        there = self.engine()
        folder = self.client_folder(pki.Authority.create('x'), self.ca)
        self.fails(engine.EngineUntrusted, there.port, folder=folder)

    def test_chain_of_docker_machine(self):
        """It cannot pass the strict checks, and is verified all the same."""
        theirs = docker_machine.shared_authority()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'ca.pem').write_bytes(theirs.pair.certificate)
        client = theirs.client()
        (folder / 'cert.pem').write_bytes(client.certificate)
        (folder / 'key.pem').write_bytes(client.key)
        shown = self.engine_of(theirs, theirs.server('web1', ['127.0.0.1']))
        engine.ask('127.0.0.1', shown.port, folder, 5)
        other = docker_machine.Authority()
        for issued in (
            other.server('web1', ['127.0.0.1']),
            theirs.server('web1', ['127.0.0.2']),
        ):
            shown = self.engine_of(theirs, issued)
            self.fails(engine.EngineUntrusted, shown.port, folder=folder)

    def engine_of(self, authority, issued):
        return self.useFixture(Engine(issued, authority.pair))

    def test_our_certificate_is_of_another_ca(self):
        there = self.engine()
        folder = self.client_folder(self.ca, pki.Authority.create('x'))
        text = self.fails(engine.ClientRefused, there.port, folder=folder)
        self.assertIn('refuses our certificate', text)
        self.assertEqual([], there.asked)

    def test_nothing_listens(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        text = self.fails(engine.EngineRefused, port)
        self.assertIn(f'127.0.0.1:{port}', text)

    def test_silence(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            self.fails(engine.EngineTimeout, port, timeout=0.3)

    def test_a_host_that_is_off_costs_no_more_than_it_has_to(self):
        waited = []

        def connect(where, timeout):
            waited.append(timeout)
            raise TimeoutError

        path = 'dockermachine_osc.engine.client.socket.create_connection'
        self.useFixture(fixtures.MonkeyPatch(path, connect))
        for timeout in (60, 0.1):
            self.fails(engine.EngineTimeout, 2376, timeout=timeout)
        self.assertEqual([1.5, 0.1], waited)

    def test_no_such_name(self):
        self.fails(engine.EngineUnreachable, 1, address='nowhere.invalid')

    def speaks(self, words):
        """Something that says words to whoever connects, and hangs up."""
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(words)

        threading.Thread(target=serve, daemon=True).start()
        return server.getsockname()[1]

    def test_no_tls(self):
        port = self.speaks(b'HTTP/1.1 400 Bad Request\r\n\r\n')
        self.fails(engine.AnswerUnknown, port)

    def test_hangs_up(self):
        self.fails(engine.EngineUnreachable, self.speaks(b''))

    def test_answers_that_are_no_engine_s(self):
        for body in (
            b'',
            b'hello',
            b'[]',
            b'null',
            b'{"Version": "28"}',
            json.dumps(ANSWER | {'Version': 28}).encode(),
            json.dumps(ANSWER | {'Os': '\x1b[2J'}).encode(),
            json.dumps(ANSWER | {'Arch': 'x' * 101}).encode(),
            b'[' * 60_000,
            b'\xff\xfe',
        ):
            there = self.engine(body=body)
            self.fails(engine.AnswerUnknown, there.port)

    def test_answer_without_end(self):
        there = self.engine(body=b' ' * 1_000_000)
        text = self.fails(engine.AnswerUnknown, there.port)
        self.assertIn('too long', text)

    def test_answer_that_comes_for_ever(self):
        """A byte at a time, so that no single read takes too long."""
        for text in (b'HTTP/1.1 200 OK\r\nX: ', b'HTTP/1.1 100 Go on\r\n\r\n'):
            port = self.drips(text)
            self.fails(engine.EngineTimeout, port, timeout=0.5)

    def drips(self, text):
        """An engine of the right CA that says this, and never stops."""
        issued = self.ca.server(NAMES)
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'pem').write_bytes(issued.certificate + issued.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / 'pem')
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)

        def serve():
            plain, _ = server.accept()
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(plain, server_side=True) as client,
            ):
                client.sendall(text)
                while True:
                    time.sleep(0.02)
                    client.sendall(text if b'100' in text else b'x')

        threading.Thread(target=serve, daemon=True).start()
        return server.getsockname()[1]

    def test_error_of_the_engine(self):
        there = self.engine(status=503)
        text = self.fails(engine.AnswerUnknown, there.port)
        self.assertIn('503', text)

    def test_missing_certificates(self):
        (self.folder / 'cert.pem').unlink()
        self.assertRaises(
            errors.StoreFailure, engine.ask, '127.0.0.1', 1, self.folder, 1
        )

    def test_damaged_certificates(self):
        (self.folder / 'ca.pem').write_text('-----BEGIN')
        self.assertRaises(
            errors.StoreFailure, engine.ask, '127.0.0.1', 1, self.folder, 1
        )


class WaitReadyTest(ClientTestCase):
    def wait(self, port, seconds, folder=None):
        return engine.wait_ready(
            '127.0.0.1', port, folder or self.folder, Deadline(seconds)
        )

    def test_comes_up_while_we_wait(self):
        there = self.engine()
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        pauses = []

        class Clock:
            monotonic = time.monotonic

            @staticmethod
            def sleep(seconds):
                pauses.append(seconds)
                if len(pauses) == 8:
                    self.forward(port, there.port)

        path = 'dockermachine_osc.waiting.time'
        self.useFixture(fixtures.MonkeyPatch(path, Clock))
        self.assertEqual('28.2.2', self.wait(port, 60).version)
        self.assertEqual(sorted(pauses), pauses)
        self.assertLess(pauses[0], 0.1)
        self.assertLessEqual(max(pauses), 1)

    def forward(self, port, target):
        """Let one connection through."""
        server = socket.create_server(('127.0.0.1', port))
        self.addCleanup(server.close)

        def copy(source, sink):
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)

        def serve():
            near, _ = server.accept()
            far = socket.create_connection(('127.0.0.1', target))
            with near, far:
                back = threading.Thread(target=copy, args=(far, near))
                back.start()
                copy(near, far)
                back.join()

        threading.Thread(target=serve, daemon=True).start()

    def test_the_last_word_is_the_error(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        self.assertRaises(engine.EngineRefused, self.wait, port, 0.3)

    def test_a_deadline_that_has_passed_is_one_try(self):
        there = self.engine()
        self.assertEqual('28.2.2', self.wait(there.port, -1).version)

    def test_what_waiting_does_not_mend(self):
        there = self.engine()
        folder = self.client_folder(self.ca, pki.Authority.create('x'))
        self.assertRaises(
            engine.ClientRefused,
            self.wait,
            there.port,
            60,
            folder,
        )
