"""The rows of the session: a workstation and a cluster in namespaces of their own, and a wire between them."""

import os
import shutil
import subprocess
import time

from forwarders import Target, probe
from measures import Measure, compare
from processes import Failure, listening, proportional_memory, wait_listening, wait_until
from servers import SSHD, TrafficManager

WORKSTATION, CLUSTER = "10.98.77.1", "10.98.77.2"
NOBODY = "10.98.77.3"  # the workstation's gateway: what no tunnel takes is not answered
POD = "10.99.0.1"  # what lies behind the manager
FLOWS = 1000
# Both peers alike: thousands of connections a second would otherwise be a search for ports that are free again.
PORTS = 'net.ipv4.ip_local_port_range="10000 65000" net.ipv4.tcp_tw_reuse=1'
HELLO = f"""apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {{name: hello, namespace: default}}
  spec:
    clusterIP: 10.98.128.10
    ports: [{{name: http, port: 80, protocol: TCP, targetPort: 8080}}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {{name: hello-x, namespace: default, labels: {{kubernetes.io/service-name: hello}}}}
  addressType: IPv4
  endpoints: [{{addresses: ["{POD}"], conditions: {{ready: true}}}}]
  ports: [{{name: http, port: 8080, protocol: TCP}}]
"""


class HelloManager(TrafficManager):
    services = HELLO


class Site:
    """Two machines, a target in the cluster, and whatever is started on them; `stop` ends it all."""

    def __init__(self, bench):
        if os.geteuid() != 0:
            raise Failure("needs root, to make a workstation of its own")
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise Failure("there is no /dev/net/tun")
        self.bench = bench
        self.started = []
        self.home = os.path.join(bench.directory, f"site{bench.free_port()}")
        os.mkdir(self.home)
        try:
            self.cluster = self.machine("cluster")
            self.workstation = self.machine("workstation")
            self.inside(self.cluster, f"""ip link add wire type veth peer name wire netns {self.workstation}
ip link set wire up; ip address add {CLUSTER}/24 dev wire; ip address add {POD}/32 dev lo""")
            self.inside(self.workstation, f"""ip link set wire up; ip address add {WORKSTATION}/24 dev wire
ip route add default via {NOBODY}""")
            self.target = self.keep(Target(bench, network=self.cluster, host=POD))
        except BaseException:
            self.stop()
            raise

    def machine(self, name):
        """A process in a network and mount namespace, with an /etc and a /run that are its own."""
        etc = os.path.join(self.home, name)
        shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
        resolv = os.path.join(etc, "resolv.conf")
        if os.path.lexists(resolv):
            os.unlink(resolv)
        with open(resolv, "w") as file:
            file.write(f"nameserver {CLUSTER}\n")
        script = f"""umount /etc/resolv.conf 2>/dev/null
mount --make-rprivate / && mount --bind {etc} /etc && mount -t tmpfs none /run && mkdir -p /run/sshd -m 755 &&
ip link set lo up && sysctl -q -w {PORTS} && echo ready && exec sleep infinity"""
        holder = self.bench.processes.start(
            ["unshare", "--net", "--mount", "sh", "-c", script], stdout=subprocess.PIPE)
        self.started.append(holder)
        if holder.stdout.readline().strip() != b"ready":
            raise Failure(f"{name}: {open(holder.errors).read().strip() or 'failed'}")
        return holder.pid

    def inside(self, machine, script):
        result = subprocess.run(self.on(machine, ["sh", "-ec", script]), capture_output=True, text=True)
        if result.returncode:
            raise Failure(f"{script.split()[0]}: {(result.stderr or result.stdout).strip()}")
        return result.stdout

    def on(self, machine, command):
        return ["nsenter", f"--net=/proc/{machine}/ns/net", f"--mount=/proc/{machine}/ns/mnt", "--", *command]

    def start(self, machine, command, **options):
        return self.keep(self.bench.processes.start(self.on(machine, command), **options))

    def keep(self, item):
        self.started.append(item)
        return item

    def server(self, kind):
        return self.keep(kind(self.bench, network=self.cluster, address=CLUSTER))

    def load(self, kind, address, *arguments):
        return self.bench.load(kind, address[0], address[1], *arguments, network=self.workstation)

    def stop(self):
        for item in reversed(self.started):
            if hasattr(item, "stop"):
                item.stop()
            else:
                self.bench.processes.stop(item)
        shutil.rmtree(self.home, ignore_errors=True)

    # What leads to the target: each returns the address to connect to.

    def forward(self, server):
        forwarder = self.keep(self.bench.telepresence(self.bench, server, target=self.target, network=self.workstation))
        probe(self.bench, forwarder, network=self.workstation)
        return ("127.0.0.1", forwarder.port)

    def environment(self):
        return {"HOME": self.home, "XDG_RUNTIME_DIR": f"{self.home}/run", "XDG_STATE_HOME": self.home,
                "XDG_CONFIG_HOME": f"{self.home}/config"}  # fmt: skip

    def connect_command(self, server):
        os.makedirs(f"{self.home}/run", mode=0o700, exist_ok=True)
        return [self.bench.binary("telepresence"), "connect", "--manager", f"{server.address}:{server.port}",
                "--identity", self.bench.keys.user, "--known-hosts", self.bench.keys.known_hosts]  # fmt: skip

    def run(self, *command):
        return subprocess.run(self.on(self.workstation, command), env={**os.environ, **self.environment()},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)  # fmt: skip

    def connect(self, server):
        result = self.run(*self.connect_command(server))
        if result.returncode:
            raise Failure(f"connect: {(result.stderr or result.stdout).strip()}")
        self.keep(Session(self))
        return (POD, self.target.port)

    def daemon(self):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/cmdline", "rb") as file:
                        if b"\0daemon\0" in file.read() and os.readlink(f"/proc/{entry}/exe").endswith("/telepresence"):
                            return int(entry)
                except OSError:
                    continue
        raise Failure("there is no daemon")

    def sshuttle(self, server):
        if not shutil.which("sshuttle"):
            raise Failure("there is no sshuttle here (apt-get install sshuttle iptables)")
        keys = self.bench.keys
        ssh = (f"ssh -F none -o UserKnownHostsFile={keys.known_hosts} -o GlobalKnownHostsFile=none -o IdentitiesOnly=yes "
               f"-o IdentityAgent=none -o BatchMode=yes -o LogLevel=ERROR -i {keys.user}")  # fmt: skip
        process = self.start(
            self.workstation,
            ["sshuttle", "--method", "nat", "-e", ssh, "-r", f"{server.user}@{server.address}:{server.port}", f"{POD}/32"],
        )
        wait_until(lambda: self.answers((POD, self.target.port), process), "sshuttle leads to the target", 30)
        return (POD, self.target.port)

    def answers(self, address, process):
        try:
            self.load("connections", address, 1, 1, "target")
            return True
        except Failure:
            if process.poll() is not None:
                raise
            return False


class Session:
    def __init__(self, site):
        self.site = site

    def stop(self):
        self.site.run(self.site.bench.binary("telepresence"), "quit")


def sides(bench, theirs, measure):
    """Ours through the TUN, then theirs, each on a site of its own: name → (ours, theirs)."""
    sites, addresses = [], []
    try:
        for kind, lead in ((HelloManager, Site.connect), theirs):
            site = Site(bench)
            sites.append(site)
            addresses.append(lead(site, site.server(kind)))
        return measure(*zip(sites, addresses))
    finally:
        for site in reversed(sites):
            site.stop()


SSHUTTLE = (SSHD, Site.sshuttle)
FORWARD = (HelloManager, Site.forward)


def tunnel_bulk(bench):
    for theirs, name, bound in ((SSHUTTLE, "sshuttle", 6.0), (FORWARD, "forward -L", 0.8)):

        def measure(*ends):
            for direction in ("up", "down"):
                for site, address in ends:
                    site.load(direction, address, 300, 0)

                def run(end):
                    site, address = end

                    def once():
                        result = site.load(direction, address, bench.milliseconds(1500), 0)
                        return {"throughput": result["bytes"] / result["seconds"] / 1e6}

                    return once

                figures = compare(bench, bench.repetitions(3), *map(run, ends))
                yield Measure(f"TUN {direction}, against {name}", "MB/s", *figures["throughput"], bound, at_least=True)

        yield from sides(bench, theirs, lambda *ends: list(measure(*ends)))


def tunnel_echo(bench):
    def measure(*ends):
        def run(end):
            site, address = end

            def once():
                result = site.load("echo", address, 1, bench.milliseconds(1500), "one")
                return {name: result[name] for name in ("p50_us", "p99_us")}

            return once

        return compare(bench, bench.repetitions(5), *map(run, ends))

    figures = sides(bench, FORWARD, measure)
    yield Measure("echo through the TUN, median", "µs", *figures["p50_us"], 1.3)
    yield Measure("echo through the TUN, 99 %", "µs", *figures["p99_us"])


def tunnel_connections(bench):
    def measure(*ends):
        def run(end, parallel):
            site, address = end

            def once():
                result = site.load("connections", address, parallel, bench.milliseconds(1500), "client")
                return {"rate": result["count"] / result["seconds"]}

            return once

        figures = {}
        for parallel in (1, 16, 64):
            figures[parallel] = compare(
                bench, bench.repetitions(3), *(run(end, parallel) for end in ends))["rate"]
        return figures

    figures = sides(bench, SSHUTTLE, measure)
    yield Measure("connections through the TUN, one by one", "1/s", *figures[1])
    yield Measure("connections through the TUN, 16 at a time", "1/s", *figures[16])
    yield Measure("connections through the TUN, 64 at a time", "1/s", *figures[64], 3.0, at_least=True)


def names(bench):
    """Both forward what they do not know to the same server: a dnsmasq in the cluster that makes up all names."""
    for program in ("dnsmasq", "dnsperf"):
        if not shutil.which(program):
            raise Failure(f"there is no {program} here (apt-get install dnsmasq-base dnsperf)")
    site = Site(bench)
    try:
        quiet = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--user=root", "--bind-interfaces"]
        zone = site.start(site.cluster, [*quiet, "--no-resolv", f"--listen-address={CLUSTER}", "--local-ttl=300",
                                         "--address=/bench.test/192.0.2.1"])  # fmt: skip
        wait_listening(zone, 53, "dnsmasq")
        theirs = site.start(site.workstation, [*quiet, "--no-resolv", "--listen-address=127.0.0.1", f"--server={CLUSTER}",
                                               "--cache-size=10000", "--dns-forward-max=1000"])  # fmt: skip
        wait_listening(theirs, 53, "dnsmasq")
        site.connect(site.server(HelloManager))
        stub = site.inside(site.workstation, "awk '$1 == \"nameserver\" { print $2; exit }' /etc/resolv.conf").strip()
        queries = os.path.join(site.home, "queries")
        count = 0

        def ask(server, fresh, *options):
            nonlocal count
            with open(queries, "w") as file:
                for number in range(20_000 if fresh else 100):
                    count += fresh
                    file.write(f"n{count if fresh else number}.bench.test A\n")
            result = site.run("dnsperf", "-s", server, "-d", queries, *options)
            if result.returncode:
                raise Failure(f"dnsperf: {(result.stderr or result.stdout).strip()[-300:]}")
            return result.stdout

        def cached(server):
            seconds = bench.milliseconds(3000) / 1000

            def once():
                text = ask(server, False, "-l", str(seconds), "-q", "100", "-c", "4")
                rate = next(line.split()[-1] for line in text.splitlines() if "Queries per second" in line)
                lost = next(line for line in text.splitlines() if "Queries lost" in line)
                if float(lost.split("(")[-1].split("%")[0]) > 1:
                    raise Failure(f"dnsperf: {lost.strip()}")
                return {"rate": float(rate)}

            return once

        def uncached(server):
            def once():
                seconds = bench.milliseconds(4000) / 1000
                text = ask(server, True, "-n", "1", "-q", "100", "-Q", "3000", "-l", str(seconds), "-v")
                times = sorted(float(line.split()[-1]) for line in text.splitlines() if line.startswith("> NOERROR"))
                if len(times) < 1000:
                    raise Failure("dnsperf: too few answers")
                return {"p50": times[len(times) // 2] * 1e6, "p99": times[len(times) * 99 // 100] * 1e6}

            return once

        figures = compare(bench, bench.repetitions(3), cached(stub), cached("127.0.0.1"))
        yield Measure("cached queries", "1/s", *figures["rate"], 1.0, at_least=True)
        figures = compare(bench, bench.repetitions(3), uncached(stub), uncached("127.0.0.1"))
        yield Measure("uncached queries, median", "µs", *figures["p50"])
        yield Measure("uncached queries, 99 %", "µs", *figures["p99"], 2.0)
    finally:
        site.stop()


def daemon_memory(bench):
    site = Site(bench)
    try:
        address = site.connect(site.server(HelloManager))
        daemon = site.daemon()
        site.load("connections", address, 1, 1, "target")
        time.sleep(1)
        idle = proportional_memory(daemon)
        before = site.target.accepted()
        load = site.start(site.workstation, [bench.helper("load"), "hold", *address, FLOWS], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)  # fmt: skip
        wait_until(lambda: site.target.accepted() >= before + FLOWS, "all flows are open", 30)
        time.sleep(1)
        full = proportional_memory(daemon)
        load.stdin.write(b"\n")
        load.stdin.flush()
        if not load.stdout.readline():
            raise Failure("a flow broke")
        yield Measure("daemon, idle", "MiB", [idle / 2**20], [], limit=40)
        yield Measure(f"daemon, {FLOWS:,} open flows", "MiB", [full / 2**20], [], limit=80)
    finally:
        site.stop()


def first_byte(bench):
    site = Site(bench)
    try:
        server = site.server(HelloManager)
        hello = site.start(site.cluster, [bench.binary("hello"), "--listen", f"{POD}:8080"])
        wait_until(lambda: listening(hello.pid, 8080), "hello listens")
        keys = bench.keys

        def timed(*command):
            begin = time.monotonic()
            result = site.run(*command)
            seconds = time.monotonic() - begin
            if result.returncode:
                raise Failure(f"{command[0]}: {(result.stderr or result.stdout).strip()}")
            return seconds

        def ours():
            try:
                connect = " ".join(site.connect_command(server))
                return {"time": timed("sh", "-c", f"{connect} >/dev/null && exec curl -sS http://hello/ -o /dev/null") * 1e3}
            finally:
                Session(site).stop()

        def theirs():
            return {"time": timed(
                "ssh", "-F", "none", "-o", f"UserKnownHostsFile={keys.known_hosts}", "-o", "IdentitiesOnly=yes",
                "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-i", keys.user, "-p", str(server.port),
                f"{server.user}@{server.address}", "version") * 1e3}  # fmt: skip

        figures = compare(bench, bench.repetitions(5), ours, theirs)
        yield Measure("connect to the first byte of curl hello", "ms", *figures["time"], 3.0)
    finally:
        site.stop()
