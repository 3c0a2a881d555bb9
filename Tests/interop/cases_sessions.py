"""Sessions of stock ssh: in the background, shared by a ControlMaster, kept alive, and ended by the manager."""

import json
import os
import re
import signal
import socket
import struct
import time

import targets
from clients import connect, http_get, is_listening, local_forward, read_some, remote_forward, try_ports
from harness import case, contains, equal, matches
from world import Manager, tool

# As many channels as a busy user of a shared connection has.
MANY = 300


def master(t, manager, *options):
    """A ControlMaster that runs: its control path."""
    path = t.path("control")
    process = t.start(manager.ssh("-v", "-N", "-M", "-S", path, *options, "manager"))
    t.wait("the control socket", lambda: os.path.exists(path), process=process)
    t.closing.append(lambda: t.run(manager.ssh("-S", path, "-O", "exit", "manager"), seconds=5))
    return path, process


@case("ssh -N -f goes to the background, forwards, and ends by its control path")
def background(t, world):
    control = t.path("control")

    def attempt(port):
        result = t.run(world.manager.ssh(
            "-N", "-f", "-M", "-S", control, "-o", "ExitOnForwardFailure=yes", "-L", f"{port}:hello:80", "manager"))
        result.succeeded()
        return port

    port = try_ports(attempt)
    pid = int(matches(t.run(world.manager.ssh("-S", control, "-O", "check", "manager")).succeeded().err,
                      r"Master running \(pid=(\d+)\)").group(1))
    try:
        contains(http_get(connect(port)), "pod=hello-")
        t.run(world.manager.ssh("-S", control, "-O", "exit", "manager")).succeeded()
        t.wait("the end of ssh", lambda: not os.path.exists(f"/proc/{pid}"))
        assert not is_listening(port)
    finally:
        if os.path.exists(f"/proc/{pid}"):
            os.kill(pid, signal.SIGKILL)


@case(f"ControlMaster with {MANY} channels at once", seconds=90)
def master_channels(t, world):
    socket_path = t.path("l")
    control, process = master(t, world.manager, "-L", f"{socket_path}:echo:7000")
    connections = []
    for _ in range(MANY):
        connections.append(connect(socket_path, 30))
    for number, connection in enumerate(connections):
        connection.sendall(f"channel {number:05}\n".encode())
    for number, connection in enumerate(connections):
        equal(read_some(connection, 14), f"channel {number:05}\n".encode(), f"echo on channel {number}")
    # A command beside them, over the same connection.
    result = t.run(world.manager.ssh("-S", control, "manager", "sessions", "--json")).succeeded()
    assert any(int(count) >= MANY for count in re.findall(r'"channels": *(\d+)', result.text)), result.text[:500]
    for connection in connections:
        connection.close()
    t.wait("the channels' end", lambda: not any(
        int(count) >= MANY for count in re.findall(
            r'"channels": *(\d+)', t.run(world.manager.ssh("-S", control, "manager", "sessions", "--json")).text)))
    assert process.poll() is None


@case("ControlMaster: 30 commands at once, each with its own answer")
def master_commands(t, world):
    control, _ = master(t, world.manager)
    names = ["version", "help", "services"]
    expected = {name: t.run(world.manager.ssh("-S", control, "manager", name)).succeeded().out for name in names}
    started = []
    for number in range(30):
        out = open(t.path(f"out{number}"), "w+b")
        started.append((names[number % 3], out, t.start(
            world.manager.ssh("-S", control, "manager", names[number % 3]), stdout=out)))
    for name, out, process in started:
        equal(t.ended(process), 0, f"status of {name}")
        out.seek(0)
        equal(out.read(), expected[name], f"answer of {name}")
        out.close()


@case("ssh -O check, forward and cancel, for -L and -R")
def master_forwards(t, world):
    control, process = master(t, world.manager)

    def ask(*what):
        return t.run(world.manager.ssh("-S", control, "-O", *what, "manager"))

    contains(ask("check").succeeded().err, "Master running")
    path = t.path("l")
    ask("forward", "-L", f"{path}:hello:80").succeeded()
    contains(http_get(connect(path)), "pod=hello-")
    ask("cancel", "-L", f"{path}:hello:80").succeeded()

    server = targets.Server(targets.echo)
    t.closing.append(server.close)
    port = int(ask("forward", "-R", f"127.0.0.1:0:127.0.0.1:{server.port}").succeeded().text)
    with connect(port) as connection:
        connection.sendall(b"ping")
        equal(read_some(connection, 4), b"ping", "echo")
    # ssh knows a forward whose port the manager chose by that port.
    ask("cancel", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}")

    def fixed(port):
        ask("forward", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}").succeeded()
        return port

    port = try_ports(fixed)
    assert is_listening(port)
    ask("cancel", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}").succeeded()
    t.wait("the port's end", lambda: not is_listening(port))
    # The port is free again, for the same session too.
    ask("forward", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}").succeeded()
    assert is_listening(port)
    # One that is refused leaves the session as it was.
    ask("forward", "-R", f"127.0.0.1:{world.manager.port}:127.0.0.1:{server.port}").failed()
    contains(ask("check").succeeded().err, "Master running")


@case("ServerAliveInterval: the manager answers, an idle session stays")
def alive(t, world):
    path, process = local_forward(
        t, world.manager, "hello:80", "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1")
    # With a count of 1 a single unanswered question would end ssh two seconds later.
    time.sleep(3.5)
    assert process.poll() is None, t.log(process)
    contains(http_get(connect(path)), "pod=hello-")


@case("a client that stops answering is given up (ClientAliveInterval)")
def gives_up(t, world):
    manager = Manager(world, ["--client-alive-interval", "1", "--client-alive-count-max", "2"])
    t.closing.append(manager.close)
    port, process = remote_forward(t, manager, "127.0.0.1:9")
    process.send_signal(signal.SIGSTOP)
    try:
        t.wait("the port's end", lambda: not is_listening(port), 15)
    finally:
        process.send_signal(signal.SIGCONT)


@case("SIGTERM: clients are told, what is on its way arrives, the manager ends with status 0")
def terminate(t, world):
    manager = Manager(world)
    t.closing.append(manager.close)
    path, process = local_forward(t, manager, "echo:7000")
    connection = connect(path)
    connection.sendall(b"still here")
    equal(read_some(connection, 10), b"still here", "echo")
    began = time.monotonic()
    manager.process.terminate()
    equal(t.ended(process, 15), 255, "ssh's exit status")
    matches(t.log(process), r"Received disconnect from 127\.0\.0\.1 port \d+:11: .*(shut|stop|end)")
    manager.process.wait(15)
    equal(manager.process.returncode, 0, "the manager's exit status")
    assert time.monotonic() - began < 10
    assert not is_listening(manager.port)


@case("SIGTERM while a bulk transfer runs: the manager still ends in time")
def terminate_busy(t, world):
    manager = Manager(world)
    t.closing.append(manager.close)
    path, process = local_forward(t, manager, "bulk:7000")
    connection = connect(path)
    connection.sendall(targets.HEADER.pack(0, 1 << 40))
    read_some(connection, 1 << 20)
    # The client reads no more: nothing drains.
    manager.process.terminate()
    manager.process.wait(t.left(15))
    equal(manager.process.returncode, 0, "the manager's exit status")
    equal(t.ended(process, 15), 255, "ssh's exit status")
    connection.close()


@case("a slow reader does not hold up the others of its session")
def slow_reader(t, world):
    slow_path, process = local_forward(t, world.manager, "bulk:7000", "-L", f"{t.path('fast')}:echo:7000")
    slow = connect(slow_path)
    slow.sendall(targets.HEADER.pack(0, 1 << 30))
    read_some(slow, 1000)
    time.sleep(0.5)
    with connect(t.path("fast")) as fast:
        worst = 0
        for number in range(50):
            began = time.monotonic()
            fast.sendall(f"{number:08}".encode())
            equal(read_some(fast, 8), f"{number:08}".encode(), "echo")
            worst = max(worst, time.monotonic() - began)
    assert worst < 2, f"an echo took {worst:.1f} s beside a slow reader"
    slow.close()
    assert process.poll() is None


@case("autossh style: a session that was killed is set up again with the same -R port")
def again(t, world):
    server = targets.Server(targets.echo)
    t.closing.append(server.close)
    port, process = remote_forward(t, world.manager, f"127.0.0.1:{server.port}")
    process.kill()
    process.wait()

    def once_more():
        second = t.start(world.manager.ssh(
            "-v", "-N", "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}",
            "manager"))
        t.wait("an answer", lambda: second.poll() is not None or "remote forward success" in t.log(second))
        return second.poll() is None

    t.wait("the port", once_more, 10)
    with connect(port) as connection:
        connection.sendall(b"again")
        equal(read_some(connection, 5), b"again", "echo")


@case("socat and netcat style: whole files through -L, by their own end")
def socat(t, world):
    path, _ = local_forward(t, world.manager, "until-end:7000")
    sent = b"".join(targets.pattern(8, 700_000))
    result = t.run([tool("socat"), "-t", "20", "-", f"UNIX-CONNECT:{path}"], input=sent).succeeded()
    line, _, rest = result.out.partition(b"\n")
    equal(line, b"700000 bytes " + targets.digest(8, 700_000), "what the target received")
    equal(len(rest), 3_000_000, "bytes of the answer")


@case("400 connections that end in every way leave no channel and no file open", seconds=90)
def leaks(t, world):
    manager = Manager(world, name="leaks")
    t.closing.append(manager.close)
    names = ("echo", "until-end", "first-end", "reset", "refused", "notice", "nowhere")
    paths = {name: t.path(name) for name in names}
    control, process = master(t, manager, *(
        option for name in names for option in ("-L", f"{paths[name]}:{name}:7000")))

    def state():
        result = t.run(manager.ssh("-S", control, "manager", "sessions", "--json")).succeeded()
        # The command's own channel is one.
        return (sum(session["channels"] for session in json.loads(result.out)["items"]),
                len(os.listdir(f"/proc/{manager.process.pid}/fd")))

    channels, files = state()
    for number in range(60):
        for name in names:
            connection = connect(paths[name], 20)
            try:
                if number % 5 == 1:
                    connection.sendall(b"x" * (number * 1000))
                elif number % 5 == 2:
                    connection.shutdown(socket.SHUT_WR)
                elif number % 5 == 3:
                    connection.sendall(b"y" * 100_000)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif number % 5 == 4 and name in ("echo", "until-end", "first-end", "refused", "nowhere"):
                    connection.sendall(b"z")
                    connection.shutdown(socket.SHUT_WR)
                    read_some(connection, 1 << 16)
            except OSError:
                # Refused ones end while something is sent to them.
                pass
            connection.close()
    t.wait("the channels' end", lambda: state()[0] == channels, 20)
    now = state()[1]
    assert now <= files + 1, f"{now} files are open, {files} were"
    assert process.poll() is None


@case("requests for what the manager has not do no harm: agent, X11, environment, tunnel")
def harmless(t, world):
    result = t.run(["env", "DISPLAY=127.0.0.1:99", *world.manager.ssh(
        "-A", "-X", "-o", "SetEnv=INTEROP=yes", "-o", "ForwardX11Timeout=0", "manager", "version")]).succeeded()
    matches(result.out, r"\d+\.\d+")
    path, _ = local_forward(t, world.manager, "hello:80", "-A")
    contains(http_get(connect(path)), "pod=hello-")
