"""The rows of intercepts: an app with an agent beside it, a manager, and a handler at the other end of a session."""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from forwarders import AES128_GCM
from measures import Measure, compare
from processes import Failure, listening, proportional_memory, wait_listening, wait_until
from servers import SSHD, TrafficManager

HOST = "127.0.0.1"
CONNECTIONS = 500


class AgentManager(TrafficManager):
    def __init__(self, bench, services):
        self.services = services
        super().__init__(bench)


class Cluster:
    """An app, its agent, and the manager of both, on loopback."""

    def __init__(self, bench):
        self.bench = bench
        self.started = []
        self.app = self.hello()
        self.port = bench.free_port()
        self.agent_key = bench.keys.make(f"agent_key{self.port}")
        with open(self.agent_key + ".pub") as source, open(bench.keys.authorized, "a") as file:
            file.write('restrict,traffic-agent="hello" ' + source.read())
        self.server = AgentManager(bench, f"""apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {{name: hello, namespace: default}}
  spec: {{clusterIP: 10.43.0.10, ports: [{{name: http, port: 80, protocol: TCP, targetPort: {self.port}}}]}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {{name: hello-x, namespace: default, labels: {{kubernetes.io/service-name: hello}}}}
  addressType: IPv4
  endpoints: [{{addresses: ["{HOST}"], conditions: {{ready: true}}}}]
  ports: [{{name: http, port: {self.port}, protocol: TCP}}]
""")
        fingerprint = subprocess.run(["ssh-keygen", "-lf", bench.keys.host + ".pub"], capture_output=True, text=True,
                                     check=True).stdout.split()[1]  # fmt: skip
        self.agent = self.start(
            [bench.binary("traffic"), "agent", "--name", "hello", "--port", f"{self.port}:{self.app}", "--listen", HOST,
             "--manager", f"{HOST}:{self.server.port}", "--identity", self.agent_key, "--manager-host-key", fingerprint,
             "--log-level", "error"])  # fmt: skip
        wait_listening(self.agent, self.port, "the agent")
        wait_until(lambda: "ready to intercept" in self.ask("list"), "the agent has arrived")

    def start(self, command, **options):
        process = self.bench.processes.start(command, **options)
        self.started.append(process)
        return process

    def hello(self):
        port = self.bench.free_port()
        process = self.start([self.bench.binary("hello"), "--listen", f"{HOST}:{port}"])
        wait_listening(process, port, "hello")
        return port

    def ssh(self, server, *arguments):
        keys = self.bench.keys
        return ["ssh", "-F", "none", *AES128_GCM, "-o", f"UserKnownHostsFile={keys.known_hosts}", "-o", "IdentitiesOnly=yes",
                "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ExitOnForwardFailure=yes",
                "-i", keys.user, "-l", server.user, "-p", str(server.port), *arguments]  # fmt: skip

    def ask(self, command):
        return subprocess.run(self.ssh(self.server, HOST, command), capture_output=True, text=True).stdout

    def intercept(self, handler, name="hello"):
        """By stock ssh; ended by `Processes.stop`."""
        process = self.start(self.ssh(self.server, "-N", "-R", f"{name}:80:{HOST}:{handler}", HOST))
        wait_until(lambda: "ACTIVE" in self.ask("list"), "the intercept is served")
        return process

    def stop(self):
        for process in reversed(self.started):
            self.bench.processes.stop(process)
        self.server.stop()


def wrk(bench, port, connections, seconds):
    """Requests a second, and the times that half and 99 % of them took, in µs."""
    if not shutil.which("wrk"):
        raise Failure("there is no wrk here (apt-get install wrk)")
    result = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://{HOST}:{port}/"],
        capture_output=True, text=True)  # fmt: skip
    figures = {}
    for line in result.stdout.splitlines():
        words = line.split()
        if words[:1] in (["50%"], ["99%"]):
            scale = next(factor for unit, factor in (("us", 1), ("ms", 1e3), ("s", 1e6)) if words[1].endswith(unit))
            figures["p" + words[0][:2]] = float(words[1].rstrip("mus")) * scale
        elif words[:1] == ["Requests/sec:"]:
            figures["rate"] = float(words[1])
        elif words[:1] == ["Non-2xx"] or words[:2] == ["Socket", "errors:"]:
            raise Failure(f"wrk: {line.strip()}")
    if len(figures) != 3:
        raise Failure(f"wrk: {(result.stderr or result.stdout).strip()[-200:]}")
    return figures


def runs(bench, *ports, connections=32, repetitions=3):
    def run(port):
        return lambda: wrk(bench, port, connections, bench.milliseconds(4000) // 1000)

    return compare(bench, bench.repetitions(repetitions), *(run(port) for port in ports))


def agent_throughput(bench):
    if not shutil.which("haproxy"):
        raise Failure("there is no haproxy here (apt-get install haproxy)")
    cluster = Cluster(bench)
    try:
        port = bench.free_port()
        config = os.path.join(bench.directory, "haproxy.cfg")
        with open(config, "w") as file:
            file.write(f"""global
  nbthread 2
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen agent
  bind {HOST}:{port}
  server app {HOST}:{cluster.app}
""")
        wait_listening(cluster.start(["haproxy", "-db", "-f", config]), port, "haproxy")
        figures = runs(bench, cluster.port, port)
        yield Measure("requests through an agent", "1/s", *figures["rate"], 0.9, at_least=True)
        yield Measure("requests through an agent, median", "µs", *figures["p50"])
        yield Measure("requests through an agent, 99 %", "µs", *figures["p99"], 1.2)
        figures = runs(bench, cluster.port, cluster.app)
        yield Measure("the same, against the app without agent", "1/s", *figures["rate"])
    finally:
        cluster.stop()


def intercepted_latency(bench):
    cluster = Cluster(bench)
    sshd = SSHD(bench)
    try:
        handler = cluster.hello()
        cluster.intercept(handler)
        port = bench.free_port()
        forward = cluster.start(cluster.ssh(sshd, "-N", "-R", f"{port}:{HOST}:{handler}", HOST))
        wait_listening(sshd.process, port, "ssh -R")
        assert forward.poll() is None
        figures = runs(bench, cluster.port, port, connections=1, repetitions=5)
        yield Measure("intercepted requests, median", "µs", *figures["p50"], 1.3)
        yield Measure("intercepted requests, 99 %", "µs", *figures["p99"])
    finally:
        cluster.stop()
        sshd.stop()


def filtered(bench):
    unfiltered, cluster = Cluster(bench), Cluster(bench)
    try:
        cluster.intercept(cluster.hello(), "hello?http-header=x-user%3D^alice$")
        figures = runs(bench, cluster.port, unfiltered.port)
        yield Measure("requests past a filter", "1/s", *figures["rate"], 0.8, at_least=True)
    finally:
        cluster.stop()
        unfiltered.stop()


def agent_memory(bench):
    cluster = Cluster(bench)
    try:
        # Idle is after the start: then an agent gives back what only that needed.
        time.sleep(1.5)
        idle = proportional_memory(cluster.agent.pid)
        load = cluster.start([bench.helper("load"), "hold", HOST, cluster.port, CONNECTIONS], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)  # fmt: skip
        time.sleep(1.5)
        full = proportional_memory(cluster.agent.pid)
        load.kill()
        stripped = os.path.join(bench.directory, "traffic")
        subprocess.run(["strip", "-o", stripped, bench.binary("traffic")], check=True)
        yield Measure("agent, idle", "MiB", [idle / 2**20], [], limit=15)
        yield Measure(f"agent, {CONNECTIONS} connections", "MiB", [full / 2**20], [], limit=30)
        yield Measure("traffic, stripped", "MiB", [os.path.getsize(stripped) / 2**20], [])
    finally:
        cluster.stop()


def switching(bench):
    cluster = Cluster(bench)
    home = os.path.join(bench.directory, f"home{cluster.port}")
    os.makedirs(f"{home}/run", mode=0o700)
    environment = {**os.environ, "HOME": home, "XDG_RUNTIME_DIR": f"{home}/run", "XDG_STATE_HOME": home,
                   "XDG_CONFIG_HOME": f"{home}/config"}  # fmt: skip

    def telepresence(*arguments):
        result = subprocess.run([bench.binary("telepresence"), *arguments], env=environment, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True)  # fmt: skip
        if result.returncode:
            raise Failure(f"telepresence {arguments[0]}: {result.stderr.strip()}")

    def answer():
        try:
            with urllib.request.urlopen(f"http://{HOST}:{cluster.port}/", timeout=5) as response:
                return response.read()
        except (OSError, urllib.error.URLError):
            return b""

    def until(condition, begin):
        while not condition(answer()):
            if time.monotonic() - begin > 10:
                raise Failure("no answer of the right side in 10 s")
        return (time.monotonic() - begin) * 1e3

    try:
        handler = cluster.hello()
        telepresence("connect", "--socks", "0", "--manager", f"{HOST}:{cluster.server.port}", "--identity",
                     bench.keys.user, "--known-hosts", bench.keys.known_hosts)  # fmt: skip
        here = f"server_address={HOST}:{handler}".encode()
        begun, ended = [], []
        for _ in range(bench.repetitions(7)):
            begin = time.monotonic()
            telepresence("intercept", "hello", "--port", str(handler))
            begun.append(until(lambda text: here in text, begin))
            begin = time.monotonic()
            telepresence("leave", "hello")
            ended.append(until(lambda text: text and here not in text, begin))
        yield Measure("from leave to the app's answer", "ms", ended, [], limit=50)
        yield Measure("from intercept to the first answer", "ms", begun, [], limit=300)
    finally:
        subprocess.run([bench.binary("telepresence"), "quit"], env=environment, capture_output=True)
        cluster.stop()
