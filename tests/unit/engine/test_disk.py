# SPDX-License-Identifier: Apache-2.0
"""A disk for the engine's data: mkfs and blkid are real, on a file."""

import os

from oslotest import base

from dockermachine_osc import engine
from tests.unit.engine import hostroot

GIB = 2**30
#: Says what lsblk would of the files that $STATE/disks names.
LSBLK = r"""#!/bin/sh
case $1 in
-dnbrpo) cat "$STATE/disks" ;;
*) for last; do :; done; echo "$last"; cat "$last.partitions" 2>/dev/null ;;
esac
"""
#: Keeps the mounts in $STATE/mounts.
MOUNT = '#!/bin/sh\necho "$*" >>"$STATE/mounts"\n'
#: What was in it is on the disk.
UMOUNT = '#!/bin/sh\nmv "$1" "$STATE/disk" && mkdir "$1"\n'


class DataDiskTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.host = self.useFixture(hostroot.HostRoot(unit='debian'))
        self.host.program('lsblk', LSBLK)
        self.host.program('mount', MOUNT)
        self.host.program('umount', UMOUNT)
        self.host.run_dir.mkdir()
        self.disks = []
        self.fstab = self.host.write('etc/fstab', 'LABEL=root / ext4\n')

    def disk(self, name, size=GIB, kind='disk', read_only=0):
        path = self.host.state / name
        with path.open('wb') as sparse:
            os.truncate(sparse.fileno(), size)
        self.disks.append(f'{path} {kind} {read_only} {size}\n')
        (self.host.state / 'disks').write_text(''.join(self.disks))
        return path

    def prepare(self, size=1):
        return self.host.function(f'data_disk={size}; mount_data_disk')

    def mounts(self):
        return (self.host.state / 'mounts').read_text().splitlines()

    def assertFormatted(self, path):
        with path.open('rb') as disk:
            disk.seek(1024 + 0x38)
            # The magic number of ext2 and its successors.
            self.assertEqual(b'\x53\xef', disk.read(2))

    def assertRefused(self, ran):
        self.assertEqual(70, ran.returncode, ran.stdout)
        self.assertIn('failed there is not just one empty disk', ran.stdout)
        self.assertEqual('LABEL=root / ext4\n', self.fstab.read_text())

    def test_the_one_empty_disk_of_that_size(self):
        self.disk('vda', 20 * GIB)
        self.disk('sr0', kind='rom')
        self.disk('vdc', read_only=1)
        chosen = self.disk('vdb')
        self.host.write('var/lib/docker/image/x', 'kept')
        ran = self.prepare()
        self.assertEqual(0, ran.returncode, ran.stdout + ran.stderr)
        self.assertFormatted(chosen)
        lines = self.fstab.read_text().splitlines()
        self.assertEqual('LABEL=root / ext4', lines[0])
        self.assertRegex(lines[1], '^UUID=[0-9a-f-]{36} /var/lib/docker-data')
        targets = [line.split()[1] for line in lines[1:]]
        for line in lines[1:]:
            self.assertIn('required-by=docker.service', line)
        self.assertEqual(targets, self.mounts()[-3:])
        kept = self.host.state / 'disk/docker/image/x'
        self.assertEqual('kept', kept.read_text())

    def test_once_in_a_life(self):
        self.disk('vdb')
        self.prepare()
        before = self.fstab.read_text()
        self.disk('vdc')
        ran = self.prepare()
        self.assertEqual((0, ''), (ran.returncode, ran.stdout))
        self.assertEqual(before, self.fstab.read_text())

    def test_what_is_on_a_disk_is_never_touched(self):
        disk = self.disk('vdb')
        with disk.open('r+b') as content:
            content.write(b'\xeb\x58\x90mkfs.fat')
            content.seek(510)
            content.write(b'\x55\xaa')
        before = disk.read_bytes()[:4096]
        self.assertRefused(self.prepare())
        self.assertEqual(before, disk.read_bytes()[:4096])

    def test_partitions(self):
        disk = self.disk('vdb')
        disk.with_suffix('.partitions').write_text(f'{disk}1\n')
        self.assertRefused(self.prepare())

    def test_none_or_two(self):
        self.disk('vda', 2 * GIB)
        self.assertRefused(self.prepare())
        self.disk('vdb')
        self.disk('vdc')
        self.assertRefused(self.prepare())

    def test_not_asked_for(self):
        disk = self.disk('vdb')
        ran = self.prepare(0)
        self.assertEqual((0, ''), (ran.returncode, ran.stdout))
        self.assertEqual(0, disk.stat().st_blocks)

    def test_the_host_knows_what_a_later_handover_does_not(self):
        disk = self.disk('vdb')
        kept = engine.EngineSettings('m1', data_disk=1).render()
        self.host.write('etc/docker-machine/settings', kept)
        ran = self.prepare(0)
        self.assertEqual(0, ran.returncode, ran.stdout)
        self.assertFormatted(disk)

    def test_a_failure_is_told(self):
        self.disk('vdb')
        self.host.program('mount', '#!/bin/sh\necho no such device; exit 32\n')
        ran = self.prepare()
        self.assertEqual(70, ran.returncode)
        self.assertIn('tail no such device', ran.stdout)
        self.assertIn('cannot be used for the engine', ran.stdout)
