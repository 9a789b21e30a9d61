# SPDX-License-Identifier: Apache-2.0
"""An engine that is in the image answers without anybody logging in."""

import ssl

from dockermachine_osc import engine, errors, pki, store
from dockermachine_osc.engine.options import EngineOptions
from dockermachine_osc.machines import errand
from tests.unit import selfsigning, workbench

INSTALLING = 'docker-machine {id} installing engine end\n'
INSTALLED = 'docker-machine {id} installed 28.2.2 end\n'
FAILED = 'docker-machine {id} failed apt-get: no way end\n'
RUN = errand.run


class TestAtOnce(workbench.MachinesTestCase):
    def setUp(self):
        super().setUp()
        self.asked_for = []
        self.certificates = []
        self.guest.patch('engine.wait_ready', self.wait_ready)
        self.fake.console = self.console
        #: How the host makes its certificate.
        self.make = selfsigning.make
        #: How the engine fails at the first questions.
        self.failures = []
        #: What else the console tells, look by look, and then the last.
        self.tells = ['']

    def console(self, server):
        text = workbench.CONSOLE
        machine_id = server['metadata']['docker-machine:id']
        asked, _ = selfsigning.told(self.fake.booted[-1]['user_data'])
        if asked and self.make:
            der, _ = self.make(asked)
            self.certificates.append(der)
            text += selfsigning.on_console(machine_id, der)
        text += self.tells[0]
        del self.tells[: len(self.tells) > 1]
        return text.replace('{id}', machine_id)

    def wait_ready(self, address, port, folder, deadline):
        self.asked_for.append((folder / 'ca.pem').read_text())
        if self.failures:
            self.clock.now += deadline.remaining
            raise self.failures.pop(0)
        return workbench.FACTS

    def in_the_end(self, *arguments):
        """Run an errand, after which the engine answers."""
        self.failures.clear()
        return RUN(*arguments)

    def kept(self, name='web1'):
        return self.files.machine(name)

    def assertVisited(self):
        """Assert that it was set up over SSH, and that its CA alone counts."""
        self.assertEqual(1, len(self.guest.logins))
        ca = self.kept().read(store.CA).decode()
        self.assertEqual(1, ca.count('BEGIN CERTIFICATE'))
        self.assertEqual(ca, self.asked_for[-1])

    def test_nobody_logs_in(self):
        record = self.create().server.record
        self.assertEqual([], self.guest.logins)
        self.assertEqual('ready', record.state)
        self.assertEqual('28.2.2', record.engine_version)
        self.assertEqual('debian', record.ssh_user)
        self.assertEqual(workbench.ED25519, record.host_key)
        pinned = self.kept().read(store.KNOWN_HOSTS).decode()
        self.assertEqual(f'{record.address} {workbench.ED25519}\n', pinned)

    def test_what_is_trusted(self):
        record = self.create().server.record
        (der,) = self.certificates
        own = ssl.DER_cert_to_PEM_cert(der)
        trusted = self.kept().read(store.CA).decode()
        ca = self.kept().read(store.CA)
        self.assertEqual(2, trusted.count('BEGIN CERTIFICATE'))
        self.assertIn(own, trusted)
        # The machine's own CA stays the first.
        self.assertEqual(record.ca_fingerprint, pki.facts(ca).fingerprint)
        shown = pki.facts(own.encode())
        self.assertEqual(record.server_fingerprint, shown.fingerprint)
        self.assertIn(record.address, shown.names)
        self.assertEqual([trusted], self.asked_for)

    def test_clients_of_its_ca_are_let_in(self):
        self.create()
        _, ca = selfsigning.told(self.fake.booted[-1]['user_data'])
        trusted = self.kept().read(store.CA).decode()
        self.assertTrue(trusted.startswith(ca))

    def test_what_takes_a_visit(self):
        for number, options in enumerate(
            (
                {'user_data': b'#!/bin/sh\n'},
                {'engine_options': EngineOptions(labels={'a': 'b'})},
                {'post_script': b'#!/bin/sh\n'},
                {'engine_version': '28'},
                {'engine_source': 'none'},
                {'access': 'ssh'},
            )
        ):
            if 'user_data' not in options:
                self.create(f'web{number}', **options)
                asked, ca = selfsigning.told(self.fake.booted[-1]['user_data'])
                self.assertEqual(('', ''), (asked, ca), options)
            else:
                self.fake.console = workbench.CONSOLE
                self.create(f'web{number}', **options)
                self.fake.console = self.console
            self.assertEqual(number + 1, len(self.guest.logins), options)

    def test_an_image_without_an_engine(self):
        self.make = None
        self.create()
        self.assertVisited()

    def test_a_certificate_that_was_not_asked_for(self):
        self.make = lambda asked: selfsigning.make(f'{asked},DNS:other')
        self.create()
        self.assertVisited()

    def test_two_certificates(self):
        def console(server):
            return self.console(server) + self.console(server)

        self.fake.console = console
        self.create()
        self.assertEqual(2, len(self.certificates))
        self.assertVisited()

    def test_a_console_without_the_keys_of_the_host(self):
        """Somebody has to log in, so that they are known."""

        def console(server):
            lines = self.console(server).splitlines(keepends=True)
            return ''.join(x for x in lines if workbench.ED25519 not in x)

        self.fake.console = console
        self.create()
        self.assertVisited()

    def test_an_engine_that_does_not_come(self):
        for failure in (
            engine.EngineRefused('No engine listens'),
            engine.EngineTimeout('Nobody answers'),
            engine.EngineUntrusted('Another certificate'),
            engine.ClientRefused('Ours is not valid'),
            errors.DeadlineExceeded('Silence'),
        ):
            self.failures = [failure]
            self.guest.logins.clear()
            self.create()
            self.assertVisited()
            self.delete()

    def test_one_that_is_installed_first(self):
        self.tells = [INSTALLING]
        self.failures = [engine.EngineRefused('Not yet') for _ in range(11)]
        began = self.clock.now
        record = self.create().server.record
        self.assertEqual([], self.guest.logins)
        self.assertEqual('28.2.2', record.engine_version)
        self.assertIn('Installing the engine', self.told.steps)
        self.assertLess(55, self.clock.now - began)
        # Each time but the last, and before.
        self.assertEqual(12, len(self.certificates))

    def test_an_installation_that_takes_long(self):
        """Whoever logs in sees what it is at."""
        self.tells = [INSTALLING]
        self.failures = [engine.EngineRefused('Not yet') for _ in range(99)]
        began = self.clock.now
        self.guest.patch('machines.errand.run', self.in_the_end)
        self.create()
        self.assertVisited()
        self.assertLess(self.clock.now - began, 75)

    def test_an_installation_that_fails(self):
        """The host tells why, with its log."""
        self.tells = [INSTALLING, INSTALLING, INSTALLING + FAILED]
        self.failures = [engine.EngineRefused('Not yet') for _ in range(2)]
        began = self.clock.now
        self.create()
        self.assertVisited()
        self.assertLess(self.clock.now - began, 20)

    def test_one_that_is_installed_and_does_not_start(self):
        self.tells = [INSTALLING, INSTALLING + INSTALLED]
        self.failures = [engine.EngineRefused('Not yet') for _ in range(2)]
        self.create()
        self.assertVisited()

    def test_another_engine_is_installed(self):
        self.tells = [INSTALLING]
        self.failures = [engine.EngineUntrusted('Another certificate')]
        self.create()
        self.assertVisited()
        self.assertEqual(1, len(self.certificates))

    def test_killed_before_it_answers(self):
        self.failures = [KeyboardInterrupt()]
        self.assertRaises(KeyboardInterrupt, self.create)
        self.assertFalse(self.fake.things['servers'])
        self.assertEqual([], self.local())

    def test_provision_hands_over_a_certificate_of_the_ca(self):
        self.create()
        self.guest.patch('engine.ask', self.refuse)
        self.machines.provision('web1', self.told, 60)
        self.assertVisited()

    def renew(self, role):
        self.machines.renew('web1', frozenset({role}), self.told, 60)

    def refuse(self, *arguments):
        raise engine.EngineRefused('No engine listens')

    def test_a_new_client_certificate_leaves_the_engine_trusted(self):
        self.create()
        before = self.kept().read(store.CA)
        self.renew('client')
        self.assertEqual(before, self.kept().read(store.CA))
        self.renew('server')
        self.assertVisited()
