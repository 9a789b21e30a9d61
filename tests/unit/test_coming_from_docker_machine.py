# SPDX-License-Identifier: Apache-2.0
"""The page for users of Docker Machine: nothing missing, nothing invented."""

import configparser
import importlib
import logging
import pathlib
import re

from openstackclient import shell
from oslotest import base

from dockermachine_osc import contexts, home

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / 'doc/source/user/coming-from-docker-machine.rst'
#: What stands where there is no counterpart.
NONE = ('left out', 'not there yet')

# Docker Machine 0.16.2: `docker-machine help`, and that of each command;
# commands/commands.go and commands/create.go in its repository.
COMMANDS = """
active config create env help inspect ip kill ls mount provision
regenerate-certs restart rm scp ssh start status stop upgrade url version
"""
COMMAND_OPTIONS = {
    'active': '--timeout',
    'config': '--swarm',
    'env': '--swarm --shell --unset --no-proxy',
    'inspect': '--format',
    'ls': '--quiet --filter --timeout --format',
    'mount': '--unmount',
    'regenerate-certs': '--force --client-certs',
    'rm': '--force -y',
    'scp': '--recursive --delta --quiet',
}
COMMON = """
--debug -D MACHINE_DEBUG --storage-path -s MACHINE_STORAGE_PATH
--tls-ca-cert MACHINE_TLS_CA_CERT --tls-ca-key MACHINE_TLS_CA_KEY
--tls-client-cert MACHINE_TLS_CLIENT_CERT
--tls-client-key MACHINE_TLS_CLIENT_KEY
--github-api-token MACHINE_GITHUB_API_TOKEN
--native-ssh MACHINE_NATIVE_SSH
--bugsnag-api-token MACHINE_BUGSNAG_API_TOKEN
--help -h --version -v
--driver -d MACHINE_DRIVER
--engine-install-url MACHINE_DOCKER_INSTALL_URL
--engine-opt --engine-label --engine-insecure-registry --engine-env
--engine-registry-mirror ENGINE_REGISTRY_MIRROR --engine-storage-driver
--tls-san
--swarm --swarm-master --swarm-image MACHINE_SWARM_IMAGE --swarm-discovery
--swarm-strategy --swarm-opt --swarm-join-opt --swarm-host --swarm-addr
--swarm-experimental
"""
# drivers/openstack/openstack.go, GetCreateFlags.
OPENSTACK = """
--openstack-auth-url OS_AUTH_URL --openstack-insecure OS_INSECURE
--openstack-cacert OS_CACERT
--openstack-domain-id OS_DOMAIN_ID --openstack-domain-name OS_DOMAIN_NAME
--openstack-username OS_USERNAME --openstack-password OS_PASSWORD
--openstack-tenant-name OS_TENANT_NAME --openstack-tenant-id OS_TENANT_ID
--openstack-region OS_REGION_NAME
--openstack-availability-zone OS_AVAILABILITY_ZONE
--openstack-endpoint-type OS_ENDPOINT_TYPE
--openstack-flavor-id OS_FLAVOR_ID --openstack-flavor-name OS_FLAVOR_NAME
--openstack-image-id OS_IMAGE_ID --openstack-image-name OS_IMAGE_NAME
--openstack-keypair-name OS_KEYPAIR_NAME
--openstack-private-key-file OS_PRIVATE_KEY_FILE
--openstack-net-id OS_NETWORK_ID --openstack-net-name OS_NETWORK_NAME
--openstack-sec-groups OS_SECURITY_GROUPS
--openstack-nova-network OS_NOVA_NETWORK
--openstack-floatingip-pool OS_FLOATINGIP_POOL
--openstack-ip-version OS_IP_VERSION
--openstack-ssh-user OS_SSH_USER --openstack-ssh-port OS_SSH_PORT
--openstack-active-timeout OS_ACTIVE_TIMEOUT
--openstack-config-drive OS_CONFIG_DRIVE
--openstack-user-data-file OS_USER_DATA_FILE
--openstack-metadata OS_METADATA
"""
# drivers/generic/generic.go, GetCreateFlags.
GENERIC = """
--generic-ip-address GENERIC_IP_ADDRESS --generic-ssh-user GENERIC_SSH_USER
--generic-ssh-key GENERIC_SSH_KEY --generic-ssh-port GENERIC_SSH_PORT
--generic-engine-port GENERIC_ENGINE_PORT
"""


def original_names():
    """Give all names of the original, an option with its command."""
    return {
        *(COMMANDS + COMMON + OPENSTACK + GENERIC).split(),
        *(
            f'{command} {option}'
            for command, options in COMMAND_OPTIONS.items()
            for option in options.split()
        ),
        '--driver generic',
    }


def rows():
    """Give the rows of the page's tables, each as three texts."""
    found = []
    for line in PAGE.read_text().splitlines():
        if line.startswith('   * - '):
            found.append([])
        if cell := re.match(r'   [*  ] -( .*)?$', line):
            found[-1].append((cell[1] or '').strip())
        elif found and line.startswith('       '):
            found[-1][-1] += ' ' + line.strip()
    return [row for row in found if row[0] != 'Docker Machine']


def names(cell):
    return re.findall('``(.+?)``', cell)


class PageTest(base.BaseTestCase):
    def test_rows(self):
        for row in rows():
            self.assertEqual(3, len(row), row)
            self.assertTrue(names(row[0]), row)
            self.assertTrue(names(row[1]) or row[1] in NONE, row)
            if row[1] in NONE:
                self.assertTrue(row[2], f'{row[0]}: why?')

    def test_nothing_is_missing(self):
        there = [name for row in rows() for name in names(row[0])]
        self.assertEqual(set(), original_names() - set(there))
        self.assertEqual(set(), set(there) - original_names())
        self.assertEqual(len(set(there)), len(there), 'a name stands twice')

    def test_everybody_finds_it(self):
        index = PAGE.with_name('index.rst').read_text()
        self.assertIn(f'\n   {PAGE.stem}\n', index)


class OursTest(base.BaseTestCase):
    """What is named in the second column can be typed."""

    def setUp(self):
        super().setUp()
        for name in ('stevedore', 'cliff'):
            logging.getLogger(name).setLevel(logging.WARNING)
        settings = configparser.ConfigParser(delimiters=('=',))
        settings.read(ROOT / 'setup.cfg')
        text = settings['entry_points']['openstack.docker_machine.v1']
        entries = (line.split('=') for line in text.strip().splitlines())
        prefix = 'docker_machine_'
        self.commands = {
            name.strip().removeprefix(prefix).replace('_', ' '): place.strip()
            for name, place in entries
        }

    def options(self, command):
        if command == 'openstack':
            return shell.OpenStackShell().parser._option_string_actions
        module, name = self.commands[command].split(':')
        factory = getattr(importlib.import_module(module), name)
        parser = factory(None, None).get_parser(command)
        return parser._option_string_actions

    def command_of(self, words):
        """Give the longest command that the words begin with."""
        for length in range(len(words), 0, -1):
            command = ' '.join(words[:length])
            if command in self.commands or command == 'openstack':
                return command
        return None

    def assertCanBeTyped(self, text):
        words = text.split()
        command = self.command_of(words)
        self.assertIsNotNone(command, f'no such command: {text}')
        for word in words:
            if word.startswith('-'):
                self.assertIn(word, self.options(command), text)

    def test_second_column(self):
        variables = (home.ROOT_VARIABLE, contexts.CONFIG_VARIABLE)
        for row in rows():
            for name in names(row[1]):
                if name not in variables:
                    self.assertCanBeTyped(name)

    def test_what_the_text_says(self):
        """Our commands with options in the third column and below."""
        for row in rows():
            for name in names(row[2]):
                words = name.split()
                if self.command_of(words) and len(words) > 1:
                    self.assertCanBeTyped(
                        name.removeprefix('openstack docker machine ')
                    )

    def test_not_there_yet_is_true(self):
        """Whoever adds a command finds its row here."""
        for row in rows():
            if row[1] == 'not there yet':
                for name in names(row[0]):
                    self.assertNotIn(name, self.commands)
                    self.assertNotIn(name, self.options('create'))

    def test_parsers_are_real(self):
        self.assertIn('--flavor', self.options('create'))
        self.assertIn('--os-cloud', self.options('openstack'))
        self.assertIsNone(self.command_of(['no-such-command']))
        self.assertRaises(
            AssertionError, self.assertCanBeTyped, 'create --no-such-option'
        )
