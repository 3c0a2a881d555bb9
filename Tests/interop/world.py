"""The manager under test, the cluster it is told of, and the keys of those who come."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import targets
from harness import Skip, shown, stop

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Addresses that nobody else on the machine uses.
HELLO = {"hello-0": "127.61.0.10", "hello-1": "127.61.0.11"}
DB = {"db-0": "127.61.0.20", "db-1": "127.61.0.21"}
OTHERS = "127.61.0.30"
SERVICE_ADDRESS = {"hello": "10.43.61.1", "bulk": "10.43.61.3"}


def tool(name, package=None):
    """The path of a program, or a skip that says which package has it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        raise Skip(f"there is no {name} here (Debian: {package or name})")
    return path


def free_port():
    """For programs that cannot be told to take a free port themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def keygen(path, *options):
    subprocess.run(
        [tool("ssh-keygen", "openssh-client"), "-q", "-N", "", "-C", os.path.basename(path), "-f", path, *options],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return path


def public(path):
    with open(path + ".pub") as file:
        return file.read().strip()


class Manager:
    """A `traffic manager` on ports of its own."""

    def __init__(self, world, options=(), authorized_keys=None, host_keys=None, name="manager"):
        self.world = world
        self.dir = tempfile.mkdtemp(prefix=f"{name}-", dir=world.dir)
        self.sockets = os.path.join(self.dir, "s")
        os.mkdir(self.sockets, 0o700)
        self.authorized_keys = os.path.join(self.dir, "authorized_keys")
        self.authorize(authorized_keys if authorized_keys is not None else world.default_keys())
        self.host_keys = host_keys or [world.host_key]
        self.options = list(options)
        self.log_path = os.path.join(self.dir, "log")
        self.start()

    def authorize(self, text):
        """Replaces the file in one step, as an editor or the kubelet does."""
        new = self.authorized_keys + ".new"
        with open(new, "w") as file:
            file.write(text)
        os.chmod(new, 0o600)
        os.rename(new, self.authorized_keys)

    def start(self):
        argv = [
            os.path.join(self.world.bin, "traffic"), "manager", "--services", self.world.services,
            "--authorized-keys", self.authorized_keys, "--ssh-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0",
            "--egress", "cluster", "--stream-local-dir", self.sockets, "--log-level", "debug",
        ]
        for key in self.host_keys:
            argv += ["--host-key", key]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                argv + self.options, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.world.processes.append(self.process)
        self.port = int(self.logged(r"\baddress=127\.0\.0\.1:(\d+).*service=ssh|service=ssh.*\baddress=127\.0\.0\.1:(\d+)"))
        self.write_configuration()

    def logged(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.log())
            if found:
                return next(group for group in found.groups() if group)
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the manager did not start\n{shown(self.log())}")
            time.sleep(0.02)

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace")

    def write_configuration(self):
        self.known_hosts = os.path.join(self.dir, "known_hosts")
        with open(self.known_hosts, "w") as file:
            for key in self.host_keys:
                blob = " ".join(public(key).split()[:2])
                file.write(f"manager {blob}\n[127.0.0.1]:{self.port} {blob}\n127.0.0.1 {blob}\n")
        self.config = os.path.join(self.dir, "ssh_config")
        with open(self.config, "w") as file:
            file.write(f"""\
Host manager
    HostName 127.0.0.1
    HostKeyAlias manager
    Port {self.port}
    UserKnownHostsFile "{self.known_hosts}"
Host *
    User tester
    IdentityFile "{self.world.key}"
    IdentitiesOnly yes
    IdentityAgent none
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    ControlPath none
    BatchMode yes
    ConnectTimeout 10
""")

    def ssh(self, *arguments, config=None):
        return [tool("ssh", "openssh-client"), "-F", config or self.config, *map(str, arguments)]

    def is_running(self):
        return self.process.poll() is None

    def resident(self):
        """Bytes in memory."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) << 10

    def close(self):
        stop(self.process)


class World:
    def __init__(self, bin):
        self.bin = bin
        self.dir = tempfile.mkdtemp(prefix="interop-world-", dir=os.environ.get("WORK"))
        self.processes = []
        self.servers = []
        self.lock = threading.Lock()
        self.made = {}
        # Who is authorized under which comment: cases add keys of their own through managers of their own.
        self.key = keygen(os.path.join(self.dir, "id_ed25519"), "-t", "ed25519")
        self.host_key = keygen(os.path.join(self.dir, "host_ed25519"), "-t", "ed25519")
        self.start_targets()
        self.write_services()
        self.manager = Manager(self)

    def default_keys(self):
        return public(self.key) + "\n"

    def once(self, name, make):
        """A thing that several cases share, made when the first asks for it."""
        with self.lock:
            if name not in self.made:
                try:
                    self.made[name] = (make(), None)
                except Skip as reason:
                    self.made[name] = (None, reason)
            value, reason = self.made[name]
        if reason:
            raise reason
        return value

    def path(self, name):
        return os.path.join(self.dir, name)

    # --- the cluster -------------------------------------------------------------------------------------------

    def start_targets(self):
        pods, self.hello_port = targets.http_pods(HELLO)
        db, self.db_port = targets.http_pods(DB)
        self.servers += pods + db
        self.ports = {}
        for name in ("bulk", "echo", "until_end", "first_end", "reset", "notice", "silent"):
            server = targets.Server(getattr(targets, name), OTHERS)
            self.servers.append(server)
            self.ports[name.replace("_", "-")] = server.port
        # Bound and not listening: whoever connects is refused, and nobody else can have the port.
        self.closed = socket.socket()
        self.closed.bind((OTHERS, 0))
        self.ports["refused"] = self.closed.getsockname()[1]
        self.start_bastion()

    def start_bastion(self):
        """An sshd that only the manager's port leads to."""
        try:
            sshd = tool("sshd", "openssh-server")
        except Skip:
            self.bastion_key = None
            return
        self.bastion_key = keygen(self.path("bastion_host_key"), "-t", "ed25519")
        keys = self.path("bastion_authorized_keys")
        with open(keys, "w") as file:
            file.write(self.default_keys())
        config = self.path("bastion_sshd_config")
        with open(config, "w") as file:
            file.write(f"HostKey {self.bastion_key}\nAuthorizedKeysFile {keys}\nStrictModes no\nUsePAM no\n"
                       "PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        server = targets.Server(targets.sshd([sshd, "-i", "-e", "-f", config]), OTHERS)
        self.servers.append(server)
        self.ports["bastion"] = server.port

    def write_services(self):
        parts = []

        def service(name, cluster_ip, port, namespace="default", port_name="http"):
            parts.append(f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  clusterIP: {cluster_ip}
  ports:
  - {{name: {port_name}, port: {port}, protocol: TCP, targetPort: {port_name}}}
""")

        def endpoints(name, addresses, port, namespace="default", port_name="http", ready="true"):
            text = f"""\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-abcde
  namespace: {namespace}
  labels: {{kubernetes.io/service-name: {name}}}
addressType: IPv4
ports:
- {{name: {port_name}, port: {port}, protocol: TCP}}
endpoints:
"""
            for host, address in addresses.items():
                text += f"- {{addresses: ['{address}'], conditions: {{ready: {ready}}}, hostname: {host}}}\n"
            parts.append(text)

        service("hello", SERVICE_ADDRESS["hello"], 80)
        endpoints("hello", HELLO, self.hello_port)
        service("db", "None", self.db_port)
        endpoints("db", DB, self.db_port)
        service("web", "10.43.61.2", 8080, namespace="other")
        endpoints("web", {"web-0": HELLO["hello-0"]}, self.hello_port, namespace="other")
        parts.append("""\
apiVersion: v1
kind: Service
metadata: {name: six, namespace: default}
spec:
  clusterIP: 10.43.61.6
  clusterIPs: [10.43.61.6, "fd61::6"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: PreferDualStack
  ports:
  - {name: http, port: 80, protocol: TCP, targetPort: http}
""")
        endpoints("six", HELLO, self.hello_port)
        service("idle", "10.43.61.9", 80)
        endpoints("idle", {"idle-0": "127.61.0.99"}, 80, ready="false")
        for number, (name, port) in enumerate(self.ports.items()):
            service(name, f"10.43.61.{30 + number}", 7000)
            endpoints(name, {f"{name}-0": OTHERS}, port)
        self.services = self.path("services.yaml")
        with open(self.services, "w") as file:
            file.write("---\n".join(parts))

    def close(self):
        for process in self.processes:
            stop(process)
        for server in self.servers:
            try:
                server.close() if hasattr(server, "close") else server.server_close()
            except OSError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)
