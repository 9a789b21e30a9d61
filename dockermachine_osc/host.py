# SPDX-License-Identifier: Apache-2.0
"""One SSH connection to a host: its key verified, then run, put and get.

Knows nothing of OpenStack or Docker. Uses paramiko; the key of the host is
checked against what is known, before a byte of ours is sent. Only when
nothing could be known is the first key that is shown trusted, and pinned.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import paramiko

from dockermachine_osc import errors, output, pulse
from dockermachine_osc.waiting import Deadline

#: Seconds for one TCP connection; for each of SSH's banner, the exchange of
#: keys, and the log-in.
CONNECT_TIMEOUT = 5.0
_LOGIN_TIMEOUT = 20.0
_CHUNK = 32768
#: What paramiko raises for a public key that is none, found by trying.
_BAD_KEY = (
    paramiko.SSHException,
    paramiko.hostkeys.InvalidHostKey,
    ValueError,
    OverflowError,
)


class AuthenticationRefused(errors.HostFailure):
    """The host does not let this user in with this key."""


class HostKeyChanged(errors.HostFailure):
    """The host shows another key than the one that is known."""


class Unreachable(errors.HostFailure):
    """Nobody answers, or hangs up before we are logged in."""


class ConnectionLost(errors.HostFailure):
    """The connection broke while the host was at work."""


@dataclasses.dataclass(frozen=True)
class Login:
    """Who logs in and how.

    ``key`` is a private key file of ours or the user's; without one the
    agent and the user's default keys are tried, as ssh does.
    """

    user: str
    key: Path | None
    agent: bool = False


@dataclasses.dataclass(frozen=True)
class Result:
    """What a remote command came to; output is decoded and bounded."""

    status: int
    stdout: str
    stderr: str


def check_key(public: str, key: Path | None) -> None:
    """Make sure that the private half of a public key is at hand.

    :param public: an OpenSSH public key, as Nova has it.
    :param key: the private key file, or None for the agent and ~/.ssh.
    :raises InvalidRequest: if it is not there, or another one.
    """
    wanted = public.split()[1:2]
    if key:
        has = _public_half(key)
        if has and has != wanted:
            raise errors.InvalidRequest(
                f'{key} is not the private key of the key pair that was named',
                'Compare: ssh-keygen -y -f <file>, and openstack keypair '
                'show --public-key <key-name>',
            )
        return
    at_hand = [k.get_base64() for k in paramiko.Agent().get_keys()]
    for file in sorted(Path('~/.ssh').expanduser().glob('id_*')):
        if file.suffix != '.pub':
            at_hand += _public_half(file)
    if wanted[0] not in at_hand:
        raise errors.InvalidRequest(
            'Neither the agent nor ~/.ssh has the private key of the key '
            'pair that was named',
            'Add it: ssh-add <file>, or name it with --ssh-key',
        )


def _public_half(key: Path) -> list[str]:
    """Give the base64 part of a key file's public half, [] if unknown.

    That of a key with a passphrase stands in the .pub file beside it.
    """
    try:
        return [paramiko.PKey.from_path(key).get_base64()]
    except (paramiko.SSHException, ValueError, OSError, TypeError):
        pass
    try:
        return key.with_name(f'{key.name}.pub').read_text().split()[1:2]
    except (OSError, ValueError):
        return []


def wait_open(
    address: str,
    port: int,
    deadline: Deadline,
    meanwhile: Callable[[], object] = bool,
) -> None:
    """Wait until something answers with an SSH banner.

    :param meanwhile: called after each look in vain; may raise.
    :raises DeadlineExceeded: saying whether the port was silent or refused.
    """
    problem = ''
    for _ in deadline.polls(first=0.1, most=1.0):
        most = max(0.1, min(CONNECT_TIMEOUT, deadline.remaining))
        problem = probe(address, port, most)
        if not problem:
            return
        meanwhile()
    raise deadline.exceeded(
        f'SSH at {address} port {port} did not answer ({problem})'
    )


def probe(address: str, port: int, timeout: float = CONNECT_TIMEOUT) -> str:
    """Ask for an SSH banner once; '' if it came, else what happened.

    :param timeout: seconds for each of connecting and the banner.
    """
    try:
        with socket.create_connection((address, port), timeout) as s:
            s.settimeout(timeout)
            banner = s.recv(4)
    except TimeoutError:
        return 'no answer'
    except OSError as error:
        return str(error.strerror or error).lower()
    return '' if banner == b'SSH-' else 'something else than SSH answers'


@contextlib.contextmanager
def connect(
    address: str,
    port: int,
    login: Login,
    known_keys: Sequence[str],
) -> Iterator[Host]:
    """Log in; the connection ends with the context.

    :param known_keys: the host's public keys, as lines 'type base64'; if
        empty, the key that the host shows is trusted and to be pinned.
    :raises AuthenticationRefused: if the host does not let us in.
    :raises HostKeyChanged: if the host has none of the known keys.
    :raises HostFailure: if it cannot be reached or speaks no SSH.
    """
    client = paramiko.SSHClient()
    _trust(client, address, port, known_keys)
    where = f'{login.user}@{address} port {port}'
    try:
        with _in_words(where, login):
            client.connect(
                address,
                port,
                username=login.user,
                # Paramiko's own time for connecting is also that for the
                # exchange of keys, which a busy host needs longer for.
                sock=socket.create_connection(
                    (address, port), CONNECT_TIMEOUT
                ),
                key_filename=str(login.key) if login.key else None,
                allow_agent=login.agent,
                look_for_keys=login.agent and not login.key,
                timeout=_LOGIN_TIMEOUT,
                banner_timeout=_LOGIN_TIMEOUT,
                auth_timeout=_LOGIN_TIMEOUT,
            )
        yield Host(client)
    finally:
        client.close()


def _trust(
    client: paramiko.SSHClient, address: str, port: int, keys: Sequence[str]
) -> None:
    if not keys:
        client.set_missing_host_key_policy(_TrustFirst())
        return
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    name = address if port == 22 else f'[{address}]:{port}'
    for line in keys:
        # A key that is none leaves nothing to trust: the host is refused.
        with contextlib.suppress(*_BAD_KEY):
            entry = paramiko.hostkeys.HostKeyEntry.from_line(f'{name} {line}')
            if entry is not None and entry.key is not None:
                kind = entry.key.get_name()
                client.get_host_keys().add(name, kind, entry.key)


class _TrustFirst(paramiko.MissingHostKeyPolicy):
    """Accept without writing anywhere: the caller pins Host.key_line."""

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        return


@contextlib.contextmanager
def _in_words(where: str, login: Login) -> Iterator[None]:
    try:
        yield
    except paramiko.BadHostKeyException as error:
        raise HostKeyChanged(
            f'{where} shows another host key than the one known: '
            f'{error.key.get_name()} {error.key.fingerprint}',
            'Somebody may be in between. Nothing was sent. If the server '
            'was rebuilt on purpose, delete the machine and make it anew',
        ) from error
    except paramiko.PasswordRequiredException as error:
        raise AuthenticationRefused(
            f'The key {login.key} has a passphrase',
            f'Add it to your agent first: ssh-add {login.key}',
        ) from error
    except paramiko.AuthenticationException as error:
        raise AuthenticationRefused(
            f'{where} does not accept '
            + (f'the key {login.key}' if login.key else "the agent's keys"),
            'Check --ssh-user, --ssh-key and --key-name; ssh-add -l shows '
            'what the agent has',
        ) from error
    except paramiko.SSHException as error:
        if 'not found in known_hosts' in str(error):
            raise HostKeyChanged(
                f'{where} shows none of the host keys that are known'
            ) from error
        raise Unreachable(f'SSH to {where} failed: {error}') from error
    except (OSError, EOFError) as error:
        why = getattr(error, 'strerror', None) or error
        raise Unreachable(f'SSH to {where} failed: {why}') from error


class Host:
    """A host that we are logged in to."""

    def __init__(self, client: paramiko.SSHClient) -> None:
        self._client = client

    @property
    def key_line(self) -> str:
        """The key that the host has shown, as 'type base64'."""
        key = self._transport().get_remote_server_key()
        return f'{key.get_name()} {key.get_base64()}'

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
        :raises ConnectionLost: if the connection breaks.
        :raises HostFailure: if it takes longer.
        """
        transport = self._transport()
        with pulse.watched(transport) as alive:
            try:
                channel = transport.open_session(timeout=_LOGIN_TIMEOUT)
                with contextlib.closing(channel):
                    channel.exec_command(command)
                    talk = _Talk(channel, Deadline(timeout), on_line)
                    status = talk.converse(stdin)
            except TimeoutError as error:
                raise errors.HostFailure(
                    f'The host was not done within {timeout:g} s',
                    'Give it longer with --timeout',
                ) from error
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise _lost(alive, f': {error}') from error
        if status < 0:
            raise _lost(alive, ', or the command on the host was killed')
        return talk.result(status)

    def _transport(self) -> paramiko.Transport:
        transport = self._client.get_transport()
        if transport is None:
            raise errors.HostFailure('The SSH connection is closed')
        return transport


def _lost(alive: pulse.Pulse, how: str) -> ConnectionLost:
    if alive.lost:
        how = f': nothing came from the host any more for {pulse.PATIENCE:g} s'
    return ConnectionLost(f'The SSH connection broke{how}')


class _Talk:
    """Gives stdin to a command and takes what it writes until it ends."""

    def __init__(
        self,
        channel: paramiko.Channel,
        deadline: Deadline,
        on_line: Callable[[str], None],
    ) -> None:
        self._channel = channel
        self._deadline = deadline
        self._stdout = output.Output(on_line)
        self._stderr = bytearray()

    def converse(self, stdin: bytes) -> int:
        """Give the command's exit status, negative if none came.

        :raises TimeoutError: if it is not done in time.
        """
        # On the side: a host that waits for somebody to read its stderr would
        # never come to the end of its stdout.
        reader = threading.Thread(target=self._drain_stderr, daemon=True)
        reader.start()
        self._wait_no_longer()
        if stdin:
            self._channel.sendall(stdin)
        self._channel.shutdown_write()
        self._read_stdout()
        reader.join(_LOGIN_TIMEOUT)
        return self._exit_status()

    def result(self, status: int) -> Result:
        """Give what it came to."""
        return Result(
            status,
            self._stdout.end(),
            self._stderr.decode(errors='replace'),
        )

    def _wait_no_longer(self) -> None:
        """Have the next wait end by the deadline.

        :raises TimeoutError: if that is over.
        """
        if not self._deadline.remaining:
            raise TimeoutError
        self._channel.settimeout(self._deadline.remaining)

    def _exit_status(self) -> int:
        """Wait for the end of a command that has closed its stdout."""
        for _ in self._deadline.polls(first=0.01, most=0.5):
            if self._channel.exit_status_ready() or self._channel.closed:
                return self._channel.recv_exit_status()
        raise TimeoutError

    def _read_stdout(self) -> None:
        while data := self._channel.recv(_CHUNK):
            self._stdout.take(data)
            self._wait_no_longer()

    def _drain_stderr(self) -> None:
        """Take stderr until it ends; only the beginning is kept."""
        while True:
            try:
                data = self._channel.recv_stderr(_CHUNK)
            except TimeoutError:
                # It is the silence of stdout that counts.
                continue
            if not data:
                return
            room = output.LIMIT - len(self._stderr)
            self._stderr += data[: max(0, room)]
