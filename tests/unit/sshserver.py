# SPDX-License-Identifier: Apache-2.0
"""An SSH server on loopback, in threads of the test."""

import contextlib
import io
import socket
import threading
import time

import fixtures
import paramiko

from dockermachine_osc import pki


def new_key():
    """Make a key, as the text of its file and as paramiko has it."""
    private = pki.new_ssh_key('test').private
    file = io.StringIO(private.decode())
    return private, paramiko.Ed25519Key.from_private_key(file)


class SshServer(fixtures.Fixture):
    """Lets one key in and plays the commands that a test has given it.

    :ivar played: functions of the channel and the server, by command.
    :ivar delay: seconds before anything is said.
    :ivar attempts: (user, key) of each try to log in.
    :ivar demanded: what else of ours was asked for, or given: passwords,
        the way to an agent.
    :ivar commands: what was asked to be run.
    """

    def __init__(self, allowed, *host_keys):
        self.allowed, self.played = allowed, {}
        self.host_keys = host_keys or [new_key()[1]]
        self.delay = 0.0
        self.attempts, self.commands, self.transports = [], [], []
        self.demanded = []

    def _setUp(self):
        self._socket = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self._socket.close)
        self.port = self._socket.getsockname()[1]
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(self._socket.shutdown, socket.SHUT_RDWR)
        self.addCleanup(self.hang_up)

    def hang_up(self):
        for transport in self.transports:
            transport.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(
                    target=self._greet, args=(connection,), daemon=True
                ).start()

    def _greet(self, connection):
        time.sleep(self.delay)
        transport = paramiko.Transport(connection)
        self.transports.append(transport)
        for key in self.host_keys:
            transport.add_server_key(key)
        # A client that is not content with our key hangs up.
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_Session(self))

    @property
    def key_line(self):
        key = self.host_keys[0]
        return f'{key.get_name()} {key.get_base64()}'


class _Session(paramiko.ServerInterface):
    def __init__(self, server):
        self._server = server

    def check_auth_publickey(self, username, key):
        self._server.attempts.append((username, key))
        good = key == self._server.allowed
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_password(self, username, password):
        self._server.demanded.append(password)
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_interactive(self, username, submethods):
        self._server.demanded.append('interactive')
        return paramiko.InteractiveQuery('', '', ('Password:', False))

    def check_auth_interactive_response(self, responses):
        self._server.demanded.append(responses)
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_forward_agent_request(self, channel):
        self._server.demanded.append('agent')
        return True

    def check_global_request(self, kind, message):
        self._server.demanded.append(kind)
        return False

    def get_allowed_auths(self, username):
        return 'publickey,password,keyboard-interactive'

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        command = command.decode()
        self._server.commands.append(command)
        threading.Thread(
            target=self._play, args=(channel, command), daemon=True
        ).start()
        return True

    def _play(self, channel, command):
        # The answer to the request has to go out first: the client has had
        # it when it sends or ends its stdin.
        while not (channel.recv_ready() or channel.eof_received):
            time.sleep(0.005)
        with contextlib.suppress(OSError, EOFError):
            status = self._server.played[command](channel, self._server)
            if status is not None:
                channel.send_exit_status(status)
                channel.close()


class Banner(fixtures.Fixture):
    """Something on loopback that says a few bytes to everybody."""

    def __init__(self, text):
        self._text = text

    def _setUp(self):
        self._socket = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self._socket.close)
        self.port = self._socket.getsockname()[1]
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(self._socket.shutdown, socket.SHUT_RDWR)

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    connection.sendall(self._text)


def closed_port():
    """Give a port of loopback at which nobody listens."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        return free.getsockname()[1]
