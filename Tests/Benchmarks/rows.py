"""The rows of the table: what each runs, against what, and what it must reach."""

import subprocess
import time
from dataclasses import dataclass

from cluster import (
    cluster_bulk,
    cluster_connect,
    cluster_direct,
    cluster_forward,
    cluster_install,
    cluster_memory,
    cluster_resets,
)
from files import bulk_files, environment, small_files
from forwarders import HOST, BareLibssh2, Target, probe
from intercepts import agent_memory, agent_throughput, filtered, intercepted_latency, switching
from measures import Measure, compare
from network import CLUSTER, DelayedNetwork
from processes import Failure, cpu_seconds, proportional_memory, wait_until
from session import daemon_memory, first_byte, names, tunnel_bulk, tunnel_connections, tunnel_echo

CIPHERS = {
    "aes128-gcm": ["-c", "aes128-gcm@openssh.com"],
    "aes256-gcm": ["-c", "aes256-gcm@openssh.com"],
    "chacha20-poly1305": ["-c", "chacha20-poly1305@openssh.com"],
    "aes128-ctr + hmac-sha2-256": ["-c", "aes128-ctr", "-m", "hmac-sha2-256"],
}
DIRECTIONS = ("up", "down")
CAP = 200_000_000  # bytes per second
SESSIONS, CHANNELS = 20, 100
PACKET = 32768  # the largest channel packet ssh and libssh2 take


@dataclass
class Row:
    """`measure(bench)` yields the row's `Measure`s."""

    number: int
    work: str
    against: str
    reach: str
    measure: object


def stream(bench, forwarder, server, direction, milliseconds, rate=0, network=None):
    """One bulk stream: MB/s from the first byte sent to the last received, and the server's CPU time per GB."""
    before = cpu_seconds(server.pid)
    result = bench.load(direction, HOST, forwarder.port, milliseconds, rate, network=network)
    time.sleep(0.02)
    used = cpu_seconds(server.pid) - before
    if result["bytes"] == 0:
        raise Failure(f"the stream {direction} moved nothing")
    return {"throughput": result["bytes"] / result["seconds"] / 1e6, "cpu": used / (result["bytes"] / 1e9)}


def bulk(bench, title, options, forward, throughput, cpu, repetitions, capped):
    """Both directions of one kind of ssh forward through both servers."""
    servers = bench.servers()
    sessions = [bench.ssh(bench, server, forward, options=options) for server in servers]
    try:
        for session in sessions:
            probe(bench, session)
            for direction in DIRECTIONS:
                bench.load(direction, HOST, session.port, 200, 0)

        def run(side, direction, milliseconds, rate):
            return lambda: stream(bench, sessions[side], servers[side], direction, milliseconds, rate)

        for direction in DIRECTIONS:
            figures = compare(
                bench,
                bench.repetitions(repetitions),
                run(0, direction, bench.milliseconds(1200), 0),
                run(1, direction, bench.milliseconds(1200), 0),
            )
            yield Measure(f"{title} {direction}", "MB/s", *figures["throughput"], throughput, at_least=True)
            yield Measure(f"{title} {direction}, server CPU", "s/GB", *figures["cpu"], cpu)
            if not capped:
                continue
            figures = compare(
                bench,
                bench.repetitions(repetitions),
                run(0, direction, bench.milliseconds(1500), CAP),
                run(1, direction, bench.milliseconds(1500), CAP),
            )
            yield Measure(f"{title} {direction} at 200 MB/s, reached", "MB/s", *figures["throughput"])
            yield Measure(f"{title} {direction} at 200 MB/s, server CPU", "s/GB", *figures["cpu"], cpu)
    finally:
        for session in sessions:
            session.stop()


def bulk_aes128_gcm(bench):
    yield from bulk(bench, "-L aes128-gcm", CIPHERS["aes128-gcm"], "-L", 1.0, 0.7, 5, capped=True)


def bulk_others(bench):
    for cipher in list(CIPHERS)[1:]:
        yield from bulk(bench, f"-L {cipher}", CIPHERS[cipher], "-L", 1.0, 0.9, 3, capped=False)
    yield from bulk(bench, "-R aes128-gcm", CIPHERS["aes128-gcm"], "-R", 1.0, 0.9, 3, capped=False)


def on_ssh(bench, kind, *arguments):
    """A load through one aes128-gcm session of each server: name → (ours, theirs), with rate and server CPU."""
    servers = bench.servers()
    sessions = [bench.ssh(bench, server) for server in servers]
    try:
        for session in sessions:
            probe(bench, session)

        def run(side):
            def once():
                before = cpu_seconds(servers[side].pid)
                result = bench.load(kind, HOST, sessions[side].port, *arguments)
                if result["count"] == 0:
                    raise Failure(f"no {kind} at all")
                time.sleep(0.05)
                used = cpu_seconds(servers[side].pid) - before
                return {**result, "rate": result["count"] / result["seconds"], "cpu": used * 1e6 / result["count"]}

            return once

        return compare(bench, bench.repetitions(5), run(0), run(1))
    finally:
        for session in sessions:
            session.stop()


def echoes(bench):
    for channels, order, title in (
        (1, "one", "1 channel"),
        (300, "one", "300 channels, one after another"),
        (300, "all", "300 channels, all in flight"),
    ):
        figures = on_ssh(bench, "echo", channels, bench.milliseconds(1500), order)
        yield Measure(f"echo, {title}, median", "µs", *figures["p50_us"], 1.0)
        yield Measure(f"echo, {title}, 99 %", "µs", *figures["p99_us"])


def connections(bench):
    for parallel, title in ((1, "one by one"), (16, "16 at a time")):
        figures = on_ssh(bench, "connections", parallel, bench.milliseconds(1500), "client")
        yield Measure(f"connections {title}", "1/s", *figures["rate"], 1.2, at_least=True)
        yield Measure(f"connections {title}, server CPU", "µs each", *figures["cpu"], 0.7)
    figures = on_ssh(bench, "connections", 1, bench.milliseconds(1500), "target")
    yield Measure("connections one by one, the target closes first", "1/s", *figures["rate"])


def session_setup(bench):
    servers = bench.servers()

    def run(server):
        def once():
            before = cpu_seconds(server.pid)
            result = bench.run(
                bench.helper("sessions"), server.address, server.port, server.user, bench.keys.user,
                bench.milliseconds(2500), 6,
            )  # fmt: skip
            time.sleep(0.3)  # until the server has reaped the last ones
            used = cpu_seconds(server.pid) - before
            return {"rate": result["count"] / result["seconds"], "cpu": used * 1e3 / result["count"]}

        return once

    figures = compare(bench, bench.repetitions(3), run(servers[0]), run(servers[1]))
    yield Measure("sessions set up", "1/s", *figures["rate"], 4.0, at_least=True)
    yield Measure("sessions set up, server CPU", "ms each", *figures["cpu"])


def memory(bench):
    def side(kind):
        server = bench.start_server(kind)
        held = []
        try:
            idle = proportional_memory(server.pid)
            sessions = [bench.ssh(bench, server) for _ in range(SESSIONS)]
            held += sessions
            for session in sessions:
                probe(bench, session)
            time.sleep(1)
            with_sessions = proportional_memory(server.pid)
            accepted = bench.target.accepted()
            loads = []
            for session in sessions:
                load = bench.processes.start(
                    [bench.helper("load"), "hold", HOST, session.port, CHANNELS],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                )  # fmt: skip
                load.stop = lambda load=load: bench.processes.stop(load)
                loads.append(load)
                held.append(load)
            wait_until(lambda: bench.target.accepted() >= accepted + SESSIONS * CHANNELS, "all channels are open")
            time.sleep(1)
            total = proportional_memory(server.pid)
            for load in loads:
                load.stdin.write(b"\n")
                load.stdin.flush()
            for load in loads:
                if not load.stdout.readline():
                    raise Failure("a channel broke")
            time.sleep(1)
            used = proportional_memory(server.pid)
            return {
                "total": total / 2**20,
                "session": (with_sessions - idle) / SESSIONS / 2**20,
                "channel": (total - with_sessions) / (SESSIONS * CHANNELS) / 2**10,
                "used": (used - with_sessions) / (SESSIONS * CHANNELS) / 2**10,
            }
        finally:
            for process in reversed(held):
                process.stop()
            server.stop()

    figures = compare(bench, 1, lambda: side(0), lambda: side(1))
    yield Measure(f"{SESSIONS} sessions × {CHANNELS} idle channels, total", "MiB", *figures["total"], 0.8)
    yield Measure("a session", "MiB", *figures["session"])
    yield Measure("a channel", "KiB", *figures["channel"], limit=8)
    yield Measure("a channel that has carried an echo", "KiB", *figures["used"])


def long_path(bench):
    """80 ms: `ssh -L` up through both servers, then both clients down from ours."""
    network = DelayedNetwork(bench, round_trip=80)
    started = []
    try:
        workstation = network.workstation
        target = Target(bench, network=network.cluster)
        started.append(target)
        servers = [bench.start_server(side, network=network.cluster, address=CLUSTER) for side in (0, 1)]
        started += servers

        def forwarder(make, server):
            forwarder = make(bench, server, target=target, network=workstation)
            started.append(forwarder)
            probe(bench, forwarder, network=workstation)
            return forwarder

        def run(forwarder, direction):
            milliseconds = bench.milliseconds(7000)
            return lambda: stream(bench, forwarder, forwarder.server, direction, milliseconds, network=workstation)

        sessions = [forwarder(bench.ssh, server) for server in servers]
        figures = compare(bench, bench.repetitions(3), *(run(session, "up") for session in sessions))
        yield Measure("80 ms, ssh -L up", "MB/s", *figures["throughput"], 4.0, at_least=True)
        telepresence = forwarder(bench.telepresence, servers[0])
        figures = compare(bench, bench.repetitions(3), run(telepresence, "down"), run(sessions[0], "down"))
        yield Measure("80 ms, telepresence forward -L down", "MB/s", *figures["throughput"], 3.0, at_least=True)
    finally:
        for item in reversed(started):
            item.stop()
        network.stop()


def burst(bench):
    """50 ms: 200 connections at once through SOCKS, both clients to our server."""
    network = DelayedNetwork(bench, round_trip=50)
    started = []
    try:
        workstation = network.workstation
        target = Target(bench, network=network.cluster)
        started.append(target)
        server = bench.start_server(0, network=network.cluster, address=CLUSTER)
        started.append(server)

        def run(make):
            forwarder = make(bench, server, "-D", target=target, network=workstation)
            started.append(forwarder)

            def once():
                time.sleep(1)  # as between two clicks: what a client keeps in stock may be refilled
                result = bench.load("burst", HOST, forwarder.port, HOST, target.port, 200, network=workstation)
                return {"all": result["seconds"] * 1e3, "median": result["p50_us"] / 1e3}

            for attempt in range(100):
                try:
                    bench.load("burst", HOST, forwarder.port, HOST, target.port, 1, network=workstation)
                    return once
                except Failure:
                    if attempt == 99 or forwarder.process.poll() is not None:
                        raise
                    time.sleep(0.05)

        figures = compare(bench, bench.repetitions(5), run(bench.telepresence), run(bench.ssh))
        yield Measure("200 connections at 50 ms, all answered", "ms", *figures["all"], 1.2)
        yield Measure("200 connections at 50 ms, median", "ms", *figures["median"])
    finally:
        for item in reversed(started):
            item.stop()
        network.stop()


def client_bulk(bench):
    server = bench.servers()[0]
    forwarders = []
    try:
        for make in (bench.telepresence, BareLibssh2):
            forwarder = make(bench, server)
            forwarders.append(forwarder)
            probe(bench, forwarder)
            for direction in DIRECTIONS:
                bench.load(direction, HOST, forwarder.port, 200, 0)

        def run(forwarder, direction):
            def once():
                before = cpu_seconds(forwarder.process.pid)
                result = bench.load(direction, HOST, forwarder.port, bench.milliseconds(1500), 0)
                used = cpu_seconds(forwarder.process.pid) - before
                gigabytes = result["bytes"] / 1e9
                return {"throughput": gigabytes * 1e3 / result["seconds"], "cpu": used / gigabytes}

            return once

        for direction in DIRECTIONS:
            sides = (run(forwarder, direction) for forwarder in forwarders)
            figures = compare(bench, bench.repetitions(5), *sides)
            yield Measure(f"telepresence forward -L {direction}", "MB/s", *figures["throughput"], 1.0, at_least=True)
            yield Measure(f"telepresence forward -L {direction}, client CPU", "s/GB", *figures["cpu"])
    finally:
        for forwarder in forwarders:
            forwarder.stop()


def allocations(bench):
    """Allocations per 32 KiB in the middle of a running stream; sshd and the bare loop stand beside for scale."""

    def count(path):
        with open(path, "rb") as file:
            return int.from_bytes(file.read(8), "little")

    def per_packet(forwarder, path, direction):
        milliseconds = bench.milliseconds(3000)
        load = bench.processes.start([bench.helper("load"), direction, HOST, forwarder.port, milliseconds, 0])
        try:
            time.sleep(milliseconds / 3000)
            first = count(path), bench.target.bytes_moved()
            time.sleep(milliseconds / 3000)
            last = count(path), bench.target.bytes_moved()
            load.wait(30)
        finally:
            bench.processes.stop(load)
        if last[1] == first[1]:
            raise Failure(f"the stream {direction} moved nothing")
        return (last[0] - first[0]) / ((last[1] - first[1]) / PACKET)

    def counted(name):
        path = f"{bench.directory}/{name}.allocations"
        return path, {"LD_PRELOAD": bench.helper("alloccount.so"), "BENCH_ALLOCATIONS": path}

    def servers(side):
        path, env = counted(f"server{side}")
        server = bench.start_server(side, env=env)
        session = None
        try:
            session = bench.ssh(bench, server)
            probe(bench, session)
            return {direction: per_packet(session, path, direction) for direction in DIRECTIONS}
        finally:
            if session:
                session.stop()
            server.stop()

    def clients(make, name):
        path, env = counted(name)
        forwarder = make(bench, bench.servers()[0], env=env)
        try:
            probe(bench, forwarder)
            return {direction: per_packet(forwarder, path, direction) for direction in DIRECTIONS}
        finally:
            forwarder.stop()

    figures = compare(bench, 1, lambda: servers(0), lambda: servers(1))
    for direction in DIRECTIONS:
        yield Measure(f"server, stream {direction}", "per 32 KiB", *figures[direction], limit=0.05)
    figures = compare(
        bench, 1, lambda: clients(bench.telepresence, "client0"), lambda: clients(BareLibssh2, "client1")
    )
    for direction in DIRECTIONS:
        yield Measure(f"client, stream {direction}", "per 32 KiB", *figures[direction], limit=0.05)


SAME_SSH = "the same ssh through Debian's sshd"
ROWS = [
    Row(1, "stock `ssh -L`, aes128-gcm, bulk, each direction; also capped at 200 MB/s", SAME_SSH,
        "throughput ≥ 1.0 ×, server CPU per GB ≤ 0.7 ×", bulk_aes128_gcm),
    Row(2, "the same with aes256-gcm, chacha20-poly1305, aes128-ctr + hmac-sha2-256; and `ssh -R`", SAME_SSH,
        "throughput ≥ 1.0 ×, server CPU per GB ≤ 0.9 ×", bulk_others),
    Row(3, "64-byte echo round trip, 1 and 300 channels", SAME_SSH, "≤ 1.0 ×", echoes),
    Row(4, "connections opened per second through one session", SAME_SSH,
        "rate ≥ 1.2 ×, server CPU each ≤ 0.7 ×", connections),
    Row(5, "sessions set up per second", "Debian's sshd", "≥ 4 ×", session_setup),
    Row(6, "memory, 20 sessions × 100 idle channels", "Debian's sshd", "total ≤ 0.8 ×; ≤ 8 KiB a channel", memory),
    Row(7, "80 ms round trip, one bulk stream: `ssh -L` up; `telepresence forward -L` down",
        "Debian's sshd; `ssh -L` to the same manager", "≥ 4 ×; ≥ 3 ×", long_path),
    Row(8, "200 connections at once at 50 ms round trip, `telepresence forward -D`",
        "`ssh -D` to the same manager", "≤ 1.2 ×", burst),
    Row(9, "`telepresence forward -L`, bulk, each direction",
        "a bare libssh2 loop in C against the same manager", "≥ 1.0 ×", client_bulk),
    Row(10, "allocations in the steady state of a bulk stream", "sshd; the bare libssh2 loop",
        "none per packet", allocations),
    Row(11, "bulk TCP through the TUN, each direction", "sshuttle; `telepresence forward -L`", "≥ 6 ×; ≥ 0.8 ×",
        tunnel_bulk),
    Row(12, "64-byte echo through the TUN", "`telepresence forward -L`", "≤ 1.3 ×", tunnel_echo),
    Row(13, "new connections per second through the TUN", "sshuttle", "≥ 3 ×", tunnel_connections),
    Row(14, "DNS: cached queries per second; uncached, 99 %", "dnsmasq forwarding to the same server",
        "≥ 1 ×; ≤ 2 ×", names),
    Row(15, "memory of the daemon, idle; with 1,000 open flows", "–", "≤ 40 MiB; ≤ 80 MiB", daemon_memory),
    Row(16, "`connect` to the first byte of `curl hello`", "`ssh` login to the same manager", "≤ 3 ×", first_byte),
    Row(17, "requests through an agent without an intercept, wrk, keep-alive", "haproxy in the same place",
        "throughput ≥ 0.9 ×, 99 % ≤ 1.2 ×", agent_throughput),
    Row(18, "intercepted requests, median", "`ssh -R` through Debian's sshd", "≤ 1.3 ×", intercepted_latency),
    Row(19, "requests past a filter that does not match", "through the agent without a filter", "≥ 0.8 ×", filtered),
    Row(20, "memory of the agent, idle; with 500 connections; size of the binary", "–", "≤ 15 MiB; ≤ 30 MiB",
        agent_memory),
    Row(21, "from `leave` to the app's answer; from `intercept` to the first answer", "–", "≤ 50 ms; ≤ 300 ms", switching),
    Row(22, "a volume by sshfs: one large file written, read", "sshfs to Debian's sshd on the same node", "≥ 0.9 ×",
        bulk_files),
    Row(23, "a volume by sshfs: small files written, read", "sshfs to Debian's sshd on the same node", "≥ 0.9 ×",
        small_files),
    Row(24, "the environment of a workload, from the daemon's API", "–", "≤ 100 ms", environment),
    Row(25, "`connect` by the kubeconfig, the manager is there", "`kubectl get svc` and `kubectl port-forward`", "≤ 1.5 ×",
        cluster_connect),
    Row(26, "`install` until the manager is ready", "`kubectl apply` of the same objects; `create deploy` of its image", "≤ 1.5 ×",
        cluster_install),
    Row(27, "bulk TCP to a pod through the TUN, by port-forward, each direction", "`kubectl port-forward`", "≥ 0.5 ×",
        cluster_bulk),
    Row(28, "resets of single flows beside another flow", "`kubectl port-forward`", "none is harmed", cluster_resets),
    Row(29, "memory of the manager with many Services and Pods", "–", "≤ 64 MiB", cluster_memory),
    Row(30, "`telepresence port-forward`, bulk, each direction", "`kubectl port-forward`", "≥ 1 ×", cluster_forward),
    Row(31, "bulk TCP to a pod through the TUN, `--transport direct`", "a session of row 11, without a cluster", "≥ 0.9 ×",
        cluster_direct),
]  # fmt: skip
