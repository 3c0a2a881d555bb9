"""The clients that carry the load: stock ssh, `telepresence forward`, and a bare libssh2 loop."""

import os
import time

from processes import Failure, wait_listening

HOST = "127.0.0.1"
AES128_GCM = ["-c", "aes128-gcm@openssh.com"]


class Forwarder:
    """A client with its forwards up; `port` is where the load enters."""

    def __init__(self, bench, server, forward="-L", target=None, network=None, env=None, options=()):
        self.bench = bench
        self.server = server
        self.forward = forward
        self.port = bench.free_port()
        self.target = target or bench.target
        self.options = list(options)
        self.process = bench.processes.start(self.command(), network=network, env=env)
        listener = server.process if forward == "-R" else self.process
        wait_listening(listener, self.port, self.name)

    def specification(self):
        """The forward in ssh's syntax."""
        if self.forward == "-D":
            return f"{HOST}:{self.port}"
        if self.forward == "-R":
            return f"{self.port}:{self.target.host}:{self.target.port}"
        return f"{HOST}:{self.port}:{self.target.host}:{self.target.port}"

    def stop(self):
        self.bench.processes.stop(self.process)


class SSH(Forwarder):
    name = "ssh"

    def command(self):
        keys, server = self.bench.keys, self.server
        return [
            "ssh", "-F", "none", "-N", "-T", *(self.options or AES128_GCM),
            "-o", f"UserKnownHostsFile={keys.known_hosts}", "-o", "GlobalKnownHostsFile=none",
            "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
            "-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
            "-i", keys.user, "-l", server.user, "-p", server.port,
            self.forward, self.specification(), server.address,
        ]  # fmt: skip


class Telepresence(Forwarder):
    name = "telepresence forward"

    def command(self):
        keys, server = self.bench.keys, self.server
        return [
            self.bench.binary("telepresence"), "forward",
            "--manager", f"{server.address}:{server.port}",
            "--identity", keys.user,
            "--known-hosts", keys.known_hosts,
            self.forward, self.specification(),
        ]  # fmt: skip


class BareLibssh2(Forwarder):
    name = "libssh2-forward"

    def command(self):
        return [
            self.bench.helper("libssh2-forward"), self.server.address, self.server.port, self.server.user,
            self.bench.keys.user, self.port, HOST, self.target.port,
        ]  # fmt: skip


class Target:
    """Sink, source and echo in one process, with its totals in a file."""

    def __init__(self, bench, network=None, host=HOST):
        self.bench = bench
        self.host = host
        self.port = bench.free_port()
        self.path = os.path.join(bench.directory, f"{self.port}.totals")
        self.process = bench.processes.start(
            [bench.helper("target"), host, self.port, self.path], network=network
        )
        wait_listening(self.process, self.port, "target")

    def totals(self):
        """Bytes received, bytes sent, connections accepted."""
        with open(self.path, "rb") as file:
            return [int.from_bytes(file.read(8), "little") for _ in range(3)]

    def bytes_moved(self):
        return sum(self.totals()[:2])

    def accepted(self):
        return self.totals()[2]

    def stop(self):
        self.bench.processes.stop(self.process)


def probe(bench, forwarder, network=None, seconds=10):
    """Returns once a connection through the forwarder echoes."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return bench.load("connections", HOST, forwarder.port, 1, 1, "target", network=network)
        except Failure:
            if forwarder.process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
