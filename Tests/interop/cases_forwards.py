"""Forwards of stock ssh: -L -D -R -W -J, Unix sockets, how connections end, and how refusals read."""

import getpass
import os
import socket
import struct
import threading

import targets
from clients import (connect, http_get, is_listening, local_forward, read_all, read_some, remote_forward, socks, tunnel,
                     try_ports)
from harness import Skip, case, contains, equal, matches
from world import DB, HELLO, OTHERS, SERVICE_ADDRESS, public

# What a destination is called, where it leads, and the pods that may answer.
EITHER = tuple(HELLO)
DESTINATIONS = [
    ("hello", None, 80, EITHER),
    ("hello.default", None, 80, EITHER),
    ("hello.default.svc", None, 80, EITHER),
    ("hello.default.svc.cluster.local", None, 80, EITHER),
    ("hello.default.svc.cluster.local.", None, 80, EITHER),
    ("HELLO.Default", None, 80, EITHER),
    ("web.other", None, 8080, ("hello-0",)),
    ("the service's address", SERVICE_ADDRESS["hello"], 80, EITHER),
    ("a pod's address", HELLO["hello-1"], "hello", ("hello-1",)),
    ("the headless db", "db", "db", tuple(DB)),
    ("the headless db.default.svc", "db.default.svc", "db", tuple(DB)),
    ("the pod db-1.db", "db-1.db", "db", ("db-1",)),
    ("the pod db-0.db.default.svc.cluster.local", "db-0.db.default.svc.cluster.local", "db", ("db-0",)),
]


def place(world, destination):
    name, host, port, pods = destination
    port = {"hello": world.hello_port, "db": world.db_port}.get(port, port)
    return host or name, port, pods


@case("ssh -W to {}", DESTINATIONS)
def direct(t, world, destination):
    host, port, pods = place(world, destination)
    request = f"GET /w HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    result = t.run(world.manager.ssh("-W", f"{host}:{port}", "manager"), input=request).succeeded()
    contains(result.out, "HTTP/1.1 200", "path=/w", f"host={host}")
    assert matches(result.out, r"^pod=(\S+)").group(1) in pods


@case("ssh -L and -D to every name of a service and its pods, in one session")
def local_and_dynamic(t, world):
    options, paths = [], []
    for number, destination in enumerate(DESTINATIONS):
        host, port, _ = place(world, destination)
        paths.append(t.path(f"f{number}"))
        options += ["-L", f"{paths[-1]}:{host}:{port}"]

    def dynamic(port):
        process = tunnel(t, world.manager, "-o", "ExitOnForwardFailure=yes", "-D", port, *options)
        t.wait("the proxy", lambda: is_listening(port), process=process)
        return port

    proxy = try_ports(dynamic)
    for path, destination in zip(paths, DESTINATIONS):
        host, port, pods = place(world, destination)
        assert matches(http_get(connect(path), host=host), r"pod=(\S+)").group(1) in pods
        connection, code = socks(proxy, host, port)
        equal(code, 0, f"SOCKS reply for {host}")
        assert matches(http_get(connection, host=host), r"pod=(\S+)").group(1) in pods


@case("a service's connections are spread over its pods")
def balanced(t, world):
    path, _ = local_forward(t, world.manager, "hello:80")
    seen = {matches(http_get(connect(path)), r"pod=(\S+)").group(1) for _ in range(24)}
    equal(seen, set(HELLO), "pods that answered 24 requests")


@case("60 channels at once, each with its own bytes")
def many_channels(t, world):
    path, _ = local_forward(t, world.manager, "echo:7000")
    connections = [connect(path, 20) for _ in range(60)]
    for turn in range(3):
        for number, connection in enumerate(connections):
            connection.sendall(f"{turn} {number:04}\n".encode() * 500)
        for number, connection in enumerate(connections):
            expected = f"{turn} {number:04}\n".encode() * 500
            equal(read_some(connection, len(expected)), expected, f"echo on channel {number}")
    for connection in connections:
        connection.close()


# --- remote forwards -------------------------------------------------------------------------------------------------


def pod_on_workstation(t, world):
    """A server beside the client, which a remote forward leads to."""
    server = targets.QuietHTTPServer(("127.0.0.1", 0), targets.Pod)
    server.pod = "workstation"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    t.closing.append(server.shutdown)
    t.closing.append(server.server_close)
    return server.server_address[1]


@case("ssh -R with a fixed port")
def remote_fixed(t, world):
    target = pod_on_workstation(t, world)

    def attempt(port):
        process = t.start(world.manager.ssh(
            "-v", "-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{port}:127.0.0.1:{target}", "manager"))
        t.logged(process, r"remote forward success for: listen " + str(port), 15)
        return port

    port = try_ports(attempt)
    for _ in range(3):
        contains(http_get(connect(port)), "pod=workstation")


@case("ssh -R 0: the port is told, and works")
def remote_any_port(t, world):
    port, process = remote_forward(t, world.manager, f"127.0.0.1:{pod_on_workstation(t, world)}", "")
    assert port > 0
    contains(http_get(connect(port)), "pod=workstation")
    process.terminate()
    t.ended(process)
    t.wait("the port's end", lambda: not is_listening(port))


@case("ssh -R with the bind address {}", ["localhost", "127.0.0.1", "*", "::1"])
def remote_bind(t, world, bind):
    target = pod_on_workstation(t, world)
    if bind == "::1":
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            raise Skip("this machine has no IPv6 loopback") from None
    port, _ = remote_forward(t, world.manager, f"127.0.0.1:{target}", f"[{bind}]" if ":" in bind else bind)
    contains(http_get(connect((bind if ":" in bind else "127.0.0.1", port))), "pod=workstation")
    elsewhere = "127.0.0.2"
    if bind == "*":
        contains(http_get(connect((elsewhere, port))), "pod=workstation")
    else:
        try:
            connect((elsewhere, port), 2)
        except OSError:
            return
        raise AssertionError(f"-R {bind}:… also listens on {elsewhere}")


@case("ssh -R (dynamic): a SOCKS proxy on the manager that leads to the workstation")
def remote_dynamic(t, world):
    target = pod_on_workstation(t, world)
    process = t.start(world.manager.ssh("-v", "-N", "-R", "0", "manager"))
    port = int(t.logged(process, r"Allocated port (\d+)", 15).group(1))
    connection, code = socks(port, "127.0.0.1", target)
    equal(code, 0, "SOCKS reply")
    contains(http_get(connection), "pod=workstation")


@case("two remote forwards with port 0 in one session lead to their own targets")
def remote_two(t, world):
    first, second = pod_on_workstation(t, world), targets.Server(targets.echo)
    t.closing.append(second.close)
    process = t.start(world.manager.ssh(
        "-v", "-N", "-R", f"127.0.0.1:0:127.0.0.1:{first}", "-R", f"localhost:0:127.0.0.1:{second.port}", "manager"))
    one = int(t.logged(process, rf"Allocated port (\d+) for remote forward to 127.0.0.1:{first}").group(1))
    two = int(t.logged(process, rf"Allocated port (\d+) for remote forward to 127.0.0.1:{second.port}").group(1))
    contains(http_get(connect(one)), "pod=workstation")
    with connect(two) as connection:
        connection.sendall(b"hello, echo")
        equal(read_some(connection, 11), b"hello, echo", "echo")


@case("a second -R on a port in use is refused; ExitOnForwardFailure ends ssh")
def remote_twice(t, world):
    target = pod_on_workstation(t, world)
    port, _ = remote_forward(t, world.manager, f"127.0.0.1:{target}")
    result = t.run(world.manager.ssh(
        "-v", "-N", "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{port}:127.0.0.1:{target}", "manager"))
    result.failed(255)
    contains(result.err, f"remote port forwarding failed for listen port {port}")
    # Why is not part of the protocol's answer; ssh -v shows it.
    contains(result.err, "Address already in use")
    # Without the option ssh says so and stays.
    process = t.start(world.manager.ssh("-v", "-N", "-R", f"127.0.0.1:{port}:127.0.0.1:{target}", "manager"))
    t.logged(process, f"Warning: remote port forwarding failed for listen port {port}")
    assert process.poll() is None
    contains(http_get(connect(port)), "pod=workstation")


@case("-R on a privileged port is refused, and says why with -v")
def remote_privileged(t, world):
    result = t.run(world.manager.ssh("-v", "-N", "-o", "ExitOnForwardFailure=yes", "-R", "81:127.0.0.1:9", "manager"))
    contains(result.failed(255).err, "remote port forwarding failed for listen port 81", "privileged")


@case("-R to a target that refuses: the connection is closed, the forward stays")
def remote_refused(t, world):
    port, process = remote_forward(t, world.manager, f"{OTHERS}:{world.ports['refused']}")
    for _ in range(3):
        # The reset may come before the program knows that it is connected.
        try:
            with connect(port) as connection:
                equal(connection.recv(1), b"", "data")
        except ConnectionResetError:
            pass
    assert process.poll() is None


# --- through a jump --------------------------------------------------------------------------------------------------


@case("ssh -J to an sshd behind the manager")
def jump(t, world):
    if not world.bastion_key:
        raise Skip("there is no sshd here (Debian: openssh-server)")
    known = t.write("known_hosts", "[bastion]:7000 " + " ".join(public(world.bastion_key).split()[:2]) + "\n")
    config = t.write("config", f"Include {world.manager.config}\n"
                     f"Host bastion\n    UserKnownHostsFile {known}\n    Port 7000\n")
    there = ["-l", getpass.getuser(), "-J", "manager"]
    result = t.run(world.manager.ssh(*there, "bastion", "echo $((6 * 7)); cat >&2; exit 23", config=config),
                   input=b"to stderr")
    result.failed(23)
    equal(result.out, b"42\n", "stdout of the sshd behind")
    contains(result.err, "to stderr")
    # And a forward of that ssh, two hops on.
    process = t.start(world.manager.ssh(
        "-v", "-N", *there, "-L", f"{t.path('l')}:{OTHERS}:{world.ports['echo']}", "bastion", config=config))
    t.wait("the local socket", lambda: os.path.exists(t.path("l")), process=process)
    with connect(t.path("l")) as connection:
        connection.sendall(b"through both")
        equal(read_some(connection, 12), b"through both", "echo")


# --- Unix sockets ----------------------------------------------------------------------------------------------------


def unix_server(t, path, serve=targets.echo):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    t.closing.append(listener.close)

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection):
        with connection:
            serve(connection)

    threading.Thread(target=accept, daemon=True).start()


@case("ssh -L PORT:/path leads to a Unix socket of the manager")
def unix_direct(t, world):
    path = os.path.join(world.manager.sockets, "echo")
    unix_server(t, path)
    t.closing.append(lambda: os.unlink(path))

    def attempt(port):
        process = tunnel(t, world.manager, "-o", "ExitOnForwardFailure=yes", "-L", f"{port}:{path}")
        t.wait("the local port", lambda: is_listening(port), process=process)
        return port

    with connect(try_ports(attempt)) as connection:
        connection.sendall(b"stream local")
        equal(read_some(connection, 12), b"stream local", "echo")


@case("ssh -L to a Unix socket outside the permitted directory is refused")
def unix_direct_outside(t, world):
    unix_server(t, t.path("outside"))
    path, process = local_forward(t, world.manager, t.path("outside"))
    with connect(path) as connection:
        equal(connection.recv(1), b"", "data")
    t.logged(process, r"open failed: administratively prohibited: .*outside is not below")


@case("ssh -R /path: a Unix socket on the manager leads to the workstation")
def unix_remote(t, world):
    path = os.path.join(world.manager.sockets, "r")
    process = t.start(world.manager.ssh(
        "-v", "-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{path}:127.0.0.1:{pod_on_workstation(t, world)}",
        "manager"))
    t.wait("the manager's socket", lambda: os.path.exists(path), process=process)
    equal(os.stat(path).st_mode & 0o077, 0, "what others may do with the socket")
    contains(http_get(connect(path)), "pod=workstation")
    process.terminate()
    t.ended(process)
    t.wait("the socket's removal", lambda: not os.path.exists(path))


@case("ssh -R /path outside the permitted directory is refused")
def unix_remote_outside(t, world):
    result = t.run(world.manager.ssh(
        "-v", "-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{t.path('no')}:127.0.0.1:9", "manager"))
    contains(result.failed(255).err, "remote port forwarding failed for listen path", "is not below")
    assert not os.path.exists(t.path("no"))


# --- how connections end ---------------------------------------------------------------------------------------------


@case("half-close: after the client's end the whole answer still arrives, through {}", ["-L", "-W"])
def half_close(t, world, way):
    sent = b"".join(targets.pattern(5, 2_000_000))
    if way == "-W":
        answer = t.run(world.manager.ssh("-W", "until-end:7000", "manager"), input=sent).succeeded().out
    else:
        path, _ = local_forward(t, world.manager, "until-end:7000")
        with connect(path, 20) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
    line, _, rest = answer.partition(b"\n")
    equal(line, b"2000000 bytes " + targets.digest(5, 2_000_000), "what the target received")
    equal(rest == b"".join(targets.pattern(3, 3_000_000)), True, f"whole answer ({len(rest)} bytes)")


@case("half-close: after the target's end the client can still send")
def half_close_target(t, world):
    path, _ = local_forward(t, world.manager, "first-end:7000")
    sent = b"after the end " * 20_000 + os.urandom(16)
    with connect(path, 20) as connection:
        equal(read_all(connection), b"that is all\n", "the target's words")
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        t.wait("the target's hearing", lambda: sent in targets.first_end.heard)


@case("half-close through -R, in both directions")
def half_close_remote(t, world):
    server = targets.Server(targets.until_end)
    t.closing.append(server.close)
    port, _ = remote_forward(t, world.manager, f"127.0.0.1:{server.port}")
    sent = b"".join(targets.pattern(6, 1_000_000))
    with connect(port, 20) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    line, _, rest = answer.partition(b"\n")
    equal(line, b"1000000 bytes " + targets.digest(6, 1_000_000), "what the target received")
    equal(len(rest), 3_000_000, "bytes of the answer")


@case("a target's reset ends the connection, and only that one")
def target_reset(t, world):
    path, process = local_forward(t, world.manager, "reset:7000")
    with connect(path) as connection:
        equal(read_some(connection, 17), b"before the reset\n", "the target's words")
        connection.sendall(b"x")
        try:
            equal(connection.recv(1), b"", "data after the reset")
        except ConnectionResetError:
            pass
    with connect(path) as connection:
        equal(read_some(connection, 17), b"before the reset\n", "the target's words")
    assert process.poll() is None


@case("a client that is killed resets its targets; one that closes ends them")
def client_gone(t, world):
    path, process = local_forward(t, world.manager, "notice:7000")
    with connect(path) as connection:
        connection.sendall(b"closed\n")
        t.wait("the target's hearing", lambda: "closed" in targets.notice.ends)
    t.wait("the target's end", lambda: targets.notice.ends["closed"])
    equal(targets.notice.ends["closed"], "end", "how the target's connection ended")
    with connect(path) as connection:
        connection.sendall(b"killed\n")
        t.wait("the target's hearing", lambda: "killed" in targets.notice.ends)
        process.kill()
        t.wait("the second end", lambda: targets.notice.ends["killed"])
    equal(targets.notice.ends["killed"], "reset", "how the target's connection ended")


@case("a remote forward's connection that is reset reaches the workstation as an end")
def remote_reset(t, world):
    server = targets.Server(targets.notice)
    t.closing.append(server.close)
    port, _ = remote_forward(t, world.manager, f"127.0.0.1:{server.port}")
    connection = connect(port)
    connection.sendall(b"afar\n")
    t.wait("the target's hearing", lambda: "afar" in targets.notice.ends)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    t.wait("the end", lambda: targets.notice.ends["afar"])


# --- refusals --------------------------------------------------------------------------------------------------------


@case("a refused destination says why: {}", [
    ("connection refused", "refused:7000", r"open failed: connect failed: Connection refused"),
    ("no such service", "nowhere:80", r"open failed: connect failed: .*nowhere.*no such service"),
    ("no such namespace", "hello.nowhere.svc:80", r"open failed: connect failed: .*no such namespace"),
    ("no such port", "hello:81", r"open failed: connect failed: .*hello.* has no port 81"),
    ("no ready endpoints", "idle:80", r"open failed: connect failed: .*no ready endpoints"),
    ("outside the cluster", "192.0.2.1:80", r"open failed: administratively prohibited: .*not in the cluster"),
    ("the manager's own loopback", "127.0.0.1:22", r"open failed: administratively prohibited: "),
    ("localhost", "localhost:22", r"open failed: (administratively prohibited|connect failed): "),
    ("another port of a reserved name", "api.telepresence:80", r"open failed: administratively prohibited: .*8081"),
])
def refused(t, world, destination):
    _, destination, text = destination
    result = t.run(world.manager.ssh("-W", destination, "manager"), input=b"", seconds=15).failed()
    matches(result.err, text)
    equal(result.out, b"", "data")


@case("SOCKS tells a refusal, and the session goes on")
def socks_refused(t, world):
    def attempt(port):
        process = tunnel(t, world.manager, "-o", "ExitOnForwardFailure=yes", "-D", port)
        t.wait("the proxy", lambda: is_listening(port), process=process)
        return port, process

    proxy, process = try_ports(attempt)
    connection, code = socks(proxy, "nowhere", 80)
    assert code != 0 or connection.recv(1) == b""
    t.logged(process, "open failed: connect failed: ")
    connection, code = socks(proxy, "hello", 80)
    contains(http_get(connection), "pod=hello-")
