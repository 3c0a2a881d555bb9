"""Peers that do not mean well: the manager stays, stays small, and serves the others."""

import os
import socket
import struct
import time

import targets
from clients import connect, http_get, local_forward
from harness import case, contains, equal, matches, shown
from peers import python_peer
from world import OTHERS, Manager

# What a case may leave the manager bigger by. A connection that is not logged in holds tens of kilobytes.
GROWTH = 64 << 20


def hostile(world):
    """A manager for those who mean ill: they would use up what MaxStartups leaves the other cases."""
    return world.once("manager of hostile peers", lambda: Manager(world, ["--max-startups", "200"], name="hostile"))


def hello(manager, seconds=10):
    """A connection, and the manager's identification line."""
    connection = connect(manager.port, seconds)
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            raise AssertionError(f"no identification line, only {line!r}")
        line += piece
    assert line.startswith(b"SSH-2.0-") and line.endswith(b"\r\n") and len(line) <= 255, line
    return connection


def rest(connection):
    """All that comes until the end; a reset is an end."""
    data = b""
    try:
        while piece := connection.recv(1 << 16):
            data += piece
            if len(data) > 1 << 24:
                raise AssertionError("the manager sends without end")
    except ConnectionResetError:
        pass
    except socket.timeout:
        raise AssertionError("the connection was not ended") from None
    return data


def serves(t, manager):
    result = t.run(manager.ssh("manager", "version"), seconds=15).succeeded()
    matches(result.out, r"\d+\.\d+")


def packet(payload, block=8):
    padding = block - (5 + len(payload)) % block
    padding += block if padding < 4 else 0
    return struct.pack("!IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def name_list(*names):
    text = ",".join(names).encode()
    return struct.pack("!I", len(text)) + text


def kexinit(kex=("curve25519-sha256",), strict=False):
    kex = [*kex, *(["kex-strict-c-v00@openssh.com"] if strict else [])]
    return (b"\x14" + os.urandom(16) + name_list(*kex) + name_list("ssh-ed25519") + name_list("aes128-ctr") * 2
            + name_list("hmac-sha2-256") * 2 + name_list("none") * 2 + name_list() * 2 + bytes(5))


BANNERS = [
    ("a bare LF", b"\n"), ("a NUL", b"\0\r\n"), ("a NUL inside", b"SSH-2.0-a\0b\r\n"), ("300 bytes", b"SSH-2.0-" + b"x" * 300 + b"\r\n"),
    ("a line that never ends", b"SSH-2.0-" + b"x" * 100_000), ("SSH-1.5", b"SSH-1.5-old\r\n"), ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a TLS hello", bytes.fromhex("1603010200010001fc0303") + bytes(200)), ("SSH-2.0 alone", b"SSH-2.0\r\n"),
    ("SSH-3.0", b"SSH-3.0-new\r\n"), ("garbage", bytes(range(256)) * 16),
    ("lines before it", b"hello\r\n" * 2000 + b"SSH-2.0-x\r\n"),
]


@case("hostile: an identification of {}", BANNERS)
def banner(t, world, what):
    connection = hello(hostile(world))
    try:
        connection.sendall(what[1])
    except OSError:
        pass
    data = rest(connection)
    assert len(data) < 4096, f"{len(data)} bytes in answer"
    serves(t, hostile(world))


@case("hostile: after a good identification, {}", [
    ("garbage", os.urandom(100_000)),
    ("a packet of 4 GiB", b"\xff\xff\xff\xff" + bytes(1000)),
    ("a packet of 0 bytes", bytes(64)),
    ("a packet that is no multiple of 8", struct.pack("!IB", 13, 4) + bytes(100)),
    ("a packet with more padding than packet", struct.pack("!IB", 12, 200) + bytes(100)),
    ("a packet with 3 bytes of padding", struct.pack("!IB", 12, 3) + bytes(100)),
    ("an empty payload", struct.pack("!IB", 12, 11) + bytes(11)),
    ("a login before a key exchange", packet(b"\x05" + struct.pack("!I", 12) + b"ssh-userauth")),
    ("a channel before a key exchange", packet(b"\x5a" + struct.pack("!I", 7) + b"session" + struct.pack("!III", 0, 1, 1))),
    ("success of a login", packet(b"\x34")),
    ("NEWKEYS at once", packet(b"\x15")),
    ("a KEXINIT cut short", packet(kexinit()[:40])),
    ("a KEXINIT with a list of 4 GiB", packet(b"\x14" + bytes(16) + b"\xff\xff\xff\xff")),
    ("nothing in common", packet(kexinit(kex=("no-such-kex",)))),
    ("two KEXINITs", packet(kexinit()) * 2),
    ("an X25519 value of zero", packet(kexinit()) + packet(b"\x1e" + struct.pack("!I", 32) + bytes(32))),
    ("an X25519 value that is short", packet(kexinit()) + packet(b"\x1e" + struct.pack("!I", 31) + bytes(31))),
    ("IGNORE in a strict key exchange", packet(kexinit(strict=True)) + packet(b"\x02" + struct.pack("!I", 0))),
    ("IGNORE before a strict key exchange", packet(b"\x02" + struct.pack("!I", 0)) + packet(kexinit(strict=True))),
    ("NEWKEYS without an exchange", packet(kexinit()) + packet(b"\x15")),
])
def packets(t, world, what):
    connection = hello(hostile(world))
    try:
        connection.sendall(b"SSH-2.0-hostile\r\n" + what[1])
    except OSError:
        pass
    data = rest(connection)
    assert len(data) < 8192, f"{len(data)} bytes in answer"
    serves(t, hostile(world))


@case("hostile: a DISCONNECT says what was wrong")
def says_why(t, world):
    connection = hello(hostile(world))
    connection.sendall(b"SSH-2.0-hostile\r\n" + packet(kexinit(kex=("no-such-kex",))))
    data = rest(connection)
    # Its KEXINIT, then DISCONNECT with reason 3, KEY_EXCHANGE_FAILED.
    length, padding = struct.unpack("!IB", data[:5])
    last = data[4 + length :]
    equal(last[5], 1, "message")
    equal(struct.unpack("!I", last[6:10])[0], 3, "reason")


@case("hostile: 100 000 IGNOREs before the key exchange", seconds=90)
def ignores(t, world):
    before = hostile(world).resident()
    connection = hello(hostile(world), 60)
    ignore = packet(b"\x02" + struct.pack("!I", 16) + bytes(16))
    try:
        connection.sendall(b"SSH-2.0-hostile\r\n")
        for _ in range(100):
            connection.sendall(ignore * 1000)
    except OSError:
        # Being thrown out is as good an answer as being ignored.
        pass
    serves(t, hostile(world))
    connection.close()
    assert hostile(world).resident() - before < GROWTH, f"grew by {(hostile(world).resident() - before) >> 20} MiB"


@case("hostile: 100 000 UNIMPLEMENTED answers that nobody reads")
def unread(t, world):
    before = hostile(world).resident()
    connection = hello(hostile(world))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    try:
        connection.sendall(b"SSH-2.0-hostile\r\n" + packet(kexinit()))
        for _ in range(100):
            connection.sendall(packet(b"\xc0" + bytes(20)) * 1000)
    except OSError:
        pass
    serves(t, hostile(world))
    assert hostile(world).resident() - before < GROWTH, f"grew by {(hostile(world).resident() - before) >> 20} MiB"
    connection.close()


@case("hostile: slowloris, a byte at a time, ends with LoginGraceTime")
def slowloris(t, world):
    manager = world.once("impatient manager", lambda: impatient(world))
    began = time.monotonic()
    connection = hello(manager)
    ended = False
    for byte in b"SSH-2.0-" + b"s" * 200:
        try:
            connection.sendall(bytes([byte]))
            connection.settimeout(0.1)
            ended = connection.recv(4096) is not None and connection.recv(4096) == b""
        except socket.timeout:
            pass
        except OSError:
            ended = True
        if ended:
            break
    took = time.monotonic() - began
    assert ended and 1 < took < 8, f"ended: {ended}, after {took:.1f} s"


@case("hostile: silence {} ends with LoginGraceTime", [
    ("at once", b""), ("after the identification", b"SSH-2.0-hostile\r\n"),
    ("after KEXINIT", b"SSH-2.0-hostile\r\n" + packet(kexinit())),
    ("inside of a packet", b"SSH-2.0-hostile\r\n" + packet(kexinit())[:20]),
])
def silence(t, world, what):
    manager = world.once("impatient manager", lambda: impatient(world))
    began = time.monotonic()
    connection = hello(manager)
    connection.sendall(what[1])
    rest(connection)
    took = time.monotonic() - began
    assert 1 < took < 8, f"ended after {took:.1f} s"


def impatient(world):
    return Manager(world, ["--login-grace-time", "2", "--max-startups", "40:50:60"], name="impatient")


@case("hostile: a flood beyond MaxStartups is dropped; those who are logged in are not disturbed", seconds=90)
def flood(t, world):
    manager = Manager(world, ["--login-grace-time", "4", "--max-startups", "10:30:20"], name="flooded")
    t.closing.append(manager.close)
    path, process = local_forward(t, manager, "hello:80")
    before = manager.resident()
    connections = []
    for _ in range(300):
        try:
            connections.append(connect(manager.port, 5))
        except OSError:
            pass
    contains(http_get(connect(path)), "pod=hello-")
    dropped = told = 0
    for connection in connections:
        connection.settimeout(0.05)
        said = b""
        try:
            while piece := connection.recv(4096):
                said += piece
            dropped += 1
        except socket.timeout:
            pass
        except OSError:
            dropped += 1
        told += said == b"Exceeded MaxStartups\r\n"
    assert dropped >= 270, f"only {dropped} of 300 connections were dropped"
    assert told >= 270, f"only {told} were told why"
    assert manager.resident() - before < GROWTH
    for connection in connections:
        connection.close()
    contains(http_get(connect(path)), "pod=hello-")
    assert process.poll() is None
    t.wait("a new login", lambda: t.run(manager.ssh("manager", "version")).status == 0, 15)


@case("hostile: MaxStartups does not disturb 8 logins at once")
def startups(t, world):
    manager = Manager(world, name="startups")
    t.closing.append(manager.close)
    started = [t.start(manager.ssh("manager", "version")) for _ in range(8)]
    equal([t.ended(process, 30) for process in started], [0] * 8, "exit statuses")


@case("hostile: 500 connections that come and go leave nothing behind", seconds=90)
def churn(t, world):
    # Loopback is exempt from penalties, as the machine's own.
    before_files = len(os.listdir(f"/proc/{hostile(world).process.pid}/fd"))
    before = hostile(world).resident()
    for number in range(500):
        with connect(hostile(world).port) as connection:
            if number % 3:
                connection.sendall(b"SSH-2.0-hostile\r\n" + (packet(kexinit()) if number % 2 else b""))
    serves(t, hostile(world))
    # Other cases run meanwhile, with connections of their own.
    t.wait("the files to be closed", lambda: len(
        os.listdir(f"/proc/{hostile(world).process.pid}/fd")) < before_files + 100)
    assert hostile(world).resident() - before < GROWTH


@case("hostile: a client that opens channels and never reads does not grow the manager")
def never_reads(t, world):
    manager = Manager(world, name="unread")
    t.closing.append(manager.close)
    path, process = local_forward(t, manager, "bulk:7000")
    connections = []
    before = manager.resident()
    for _ in range(20):
        connection = connect(path)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(targets.HEADER.pack(0, 1 << 40))
        connections.append(connection)
    time.sleep(2)
    grown = manager.resident() - before
    assert grown < GROWTH, f"grew by {grown >> 20} MiB"
    for connection in connections:
        connection.close()
    serves(t, manager)


@case("hostile: a target that never reads holds back its sender, and the manager stays within bounds")
def target_never_reads(t, world):
    blocked = targets.Server(lambda connection: time.sleep(30), OTHERS)
    t.closing.append(blocked.close)
    text = open(world.services).read()
    services = t.write("services.yaml", text.replace(f"port: {world.ports['reset']}", f"port: {blocked.port}"))
    manager = Manager(world, ["--services", services], name="blocked")
    t.closing.append(manager.close)
    path, process = local_forward(t, manager, "reset:7000")
    connection = connect(path)
    connection.settimeout(3)
    before = manager.resident()
    sent = 0
    try:
        while sent < 1 << 30:
            sent += connection.send(bytes(1 << 20))
    except socket.timeout:
        pass
    assert sent < 200 << 20, f"{sent >> 20} MiB were taken for a target that reads nothing"
    assert manager.resident() - before < 160 << 20, f"grew by {(manager.resident() - before) >> 20} MiB"
    connection.close()
    serves(t, manager)


@case("hostile: logged in, {}", [
    "unknown channel", "beyond the window", "window overflow", "packet sizes", "one byte packets", "many channels",
    "many listeners", "forward and cancel", "requests unread", "after close", "login again", "strange channels",
    "strange destinations", "strange commands", "cut short", "data in key exchange", "unknown messages", "ping",
])
def logged_in(t, world, scenario):
    program = python_peer("paramiko").base[0]
    manager = hostile(world)
    before = manager.resident()
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_hostile.py")
    t.run([program, script, str(manager.port), world.key, scenario], seconds=50).succeeded()
    serves(t, manager)
    grown = manager.resident() - before
    assert grown < 2 * GROWTH, f"grew by {grown >> 20} MiB"
    assert manager.is_running(), shown(manager.log())
