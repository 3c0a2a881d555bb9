"""The rows of Kubernetes: a workstation of its own beside the real cluster of scripts/cluster, and kubectl."""

import glob
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

from measures import Measure, compare
from processes import Failure, wait_until
from session import HelloManager, Site

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# As scripts/lib/cluster.sh has them.
KUBECTL = "/var/cache/telepresence-cluster/bin/kubectl"
KUBECONFIG = "/var/lib/telepresence-cluster/admin.kubeconfig"
CONTAINERD = "/run/telepresence-cluster/containerd.sock"
NODE = "telepresence-node"
API = "172.31.254.2"
WORKSTATION, NEXT, NOBODY = "172.31.253.1", "172.31.253.2", "172.31.253.3"
IMAGE = "telepresence:bench"
PORT = 9000  # of the target in its pod
SECONDS = 120  # for one command
RESETS = 20
BATCH = 500  # objects for one kubectl


class ClusterSite(Site):
    """A workstation that reaches the API server and nothing else of the cluster, with a namespace of its own there."""

    def __init__(self, bench):
        if os.geteuid() != 0:
            raise Failure("needs root, to make a workstation of its own")
        for path in (KUBECTL, KUBECONFIG, f"/run/netns/{NODE}"):
            if not os.path.exists(path):
                raise Failure(f"there is no cluster (scripts/cluster up): no {path}")
        for program in ("ctr", "ip"):
            if not shutil.which(program):
                raise Failure(f"there is no {program} here (apt-get install containerd iproute2)")
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise Failure("there is no /dev/net/tun")
        self.bench = bench
        self.started = []
        self.namespaces = []
        self.home = os.path.join(bench.directory, f"kube{bench.free_port()}")
        self.kubeconfig = os.path.join(self.home, "kubeconfig")
        os.makedirs(f"{self.home}/run", mode=0o700)
        try:
            self.workstation = self.machine("workstation")
            self.wire()
            shutil.copy(KUBECONFIG, self.kubeconfig)
            os.chmod(self.kubeconfig, 0o600)
            if self.attempt("get", "--raw", "/readyz", "--request-timeout=5s").returncode:
                raise Failure("the cluster does not answer (scripts/cluster up)")
            self.load_image()
            self.namespace = self.new_namespace()
        except BaseException:
            self.stop()
            raise

    def wire(self):
        """A veth beside the laptop's."""
        near = "tp-bench"
        if self.command("ip", "-n", NODE, "link", "show", near, check=False).returncode == 0:
            raise Failure("another benchmark is at the cluster")
        self.command("ip", "link", "add", "wire", "netns", str(self.workstation), "type", "veth", "peer", "name", near,
                     "netns", NODE)  # fmt: skip
        self.command("ip", "-n", NODE, "address", "add", f"{NEXT}/29", "dev", near)
        self.command("ip", "-n", NODE, "link", "set", near, "up")
        self.inside(self.workstation, f"""ip link set wire up; ip address add {WORKSTATION}/29 dev wire
ip route add {API}/32 via {NEXT}; ip route add default via {NOBODY}""")

    def command(self, *command, check=True, **options):
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL if "input" not in options else None,
                                    capture_output=True, text=True, timeout=SECONDS, **options)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(f"{os.path.basename(command[0])}: no end after {SECONDS} s") from None
        if check and result.returncode:
            words = (result.stderr or result.stdout).strip().splitlines() or [f"exit status {result.returncode}"]
            raise Failure(f"{os.path.basename(command[0])}: {words[-1]}")
        return result

    def load_image(self):
        """That of the release which is measured."""
        binary = self.bench.binary("traffic")
        archive = os.path.join(os.path.dirname(self.bench.directory), "telepresence.tar")
        if not os.path.exists(archive) or os.path.getmtime(archive) < os.path.getmtime(binary):
            self.command(os.path.join(ROOT, "scripts", "image"), "telepresence", "--binaries", os.path.dirname(binary),
                         "--tag", IMAGE.split(":")[1], "--output", archive)  # fmt: skip
        self.command("ctr", "-a", CONTAINERD, "-n", "k8s.io", "images", "import", archive)

    # What is done from the workstation.

    def environment(self):
        return {**super().environment(), "KUBECONFIG": self.kubeconfig}

    def attempt(self, *arguments, **options):
        return self.command(*self.on(self.workstation, [KUBECTL, *arguments]), check=False,
                            env={**os.environ, **self.environment()}, **options)  # fmt: skip

    def kubectl(self, *arguments, **options):
        result = self.attempt(*arguments, **options)
        if result.returncode:
            raise Failure(f"kubectl {arguments[0]}: {(result.stderr or result.stdout).strip().splitlines()[-1]}")
        return result.stdout

    def telepresence(self, *arguments):
        result = self.run(self.bench.binary("telepresence"), *arguments)
        if result.returncode:
            raise Failure(f"telepresence {arguments[0]}: {(result.stderr or result.stdout).strip().splitlines()[-1]}")
        return result.stdout

    def new_namespace(self):
        word = os.path.basename(self.bench.directory).removeprefix("run-").replace("_", "-").lower().strip("-")
        name = f"bench-{word}-{self.bench.free_port()}"
        self.kubectl("create", "namespace", name)
        self.namespaces.append(name)
        # Before there is one the first pod would wait.
        wait_until(lambda: self.attempt("-n", name, "get", "serviceaccount", "default").returncode == 0, "an account", 30)
        self.use(name)
        return name

    def use(self, namespace):
        self.kubectl("config", "set-context", "--current", "--namespace", namespace)

    def install(self):
        self.telepresence("install", "--image", IMAGE)

    def publish(self):
        """The manager, at a port of the node, which this workstation reaches on all of them."""
        self.kubectl("expose", "deployment", "traffic-manager", "--name", "published", "--type", "NodePort",
                     "--port", "8022")  # fmt: skip
        port = self.kubectl("get", "service", "published", "-o", "jsonpath={.spec.ports[0].nodePort}").strip()
        probe = ["bash", "-c", f"exec 3<>/dev/tcp/{API}/{port}"]
        wait_until(lambda: self.command(*self.on(self.workstation, probe), check=False).returncode == 0,
                   "the NodePort leads to the manager", 30)  # fmt: skip

    def connect_session(self, *options):
        self.telepresence("connect", "--image", IMAGE, *options)

    def quit_session(self):
        self.run(self.bench.binary("telepresence"), "quit")

    def manager_pod(self):
        names = self.kubectl("get", "pods", "-l", "app=traffic-manager", "--field-selector", "status.phase=Running",
                             "-o", "name").split()  # fmt: skip
        if not names:
            raise Failure("the traffic manager does not run")
        return names[0]

    def target_pod(self):
        """A pod with the target of all loads; its address."""
        self.kubectl("run", "target", "--image=testbox:1", "--image-pull-policy=IfNotPresent", "--restart=Never",
                     "--", "sleep", "infinity")  # fmt: skip
        self.kubectl("wait", "--for=condition=Ready", "pod/target", "--timeout=60s")
        with open(self.bench.helper("target"), "rb") as program:
            command = [KUBECTL, "exec", "-i", "target", "--", "sh", "-c", "cat >/tmp/target && chmod 755 /tmp/target"]
            subprocess.run(self.on(self.workstation, command), stdin=program, check=True, timeout=60,
                           env={**os.environ, **self.environment()})  # fmt: skip
        self.kubectl("exec", "target", "--", "sh", "-c", f"/tmp/target 0.0.0.0 {PORT} /tmp/totals >/tmp/log 2>&1 &")
        # What may be reached are the addresses of Services.
        self.kubectl("expose", "pod", "target", f"--port={PORT}")
        return self.kubectl("get", "pod", "target", "-o", "jsonpath={.status.podIP}").strip()

    def share_processors(self, pid, pod):
        """A process gets what that pod's do: beside programs without a cgroup of their own it is less."""
        uid = self.kubectl("get", pod, "-o", "jsonpath={.metadata.uid}").strip()
        places = [name for root in ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup")
                  for name in glob.glob(f"{root}/**/*pod{uid}*/*/cgroup.procs", recursive=True)]  # fmt: skip
        for place in places:
            if open(place).read().strip():
                with open(place, "w") as file:
                    file.write(str(pid))
                return
        raise Failure(f"no cgroup of {pod}")

    def port_forward(self, pod, port, *program):
        """The process, kubectl's or another's, and the port of the workstation that leads there."""
        local = self.bench.free_port()
        process = self.start(self.workstation, [*(program or (KUBECTL, "port-forward")), pod, f"{local}:{port}"],
                             env=self.environment(), stdout=subprocess.PIPE)  # fmt: skip
        if b"Forwarding from" not in process.stdout.readline():
            raise Failure("port-forward does not forward")
        return process, local

    def stop(self):
        if hasattr(self, "workstation"):
            self.quit_session()
            for namespace in reversed(self.namespaces):
                name = f"traffic-manager-{namespace}"
                self.attempt("delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found")
                self.attempt("delete", "namespace", namespace, "--wait=false")
        super().stop()


def on_cluster(measure):
    """A row on the real cluster, of which nothing stays there."""

    def row(bench):
        site = ClusterSite(bench)
        try:
            yield from measure(bench, site)
        finally:
            site.stop()

    return row


def timed(work, *arguments):
    begin = time.monotonic()
    work(*arguments)
    return time.monotonic() - begin


# What the target has received a second, after a start.
RECEIVED = """import sys, time
def received(): return int.from_bytes(open('/tmp/totals', 'rb').read(8), 'little')
time.sleep(0.5)
first, begin = received(), time.monotonic()
time.sleep(float(sys.argv[1]))
print((received() - first) / (time.monotonic() - begin))"""
BANNER = """set -e
"$0" get svc >/dev/null
coproc forward { exec "$0" port-forward "$1" :8022; }
read -r line <&"${forward[0]}"
port=${line%% ->*} port=${port##*:}
exec 3<>"/dev/tcp/127.0.0.1/$port"
read -r -t 10 banner <&3
kill "$forward_PID"
[[ $banner == SSH-2.0-* ]]"""


@on_cluster
def cluster_connect(bench, site):
    site.install()
    pod = site.manager_pod()

    def ours():
        try:
            return {"time": timed(site.connect_session) * 1e3}
        finally:
            site.quit_session()

    def theirs():
        command = site.on(site.workstation, ["bash", "-c", BANNER, KUBECTL, pod])
        return {"time": timed(lambda: site.command(*command, env={**os.environ, **site.environment()})) * 1e3}

    ours()
    figures = compare(bench, bench.repetitions(5), ours, theirs)
    yield Measure("connect, the manager is there", "ms", *figures["time"], 1.5)


@on_cluster
def cluster_install(bench, site):
    def in_new_namespace(work):
        def once():
            site.new_namespace()
            # What is made of a namespace's name.
            objects = json.loads(site.telepresence("install", "--image", IMAGE, "--dry-run", "--output", "json"))
            objects = objects.get("items", objects) if isinstance(objects, dict) else objects
            seconds = timed(work, objects)
            site.kubectl("delete", "deployment", "--all", "--wait=false")
            return {"time": seconds}

        return once

    def apply(objects):
        """The very same objects, probe and all: by itself the Deployment would not run."""
        site.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        site.kubectl("rollout", "status", "deploy/traffic-manager", "--timeout=60s")

    def create(_):
        """The same image with nothing to do, which is ready when it runs."""
        site.kubectl("create", "deploy", "idle", f"--image={IMAGE}", "--", "sleep", "infinity")
        site.kubectl("rollout", "status", "deploy/idle", "--timeout=60s")

    ours = in_new_namespace(lambda _: site.install())
    for theirs, title in ((apply, "kubectl apply of the same objects"), (create, "kubectl create deploy of its image")):
        figures = compare(bench, bench.repetitions(3), ours, in_new_namespace(theirs))
        yield Measure(f"install, against {title}", "s", *figures["time"], 1.5)


def reached(site, address):
    """Once the manager knows where it is."""

    def answers():
        try:
            return site.load("connections", address, 1, 1, "target")
        except Failure:
            time.sleep(0.1)
            return None

    wait_until(answers, f"{address[0]} answers", 10)


class Bulk:
    """kubectl's forward passes no end of one direction on, so what goes up is counted in the pod; and it ends with a flow
    that does, so each has its own."""

    def __init__(self, bench, site):
        self.bench, self.site = bench, site
        self.pod = site.target_pod()
        self.milliseconds = bench.milliseconds(3000)

    def down(self, address):
        result = self.site.load("down", address, self.milliseconds, 0)
        return {"throughput": result["bytes"] / result["seconds"] / 1e6}

    def up(self, address):
        load = self.site.start(
            self.site.workstation, [self.bench.helper("load"), "up", *address, self.milliseconds + 10_000, 0])
        try:
            rate = self.site.kubectl("exec", "target", "--", "python3", "-c", RECEIVED, str(self.milliseconds / 1000))
        finally:
            self.bench.processes.stop(load)
        return {"throughput": float(rate) / 1e6}

    def forwarded(self, once, *program):
        process, port = self.site.port_forward("pod/target", PORT, *program)
        try:
            return once(("127.0.0.1", port))
        finally:
            self.bench.processes.stop(process)

    @property
    def directions(self):
        return (("up", self.up), ("down", self.down))


@on_cluster
def cluster_bulk(bench, site):
    site.install()
    bulk = Bulk(bench, site)
    site.connect_session()
    reached(site, (bulk.pod, PORT))
    for direction, once in bulk.directions:
        figures = compare(
            bench, bench.repetitions(5), lambda: once((bulk.pod, PORT)), lambda: bulk.forwarded(once))
        yield Measure(f"TUN by port-forward {direction}", "MB/s", *figures["throughput"], 0.5, at_least=True)


@on_cluster
def cluster_forward(bench, site):
    """The one that is taken of itself has a bound; the others inform."""
    bulk = Bulk(bench, site)
    ours = (bench.binary("telepresence"), "port-forward", "--address", "127.0.0.1")
    for form, bound in ((), 1.0), (("--form", "channels"), None):
        for direction, once in bulk.directions:
            figures = compare(bench, bench.repetitions(5), lambda: bulk.forwarded(once, *ours, *form),
                              lambda: bulk.forwarded(once))  # fmt: skip
            name = f"port-forward{', ' + form[1] if form else ''} {direction}"
            yield Measure(name, "MB/s", *figures["throughput"], bound, at_least=True)


@on_cluster
def cluster_direct(bench, site):
    """The other side is a session as of the rows above, whose manager and target are on one machine beside this one."""
    site.install()
    bulk = Bulk(bench, site)
    site.publish()
    site.connect_session("--transport", "direct")
    reached(site, (bulk.pod, PORT))
    plain = Site(bench)
    try:
        manager = plain.server(HelloManager)
        address = plain.connect(manager)
        site.share_processors(manager.pid, site.manager_pod())
        site.share_processors(plain.target.process.pid, "pod/target")

        def theirs(direction):
            result = plain.load(direction, address, bulk.milliseconds, 0)
            return {"throughput": result["bytes"] / result["seconds"] / 1e6}

        for direction, once in bulk.directions:
            figures = compare(bench, bench.repetitions(5), lambda: once((bulk.pod, PORT)), lambda: theirs(direction))
            yield Measure(f"TUN by a NodePort {direction}", "MB/s", *figures["throughput"], 0.9, at_least=True)
    finally:
        plain.stop()


@on_cluster
def cluster_resets(bench, site):
    site.install()
    pod = site.target_pod()
    site.connect_session("--transport", "websocket")
    _, port = site.port_forward("pod/target", PORT)

    def run(host, port):
        reached(site, (host, port))
        command = [sys.executable, "-B", os.path.abspath(__file__), host, str(port), str(RESETS)]
        return json.loads(site.command(*site.on(site.workstation, command)).stdout)

    ours, theirs = run(pod, PORT), run("127.0.0.1", port)
    yield Measure(f"flows harmed by {RESETS} resets of others", "flows", [ours["harmed"]], [theirs["harmed"]], limit=0)
    yield Measure("flows that could not be opened meanwhile", "flows", [ours["refused"]], [theirs["refused"]])


@on_cluster
def cluster_memory(bench, site):
    services, pods = (200, 500) if bench.options.quick else (2000, 5000)
    site.install()
    site.connect_session()
    manager = site.manager_pod()

    def resident():
        status = site.kubectl("exec", manager, "--", "cat", "/proc/1/status")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def settled(seconds):
        """Once it has not grown for a while."""
        highest, since = resident(), time.monotonic()
        while time.monotonic() - since < seconds:
            bench.check_time()
            time.sleep(1)
            now = resident()
            if now > highest * 1.01:
                highest, since = now, time.monotonic()
        return now

    idle = settled(3)
    objects = [service(number) for number in range(services)] + [sleeper(number) for number in range(pods)]
    objects += [slice_(number, pods // services) for number in range(services)]
    batches = [objects[start : start + BATCH] for start in range(0, len(objects), BATCH)]
    begin = time.monotonic()
    for batch in batches:
        bench.check_time()
        path = os.path.join(site.home, "objects.json")
        with open(path, "w") as file:
            json.dump({"apiVersion": "v1", "kind": "List", "items": batch}, file)
        site.kubectl("create", "-f", path)
    print(f"  {len(objects):,} objects were made in {time.monotonic() - begin:.0f} s", file=sys.stderr)
    full = settled(8)
    yield Measure("manager, idle", "MiB", [idle], [])
    yield Measure(f"manager, {services:,} Services and {pods:,} Pods", "MiB", [full], [], limit=64)


def service(number):
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": f"service{number}", "labels": {"app": f"service{number}", "tier": "bench"}},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}  # fmt: skip


def sleeper(number):
    """One that no node takes."""
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": f"pod{number}-5d8f7c9b6-x2x4q", "labels": {"app": f"service{number}", "tier": "bench"}},
            "spec": {"nodeSelector": {"bench": "nowhere"}, "containers": [{
                "name": "app", "image": "hello:1", "ports": [{"name": "http", "containerPort": 8080}],
                "env": [{"name": "GREETING", "value": "hello from the cluster"}]}]}}  # fmt: skip


def slice_(number, count):
    """Where a Service would lead; the label spares kube-proxy."""
    addresses = [f"10.77.{(number * count + each) >> 8}.{(number * count + each) & 255}" for each in range(count)]
    return {"apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"service{number}-x2x4q", "labels": {
                "kubernetes.io/service-name": f"service{number}", "service.kubernetes.io/headless": ""}},
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}  # fmt: skip


# --- on the workstation: resets of flows, and a flow beside them


def flow(address, mode, duration=0):
    """As protocol.h has it."""
    connection = socket.create_connection(address, timeout=5)
    connection.sendall(struct.pack("=B7xQQQ", ord(mode), duration, 0, 0))
    return connection


def echoes(connection):
    try:
        connection.sendall(b"x" * 64)
        have = 0
        while have < 64:
            count = len(connection.recv(64 - have))
            if not count:
                return False
            have += count
        return True
    except OSError:
        return False


def resets(address, count):
    """The other flow is looked at after each reset, and replaced when it was harmed."""
    harmed = refused = 0
    other = None
    for number in range(count):
        try:
            if not other:
                other = flow(address, "E")
                if not echoes(other):
                    raise OSError
            # In the middle of a stream, down and up in turn.
            ended = flow(address, "U" if number % 2 else "D", 10_000_000)
            if number % 2:
                ended.sendall(bytes(1 << 18))
            else:
                have = 0
                while have < 1 << 18:
                    part = len(ended.recv(1 << 16))
                    if not part:
                        raise OSError
                    have += part
        except OSError:
            refused += 1
            other = None
            continue
        ended.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ended.close()
        time.sleep(0.1)
        if not echoes(other):
            harmed += 1
            other = None
    return {"harmed": harmed, "refused": refused}


if __name__ == "__main__":
    print(json.dumps(resets((sys.argv[1], int(sys.argv[2])), int(sys.argv[3]))))
