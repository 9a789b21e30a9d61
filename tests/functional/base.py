# SPDX-License-Identifier: Apache-2.0
"""What the functional tests share: a workstation, and a devcloud that is up.

Start it before: ``tests/devcloud/devcloud up``. Tests run beside others, so
each class of machines has names of its own, and what concerns a whole
project is compared only in the project ``tight``, under a lock.
"""

from __future__ import annotations

import io
import pathlib
import struct
import tarfile
import tempfile
import urllib.error
import urllib.request
import uuid

from oslotest import base

from tests.functional import devcloud
from tests.functional.workstation import Result, Workstation

DOCKER_IMAGE = 'debian-12-docker'
# What docker says when an engine does not take its certificate. With TLS 1.3
# the client writes already when it is refused, and may meet a closed door
# before it hears why (RFC 8446, 4.4.2.4 and 6.1).
REFUSED = '(?i)certificate|tls|connection reset by peer|broken pipe'
_BUSYBOX = pathlib.Path('/bin/busybox')
# PT_INTERP of elf(5).
_INTERPRETER = 3


class FunctionalTest(base.BaseTestCase):
    """A test with a workstation of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.require_devcloud()
        self.here = self.workstation()

    def require_devcloud(self) -> None:
        url = f'http://127.0.0.1:{devcloud.PORT}/v3'
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except (urllib.error.URLError, OSError) as error:
            self.fail(
                f'no devcloud at {url} ({error}): start it with '
                f'DEVCLOUD_PORT={devcloud.PORT} tests/devcloud/devcloud up'
            )

    def workstation(self) -> Workstation:
        """A home folder that nobody has used before."""
        home = tempfile.mkdtemp(prefix='home-')
        return Workstation(pathlib.Path(home))

    # ------------------------------------------------------------ resources

    def name(self, prefix: str, cloud: str = 'devcloud') -> str:
        """A name for a machine; what bears it is gone after the test."""
        name = f'{prefix}-{uuid.uuid4().hex[:6]}'
        self.addCleanup(devcloud.clean, cloud, name)
        return name

    def tight_project(self) -> str:
        """Have the project with the tight quotas for oneself."""
        self.enterContext(devcloud.locked('tight'))
        return 'devcloud-tight'

    def broken_image(self, delay: int = 0) -> str:
        """The id of an image of which Nova can make no server: ERROR.

        :param delay: seconds after which it does not build it.
        """
        image = devcloud.connect('devcloud').image
        made = image.create_image(
            f'broken-{uuid.uuid4().hex[:6]}',
            data=b'nothing',
            disk_format='raw',
            container_format='bare',
            wait=True,
            guest_base='no-such-tree',
            guest_delay=str(delay),
        )
        self.addCleanup(image.delete_image, made)
        return str(made.id)

    # ------------------------------------------------------------- the tool

    def create(
        self, name: str, *options: str, cloud: str = 'devcloud', code: int = 0
    ) -> Result:
        """Create a machine, by default from the image with Docker inside."""
        if '--image' not in options:
            options = (*options, '--image', DOCKER_IMAGE)
        return self.here.machine(
            'create', name, *options, '-f', 'json', cloud=cloud, code=code
        )

    def refused(self, *command: str, cloud: str = 'devcloud') -> str:
        """Run what must be refused with exit code 1; gives stderr.

        Nothing may have been printed as a result, or be a traceback.
        """
        done = self.here.machine(*command, cloud=cloud, code=1)
        self.assertEqual('', done.out)
        self.assertNotIn('Traceback', done.err)
        return done.err

    def run_container(self, context: str) -> None:
        """Run a container through a Docker context, image made on the spot."""
        docker = ('--context', context)
        self.here.docker(
            *docker, 'import', '-', 'busybox', stdin=busybox_image()
        )
        done = self.here.docker(
            *docker, 'run', '--rm', 'busybox', '/bin/echo', 'hello'
        )
        self.assertEqual('hello\n', done.out)

    def assertNothingLeft(self, name: str, cloud: str = 'devcloud') -> None:
        """Assert that neither cloud nor workstation know the name."""
        self.assertEqual([], devcloud.belongings(cloud, name))
        self.assertEqual([], self.here.traces(name))


def busybox_image() -> bytes:
    """A tar file for `docker import`: one static program, no registry.

    :raises AssertionError: when this host has no static busybox.
    """
    program = _BUSYBOX.read_bytes() if _BUSYBOX.exists() else b''
    if not _is_static(program):
        raise AssertionError(
            f'{_BUSYBOX} is not there or not static: '
            'apt-get install busybox-static'
        )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        member = tarfile.TarInfo('bin/busybox')
        member.size, member.mode = len(program), 0o755
        archive.addfile(member, io.BytesIO(program))
        for name in ('sh', 'echo', 'sleep', 'wget', 'httpd'):
            link = tarfile.TarInfo(f'bin/{name}')
            link.type, link.linkname = tarfile.SYMTYPE, 'busybox'
            archive.addfile(link)
    return buffer.getvalue()


def _is_static(program: bytes) -> bool:
    """Whether a 64-bit ELF file has no segment that names an interpreter."""
    if program[:5] != b'\x7fELF\x02':
        return False
    offset, size, count = struct.unpack_from('<Q14xHH', program, 0x20)
    kinds = (
        struct.unpack_from('<I', program, offset + i * size)[0]
        for i in range(count)
    )
    return _INTERPRETER not in kinds
