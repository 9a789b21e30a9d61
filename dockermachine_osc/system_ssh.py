# SPDX-License-Identifier: Apache-2.0
"""A host reached by the system's own ssh program.

For hosts that are the user's: whatever ~/.ssh/config, the agent, a jump
host, or a token say about how to get there holds, as ssh alone can tell.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import IO

from dockermachine_osc import errors, output, pulse
from dockermachine_osc.host import (
    AuthenticationRefused,
    ConnectionLost,
    HostKeyChanged,
    Result,
    Unreachable,
)

#: ssh's own failures, ssh(1).
_SSH_FAILED = 255
_CONNECT_TIMEOUT = 15
#: Seconds for what ssh has said before its end. A ProxyCommand may live on,
#: and keep the pipe open.
_LAST_WORDS = 1.0


class SystemHost:
    """A host at the end of an ssh command line.

    :param argv: from :func:`dockermachine_osc.openssh.ssh`, without a
        command.
    :raises HostFailure: if there is no ssh here.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        program = shutil.which(argv[0])
        if program is None:
            raise _no_ssh()
        # Whatever the user has set for a session of his own: a host has no
        # need of his agent, his screen, or his ports while it is set up.
        options = [
            '-T',
            '-a',
            '-x',
            '-o',
            'ClearAllForwardings=yes',
            '-o',
            'BatchMode=yes',
            '-o',
            f'ConnectTimeout={_CONNECT_TIMEOUT}',
            '-o',
            f'ServerAliveInterval={pulse.INTERVAL:.0f}',
            '-o',
            f'ServerAliveCountMax={pulse.PATIENCE / pulse.INTERVAL:.0f}',
        ]
        self._argv = [program, *options, *argv[1:]]

    def run(
        self,
        command: str,
        stdin: bytes = b'',
        on_line: Callable[[str], None] = lambda line: None,
        timeout: float = 600,
    ) -> Result:
        """Run one command; secrets belong in stdin, never in the command.

        :param on_line: is given each line of stdout as it comes.
        :param timeout: seconds for all of it.
        :raises HostFailure: if ssh itself fails, in its own words.
        """
        with subprocess.Popen(
            [*self._argv, '--', command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            timer = threading.Timer(timeout, process.kill)
            timer.start()
            try:
                result = _converse(process, stdin, on_line)
            except BaseException:
                process.kill()
                raise
            finally:
                timer.cancel()
        if result.status == _SSH_FAILED:
            failure = _failure(result.stderr)
            if result.stdout:
                # The command had begun.
                raise ConnectionLost(failure.message)
            raise failure
        if result.status < 0:
            raise errors.HostFailure(
                f'The host was not done within {timeout:g} s',
                'Give it longer with --timeout',
            )
        return result


def configuration(argv: Sequence[str]) -> str:
    """Give what ssh would do for a command line, as `ssh -G` prints it.

    :raises HostFailure: if there is no ssh here, or it takes offence.
    """
    program = shutil.which(argv[0])
    if program is None:
        raise _no_ssh()
    done = subprocess.run(
        [program, '-G', *argv[1:]], capture_output=True, check=False
    )
    if done.returncode:
        raise _failure(done.stderr.decode(errors='replace'))
    return done.stdout.decode(errors='replace')


def reaches(address: str, port: int, timeout: float) -> bool:
    """Tell whether packets reach a port: it answers, or says no."""
    try:
        socket.create_connection((address, port), timeout).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def _no_ssh() -> errors.HostFailure:
    return errors.HostFailure(
        'This needs the program ssh, which is not on PATH',
        'Install it: the package is often named openssh-client',
    )


def _converse(
    process: subprocess.Popen[bytes],
    stdin: bytes,
    on_line: Callable[[str], None],
) -> Result:
    """Write and read at the same time, so that no pipe blocks another."""
    assert process.stdin and process.stdout and process.stderr  # noqa: S101
    said = bytearray()
    threads = [
        threading.Thread(target=target, args=arguments, daemon=True)
        for target, arguments in (
            (_feed, (process.stdin, stdin)),
            (_keep_last, (os.dup(process.stderr.fileno()), said)),
        )
    ]
    for thread in threads:
        thread.start()
    taken = output.Output(on_line)
    descriptor = process.stdout.fileno()
    while data := os.read(descriptor, output.LIMIT):
        taken.take(data)
    status = process.wait()
    for thread in threads:
        thread.join(_LAST_WORDS)
    stderr = bytes(said).decode(errors='replace')
    return Result(status, taken.end().rstrip('\n'), stderr)


def _feed(pipe: IO[bytes], data: bytes) -> None:
    try:
        with pipe:
            pipe.write(data)
    except BrokenPipeError:
        # The other side has ended early; its exit code tells why.
        return


def _keep_last(descriptor: int, said: bytearray) -> None:
    """Read all there is, so that nobody blocks, and keep the end.

    :param descriptor: is closed at its end, and by nobody before.
    """
    try:
        while piece := os.read(descriptor, output.LIMIT):
            said += piece
            del said[: -output.LIMIT]
    finally:
        os.close(descriptor)


def _failure(stderr: str) -> errors.HostFailure:
    """Give ssh's words, as the error that they mean."""
    words = ' '.join(stderr.split())[-500:] or 'it says nothing'
    if 'host key' in words.lower():
        return HostKeyChanged(
            f'ssh does not trust the host: {words}',
            'If you know better: connect once with ssh by hand',
        )
    if 'permission denied' in words.lower():
        return AuthenticationRefused(
            f'ssh is not let in: {words}',
            'Check --ssh-user and --ssh-key; ssh-add -l shows what the '
            'agent has',
        )
    return Unreachable(f'ssh failed: {words}')
