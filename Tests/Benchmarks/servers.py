"""The two servers that are compared: Debian's sshd and the traffic manager, under the same conditions."""

import getpass
import os
import subprocess

from processes import wait_listening

HOST = "127.0.0.1"


class Keys:
    """One host key and one user key (Ed25519) for both servers."""

    def __init__(self, directory):
        self.directory = directory
        self.host = self.make("host_key")
        self.user = self.make("user_key")
        self.authorized = os.path.join(directory, "authorized_keys")
        self.known_hosts = os.path.join(directory, "known_hosts")
        with open(self.user + ".pub") as source, open(self.authorized, "w") as file:
            file.write(source.read())
        os.chmod(self.authorized, 0o600)
        open(self.known_hosts, "w").close()

    def make(self, name):
        path = os.path.join(self.directory, name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def pin(self, address, port):
        with open(self.host + ".pub") as file:
            kind, key = file.read().split()[:2]
        with open(self.known_hosts, "a") as file:
            file.write(f"[{address}]:{port} {kind} {key}\n")


class Server:
    """A running server: `address`, `port`, `user`, `pid`; `stop()` ends it."""

    user = getpass.getuser()

    def __init__(self, bench, network=None, address=HOST, env=None):
        self.bench = bench
        self.network = network
        self.address = address
        self.port = bench.free_port()
        self.process = bench.processes.start(self.command(), network=network, env=env)
        wait_listening(self.process, self.port, self.name)
        bench.keys.pin(self.address, self.port)

    @property
    def pid(self):
        return self.process.pid

    def write(self, suffix, text):
        path = os.path.join(self.bench.directory, f"{self.port}.{suffix}")
        with open(path, "w") as file:
            file.write(text)
        return path

    def stop(self):
        self.bench.processes.stop(self.process)


class SSHD(Server):
    """Debian's sshd with its defaults, but for limits that would stop the load."""

    name = "sshd"

    def command(self):
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        path = self.write(
            "sshd_config",
            f"""ListenAddress {self.address}:{self.port}
HostKey {self.bench.keys.host}
AuthorizedKeysFile {self.bench.keys.authorized}
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 1000
LogLevel ERROR
""",
        )
        return ["/usr/sbin/sshd", "-D", "-e", "-f", path]


class TrafficManager(Server):
    """`traffic manager` from the release build, with an empty static directory and loopback targets allowed."""

    name = "traffic manager"

    services = "apiVersion: v1\nkind: List\nitems: []\n"

    def command(self):
        services = self.write("services.yaml", self.services)
        return [
            self.bench.binary("traffic"), "manager",
            "--services", services,
            "--authorized-keys", self.bench.keys.authorized,
            "--host-key", self.bench.keys.host,
            "--ssh-listen", f"{self.address}:{self.port}",
            "--api-listen", f"127.0.0.1:{self.bench.free_port()}",
            "--egress", "any",
            "--egress-loopback",
            "--log-level", "error",
        ]  # fmt: skip
