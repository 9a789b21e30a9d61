# SPDX-License-Identifier: Apache-2.0
"""Names, recipes, options and files of guests."""

import dataclasses
import json
import pathlib

import fixtures
from devcloud import settings
from devcloud.guest import (
    aptsources,
    cli,
    errors,
    instance,
    names,
    ports,
    process,
    recipes,
    supervisor,
)
from devcloud.guest import base as trees
from oslotest import base

PORT_ID = '3f5a9c10-0000-4000-8000-000000000000'
NIC = ports.Nic('d65530t3f5a9c10', 'fa:16:3e:00:00:01', 1400)


class GuestTest(base.BaseTestCase):
    """With a home of its own, and the longest port base."""

    def setUp(self) -> None:
        super().setUp()
        self.home = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name, value in (
            ('DEVCLOUD_HOME', str(self.home)),
            ('DEVCLOUD_PORT', '65530'),
        ):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        settings.current.cache_clear()
        self.addCleanup(settings.current.cache_clear)

    def config(self, name: str = 'one', **fields: object) -> instance.Config:
        plain = instance.Config(
            name=name,
            uuid='6d1a4a4e-7b0e-4f56-9d3e-0d8a4d0c9f11',
            hostname='inside',
            base='debian12-0123',
            nics=[NIC],
            dns=['192.0.2.53'],
            created=1.5,
        )
        return dataclasses.replace(plain, **fields)  # type: ignore[arg-type]


class Names(GuestTest):
    def test_fit_the_kernel_and_carry_the_cloud(self) -> None:
        for name in (
            names.tap(PORT_ID),
            names.bridge(PORT_ID),
            names.external_bridge(PORT_ID),
        ):
            self.assertLessEqual(len(name), 15)
            self.assertTrue(name.startswith('d65530'), name)

    def test_own_are_known(self) -> None:
        self.assertTrue(names.is_tap(names.tap(PORT_ID)))
        self.assertTrue(names.is_bridge(names.bridge(PORT_ID)))
        self.assertTrue(names.is_bridge(names.external_bridge(PORT_ID)))

    def test_those_of_others_are_not(self) -> None:
        for name in (
            'd6553t3f5a9c10',
            'd65531t3f5a9c10',
            'docker0',
            'eth0',
            'd65530t3f5a9c1',
            'd65530t3f5a9c1z',
        ):
            self.assertFalse(names.is_tap(name), name)
            self.assertFalse(names.is_bridge(name), name)


class Recipes(GuestTest):
    def test_a_changed_recipe_is_another_directory(self) -> None:
        recipe = recipes.RECIPES['debian12']
        changed = dataclasses.replace(
            recipe, packages=(*recipe.packages, 'tree')
        )
        self.assertNotEqual(recipe.directory, changed.directory)
        self.assertRegex(recipe.directory, '^debian12-[0-9a-f]{12}$')

    def test_words_for_no_such_base_and_one_not_built(self) -> None:
        error = self.assertRaises(errors.GuestError, trees.built, 'arch')
        self.assertIn('debian12, debian12-docker, debian13', str(error))
        error = self.assertRaises(errors.GuestError, trees.built, 'debian13')
        self.assertIn('build-base debian13', str(error))

    def test_sources_of_the_tree(self) -> None:
        mirror = aptsources.Mirror('http://m.example/debian', None)
        lines = trees.apt_sources('trixie', ('updates', 'security'), mirror)
        self.assertEqual(
            ['trixie main', 'trixie-updates main'],
            [line.partition('/debian ')[2] for line in lines],
        )

    def test_without_a_mirror_mmdebstrap_chooses(self) -> None:
        words = trees.command(
            recipes.RECIPES['debian13'], pathlib.Path('/t'), None
        )
        self.assertEqual(['trixie', '/t'], words[-2:])


class Options(GuestTest):
    def test_nic(self) -> None:
        self.assertEqual(
            NIC,
            ports.Nic.parse(
                'vif=d65530t3f5a9c10,mac=FA:16:3E:00:00:01,mtu=1400'
            ),
        )

    def test_bad_nics(self) -> None:
        for text in (
            '',
            'vif=a,mac=b',
            'vif=a,mac=b,mtu=big',
            'eth0',
            'vif=a,mac=b,mtu=1,more=2',
        ):
            self.assertRaises(ValueError, ports.Nic.parse, text)

    def test_console_without_control_characters(self) -> None:
        self.assertEqual(
            '[  OK  ] Started\n',
            cli.CONTROL.sub(
                '', '\x1b[?25l[\x1b[0;32m  OK  \x1b[0m] Started\r\n\x1bc'
            ),
        )


class Files(GuestTest):
    def test_a_definition_is_read_back(self) -> None:
        instance.define(self.config(), None)
        self.assertEqual(self.config(), instance.Config.load('one'))
        self.assertEqual(['one'], instance.names())
        resolv = instance.directory('one', 'upper', 'etc', 'resolv.conf')
        self.assertEqual('nameserver 192.0.2.53\n', resolv.read_text())

    def test_only_root_may_look(self) -> None:
        instance.define(self.config(), None)
        self.assertEqual(
            0o700, instance.directory('one').stat().st_mode & 0o777
        )

    def test_a_mac_address_of_another(self) -> None:
        instance.define(self.config(), None)
        error = self.assertRaises(
            errors.GuestError, instance.define, self.config('two'), None
        )
        self.assertIs(errors.Code.WRONG_STATE, error.code)

    def test_none_of_that_name(self) -> None:
        error = self.assertRaises(
            errors.GuestError, instance.describe, 'nobody'
        )
        self.assertIs(errors.Code.NO_SUCH_INSTANCE, error.code)

    def test_names_that_are_paths(self) -> None:
        for name in ('', '..', 'a/b', '-x', 'a' * 64):
            error = self.assertRaises(
                errors.GuestError, instance.directory, name
            )
            self.assertIs(errors.Code.USAGE, error.code)

    def test_one_of_another_version_is_listed(self) -> None:
        path = instance.directory('old')
        path.mkdir(parents=True)
        (path / 'config.json').write_text(json.dumps({'name': 'old'}))
        found = instance.describe_all()
        self.assertEqual(
            [('old', 'stopped')],
            [(row['name'], row['state']) for row in found],
        )
        error = self.assertRaises(
            errors.GuestError, instance.Config.load, 'old'
        )
        self.assertIn('destroy old', str(error))

    def test_running_is_who_holds_the_lock(self) -> None:
        instance.define(self.config(), None)
        with process.locked(instance.run_lock('one'), wait=False):
            self.assertTrue(instance.is_running('one'))
            self.assertEqual('running', instance.describe('one')['state'])
        self.assertFalse(instance.is_running('one'))

    def test_a_lock_that_is_held(self) -> None:
        path = self.home / 'lock'

        def again() -> None:
            with process.locked(path, wait=False):
                self.fail('twice')

        with process.locked(path):
            self.assertRaises(BlockingIOError, again)

    def test_half_a_definition_is_unfinished(self) -> None:
        instance.define(self.config(), None)
        half = instance.directory('half')
        half.mkdir()
        self.assertEqual([half], instance.unfinished())


class Nspawn(GuestTest):
    def test_what_makes_docker_work_inside(self) -> None:
        instance.define(self.config(), None)
        words = supervisor.nspawn_command(self.config(), '/run/netns/x')
        docker = instance.directory('one', 'docker')
        self.assertIn(f'--bind={docker}:/var/lib/docker', words)
        self.assertIn('--network-namespace-path=/run/netns/x', words)
        self.assertIn('CAP_SYS_TIME', ' '.join(words))
        self.assertEqual('0', supervisor.ENVIRONMENT['SYSTEMD_SECCOMP'])

    def test_the_config_drive_is_read_only(self) -> None:
        drive = self.home / 'drive'
        (drive / 'openstack').mkdir(parents=True)
        instance.define(self.config(), drive)
        seed = instance.directory('one', 'seed', 'config_drive')
        self.assertIn(
            f'--bind-ro={seed}:/var/lib/cloud/seed/config_drive',
            supervisor.nspawn_command(self.config(), '/n'),
        )
