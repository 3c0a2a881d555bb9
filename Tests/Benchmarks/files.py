"""The rows of a process' environment: volumes by sshfs and variables, on an embedded cluster in network namespaces."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from statistics import median

from forwarders import AES128_GCM
from measures import Measure, compare
from processes import Failure, complaint, wait_until
from servers import SSHD

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BLOCK = 1 << 20
SMALL = 4096
OPTIONS = "transform_symlinks,idmap=user,allow_other"  # as the session's own sshfs has them
COMMAND_SECONDS = 120


class FileServer(SSHD):
    """Debian's sshd, which serves files itself."""

    def command(self):
        command = super().command()
        with open(command[-1], "a") as file:
            file.write("Subsystem sftp internal-sftp\n")
        return command


class EmbeddedCluster:
    """The cluster of scripts/embedded-cluster with agents; this program's network namespace is the workstation."""

    def __init__(self, bench):
        for program, package in (("sshfs", "sshfs"), ("fusermount3", "fuse3")):
            if not shutil.which(program):
                raise Failure(f"there is no {program} here (apt-get install {package})")
        if os.geteuid() != 0:
            raise Failure("needs root, for network namespaces")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            raise Failure("there is no /dev/fuse")
        self.bench = bench
        self.home = os.path.join(bench.directory, f"files{bench.free_port()}")
        self.state = os.path.join(self.home, "state")
        self.mountpoint = os.path.join(self.home, "volumes")
        self.theirs = os.path.join(self.home, "theirs")
        self.sshd = self.sshfs = None
        os.mkdir(self.home)
        # Memory, so that no disk is measured.
        self.checked("mount", "-t", "tmpfs", "-o", "mode=0700", "none", self.home)
        for name in ("volumes", "theirs", "run", "config"):
            os.mkdir(os.path.join(self.home, name), 0o700)
        self.environment = {**os.environ, "HOME": self.home, "XDG_RUNTIME_DIR": f"{self.home}/run",
                            "XDG_STATE_HOME": self.home, "XDG_CONFIG_HOME": f"{self.home}/config"}  # fmt: skip

    def checked(self, *command):
        try:
            result = subprocess.run(command, env=getattr(self, "environment", None), stdin=subprocess.DEVNULL,
                                    capture_output=True, text=True, timeout=COMMAND_SECONDS)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(f"{' '.join(map(os.path.basename, command[:2]))}: no end") from None
        if result.returncode:
            words = (result.stderr or result.stdout).strip().splitlines() or [f"exit status {result.returncode}"]
            raise Failure(f"{' '.join(map(os.path.basename, command[:2]))}: {words[-1]}")
        return result.stdout

    def script(self, command, *arguments):
        return self.checked(os.path.join(ROOT, "scripts", "embedded-cluster"), command, "--state", self.state, *arguments)

    def telepresence(self, *arguments):
        return self.checked(self.bench.binary("telepresence"), *arguments)

    def start(self):
        """A manager, agents and a session, all of them new."""
        self.bench.binary("hello")
        self.script("up", "--bin", os.path.dirname(self.bench.binary("traffic")), "--mode", "netns", "--agents")
        with open(os.path.join(self.state, "env")) as file:
            known = dict(line.strip().split("=", 1) for line in file)
        self.address = known["cluster_manager_host"]
        self.telepresence(
            "connect", "--socks", "0", "--manager", f"{self.address}:{known['cluster_manager_port']}",
            "--identity", known["cluster_identity"], "--known-hosts", known["cluster_known_hosts"],
        )  # fmt: skip

    def volumes(self):
        """Where the pods' volumes are on the node: any of the two may be asked."""
        return [os.path.join(self.state, "volumes", pod, "data") for pod in ("hello-0", "hello-1")]

    # Each mounts, and returns the directory and what unmounts it.

    def ours(self):
        """Through agent and manager. They are new each time, so that nobody remembers anything."""
        self.start()
        wait_until(self.can_ingest, "the agent has arrived", 20)
        return os.path.join(self.mountpoint, "data"), self.end

    def can_ingest(self):
        try:
            self.telepresence("ingest", "hello", "--mount", self.mountpoint)
            return True
        except Failure as failure:
            if "no traffic-agent" not in str(failure):
                raise
            time.sleep(0.1)
            return False

    def stock(self):
        """Debian's sshd on the node, at the other end of the same veth."""
        self.start()
        with open(os.path.join(self.state, "node.pid")) as file:
            node = int(file.read().split()[0])
        self.sshd = FileServer(self.bench, network=node, address=self.address)
        # The node lets in what is for the manager, and this.
        self.checked("nsenter", f"--net=/proc/{node}/ns/net", "ip", "rule", "add", "pref", "1", "iif", "ws0", "to",
                     f"{self.address}/32", "ipproto", "tcp", "dport", str(self.sshd.port), "lookup", "local")  # fmt: skip
        keys = self.bench.keys
        ssh = " ".join(["ssh", "-F", "none", *AES128_GCM])
        options = [OPTIONS, f"ssh_command={ssh}", f"IdentityFile={keys.user}", f"UserKnownHostsFile={keys.known_hosts}",
                   "GlobalKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "BatchMode=yes"]  # fmt: skip
        source = f"{self.sshd.user}@{self.address}:{self.volumes()[0]}"
        self.sshfs = self.bench.processes.start(
            ["sshfs", "-f", "-p", self.sshd.port, "-o", ",".join(options), source, self.theirs])
        wait_until(lambda: os.path.ismount(self.theirs) or self.sshfs.poll() is not None, "sshfs has mounted")
        if self.sshfs.poll() is not None:
            raise Failure(f"sshfs: {complaint(self.sshfs)}")
        return self.theirs, self.end

    def end(self):
        subprocess.run([self.bench.binary("telepresence"), "quit"], env=self.environment, capture_output=True, timeout=30)
        if self.sshfs:
            subprocess.run(["fusermount3", "-u", "-z", self.theirs], capture_output=True)
            self.bench.processes.stop(self.sshfs)
        if self.sshd:
            self.sshd.stop()
        self.sshfs = self.sshd = None
        self.script("down")

    def empty(self):
        for directory in self.volumes():
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)

    def stop(self):
        self.end()
        subprocess.run(["umount", "-l", self.home], capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)


def on_cluster(measure):
    """A row on a cluster that ends with it."""

    def row(bench):
        cluster = EmbeddedCluster(bench)
        try:
            yield from measure(bench, cluster)
        finally:
            cluster.stop()

    return row


def each(bench, cluster, repetitions, work):
    """`work(directory)` on a mount of either side: name → (ours, theirs)."""

    def run(mount):
        def once():
            directory, unmount = mount()
            try:
                return work(directory)
            finally:
                unmount()

        return once

    return compare(bench, bench.repetitions(repetitions), run(cluster.ours), run(cluster.stock))


def write_file(path, size):
    block = bytes(BLOCK)
    begin = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // BLOCK):
            file.write(block)
    return {"throughput": size / (time.monotonic() - begin) / 1e6}  # close waits for the other end


def read_file(path, size):
    block = bytearray(BLOCK)
    begin = time.monotonic()
    moved = 0
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(block):
            moved += count
    if moved != size:
        raise Failure(f"{moved} of {size} bytes were read")
    return {"throughput": size / (time.monotonic() - begin) / 1e6}


def size_of(bench):
    return (128 if bench.options.quick else 1024) * BLOCK


@on_cluster
def bulk_files(bench, cluster):
    size = size_of(bench)
    title = f"{size // BLOCK:,} MiB through sshfs"

    def write(directory):
        path = os.path.join(directory, "large")
        try:
            return write_file(path, size)
        finally:
            os.unlink(path)

    figures = each(bench, cluster, 3, write)
    yield Measure(f"{title}, written", "MB/s", *figures["throughput"], 0.9, at_least=True)
    cluster.empty()
    first, second = (os.path.join(directory, "large") for directory in cluster.volumes())
    write_file(first, size)
    os.link(first, second)
    figures = each(bench, cluster, 3, lambda directory: read_file(os.path.join(directory, "large"), size))
    yield Measure(f"{title}, read", "MB/s", *figures["throughput"], 0.9, at_least=True)


@on_cluster
def small_files(bench, cluster):
    count = 300 if bench.options.quick else 2000
    paths = [f"file{number}" for number in range(count)]
    content = os.urandom(SMALL)

    def write(directory):
        begin = time.monotonic()
        for name in paths:
            with open(os.path.join(directory, name), "wb", buffering=0) as file:
                file.write(content)
        rate = count / (time.monotonic() - begin)
        cluster.empty()
        return {"rate": rate}

    def read(directory):
        begin = time.monotonic()
        for name in paths:
            with open(os.path.join(directory, name), "rb", buffering=0) as file:
                if file.read(SMALL) != content:
                    raise Failure(f"{name} is not what was written")
        return {"rate": count / (time.monotonic() - begin)}

    title = f"{count:,} files of 4 KiB"
    figures = each(bench, cluster, 3, write)
    yield Measure(f"{title}, written", "1/s", *figures["rate"], 0.9, at_least=True)
    cluster.empty()
    for directory in cluster.volumes():
        for name in paths:
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)
    figures = each(bench, cluster, 3, read)
    yield Measure(f"{title}, read", "1/s", *figures["rate"], 0.9, at_least=True)


class DaemonConnection(http.client.HTTPConnection):
    """To the daemon's API, on its socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@on_cluster
def environment(bench, cluster):
    cluster.start()
    path = os.path.join(cluster.home, "run", "telepresence", "default.sock")

    def ask(method, resource, body=None):
        """Milliseconds, the status and the answer."""
        connection = DaemonConnection(path)
        begin = time.monotonic()
        try:
            connection.request(method, resource, body)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return (time.monotonic() - begin) * 1e3, response.status, json.loads(text)

    def environment_once():
        return ask("POST", "/v1/environment", '{"workload":"hello"}')

    wait_until(lambda: environment_once()[1] == 200, "the agent has arrived", 20)
    samples, floor = [], []
    for _ in range(10 if bench.options.quick else 40):
        milliseconds, status, answer = environment_once()
        if status != 200 or answer["variables"].get("GREETING") != "hello from the cluster":
            raise Failure(f"the environment is not there: {answer}")
        samples.append(milliseconds)
        floor.append(ask("GET", "/v1/version")[0])
    samples.sort()
    yield Measure("an environment, median", "ms", samples, [], limit=100)
    yield Measure("an environment, 99 %", "ms", [samples[len(samples) * 99 // 100]], [])
    yield Measure("the daemon's version, median", "ms", [median(floor)], [])
