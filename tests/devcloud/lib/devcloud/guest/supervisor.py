# SPDX-License-Identifier: Apache-2.0
"""The process that a running guest hangs on.

It holds the guest's lock, mounts the overlay in a mount namespace of its own
(so that nothing is left to unmount when it dies) and runs systemd-nspawn,
again whenever the guest reboots.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time
import types
import typing
from collections.abc import Iterator

from devcloud import settings
from devcloud.guest import cgroups, errors, instance, ports, process

# What these mean to systemd as process 1, see systemd(1), "Signals".
POWEROFF = signal.SIGRTMIN + 4
REBOOT = signal.SIGRTMIN + 5
# nspawn --keep-unit exits so when the guest reboots: start it again.
NSPAWN_REBOOT = 133
# What no guest may do to the machine that it shares: load modules, touch
# I/O ports, set the clock.
DROPPED_CAPABILITIES = ('CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_TIME')
DEVICES = ('/dev/fuse', '/dev/net/tun')
ENVIRONMENT = {
    'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    # a version 2 tree inside, whatever the host's mode
    'SYSTEMD_NSPAWN_UNIFIED_HIERARCHY': '1',
    # /proc/sys/net writable, as Docker wants it
    'SYSTEMD_NSPAWN_API_VFS_WRITABLE': 'network',
    # runc needs keyctl and bpf, which nspawn's filter refuses
    'SYSTEMD_SECCOMP': '0',
}
LEADER_POLL_S = 0.02
# However the supervisor ends, so does nspawn, and with it, since it is process
# 1 of a pid namespace, the guest.
LEASH = (
    'setpriv',
    '--pdeathsig',
    'KILL',
    'unshare',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
)


def nspawn_command(config: instance.Config, namespace: str) -> list[str]:
    """How systemd-nspawn is called."""

    def of(*parts: str) -> str:
        return str(instance.directory(config.name, *parts))

    words = [
        'systemd-nspawn',
        '--boot',
        '--quiet',
        # there may be no systemd or D-Bus on the host to ask for a scope
        '--register=no',
        '--keep-unit',
        '--settings=no',
        f'--machine={config.name}',
        f'--uuid={config.uuid}',
        f'--directory={of("root")}',
        f'--network-namespace-path={namespace}',
        # a terminal, or else nothing of the boot is seen
        '--console=read-only',
        '--resolv-conf=off',
        '--timezone=off',
        '--link-journal=no',
        '--capability=all',
        f'--drop-capability={",".join(DROPPED_CAPABILITIES)}',
        # Docker's overlay2 cannot stand on an overlay
        f'--bind={of("docker")}:/var/lib/docker',
        f'--bind={of("containerd")}:/var/lib/containerd',
    ]
    # one by one: cloud-init makes and chmods seed/ itself
    words += [
        f'--bind-ro={seed}:/var/lib/cloud/seed/{seed.name}'
        for seed in instance.directory(config.name, 'seed').iterdir()
    ]
    words += [
        f'--bind={device}'
        for device in DEVICES
        if pathlib.Path(device).exists()
    ]
    return words


def find_leader(leash: int) -> int | None:
    """Process 1 of the guest: the child of nspawn, the leash's child."""
    with contextlib.suppress(OSError):
        for nspawn in _children(leash):
            for child in _children(nspawn):
                if _is_init(child):
                    return child
    return None


def _children(pid: int) -> list[int]:
    text = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text()
    return [int(word) for word in text.split()]


def _is_init(pid: int) -> bool:
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    program = pathlib.Path(f'/proc/{pid}/exe').readlink().name
    return (
        program != 'systemd-nspawn'
        and re.search(r'^NSpid:.*\t1$', status, re.M) is not None
    )


class Supervisor:
    """Runs one guest until it is off."""

    def __init__(self, name: str) -> None:
        """:raises GuestError: when there is no such guest"""
        self.config = instance.Config.load(name)
        self.stopping = False
        self.state: dict[str, typing.Any] = {
            'supervisor': os.getpid(),
            'leader': None,
            'boots': 0,
        }

    def run(self) -> int:
        """Returns nspawn's last exit status.

        :raises GuestError: when the guest runs already or cannot be run
        """
        name = self.config.name
        try:
            with process.locked(instance.run_lock(name), wait=False):
                signal.signal(signal.SIGTERM, self._on_term)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                with self._cleaned_up():
                    self._mount()
                    return self._boots()
        except BlockingIOError:
            raise errors.GuestError(
                f'{name} is running', errors.Code.WRONG_STATE
            ) from None

    def _on_term(self, *_: int | types.FrameType | None) -> None:
        self.stopping = True
        self._ask_to_power_off()

    def _ask_to_power_off(self) -> None:
        if self.state['leader']:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.state['leader'], POWEROFF)

    @contextlib.contextmanager
    def _cleaned_up(self) -> Iterator[None]:
        name = self.config.name
        # open, or a directory of its name might get its inode, too
        own = os.open(instance.directory(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield
        finally:
            # a guest whose directory was removed was swept, and what has its
            # name now is another
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(
                    instance.directory(name).stat(), os.fstat(own)
                ):
                    ports.disconnect(name)
                    cgroups.kill(name)
                    cgroups.remove(name)
                    self.state.update(leader=None, supervisor=None)
                    self._publish()

    def _mount(self) -> None:
        name = self.config.name
        lower = settings.current().bases / self.config.base
        upper = instance.directory(name, 'upper')
        work = instance.directory(name, 'work')
        process.run(
            'mount',
            '-t',
            'overlay',
            f'devcloud-{name}',
            '-o',
            f'lowerdir={lower},upperdir={upper},workdir={work}',
            str(instance.directory(name, 'root')),
        )

    def _boots(self) -> int:
        while True:
            status = self._boot()
            print(
                f'{time.strftime("%H:%M:%S")} nspawn exit {status}', flush=True
            )
            if status != NSPAWN_REBOOT or self.stopping:
                return status
            cgroups.remove(self.config.name)

    def _boot(self) -> int:
        name = self.config.name
        namespace = ports.connect(name, self.config.nics)
        groups = cgroups.create(name)
        with instance.directory(name, 'console.log').open('ab') as console:
            nspawn = subprocess.Popen(
                [
                    *_entering(groups),
                    *LEASH,
                    *nspawn_command(self.config, namespace),
                ],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=console,
                start_new_session=True,
            )
        self.state.update(boot=time.time(), boots=self.state['boots'] + 1)
        self._await_leader(nspawn)
        status = nspawn.wait()
        self.state['leader'] = None
        self._publish()
        return status

    def _publish(self) -> None:
        # the guest's directory may have been removed meanwhile
        with contextlib.suppress(FileNotFoundError):
            instance.write_json(self.config.name, 'run.json', self.state)

    def _await_leader(self, nspawn: subprocess.Popen[bytes]) -> None:
        while nspawn.poll() is None:
            self.state['leader'] = find_leader(nspawn.pid)
            if self.state['leader']:
                self._publish()
                if self.stopping:
                    self._ask_to_power_off()
                return
            time.sleep(LEADER_POLL_S)


def _entering(groups: list[pathlib.Path]) -> list[str]:
    """What moves a process into the guest's cgroups before it is nspawn.

    nspawn makes groups below its own, and two in one collide.
    """
    script = (
        'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; '
        'shift; exec "$@"'
    )
    return ['sh', '-ec', script, 'sh', *map(str, groups), '--']
