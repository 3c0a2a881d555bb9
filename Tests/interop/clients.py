"""Small clients that speak through a forward, and ways to have stock ssh set one up."""

import os
import signal
import socket
import struct
import time

from harness import contains
from world import free_port


def connect(address, seconds=10):
    """`address`: the path of a Unix socket, a port on 127.0.0.1, or a host and a port."""
    if isinstance(address, str):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        end = time.monotonic() + seconds
        while True:
            try:
                connection.connect(address)
                return connection
            except BlockingIOError:
                # The listener's backlog is full.
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
    if isinstance(address, int):
        address = ("127.0.0.1", address)
    connection = socket.create_connection(address, timeout=seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_all(connection):
    data = b""
    while piece := connection.recv(1 << 16):
        data += piece
    return data


def read_some(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def http_get(connection, path="/", host="hello"):
    with connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = read_all(connection).decode()
    contains(answer, "HTTP/1.1 200", f"path={path}", f"host={host}")
    return answer


def socks(proxy, host, port):
    """A connection through a SOCKS5 proxy that resolves the name (RFC 1928), and the proxy's reply code."""
    connection = connect(proxy)
    connection.sendall(b"\x05\x01\x00")
    read_some(connection, 2)
    name = host.encode()
    connection.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + struct.pack("!H", port))
    reply = read_some(connection, 10)
    return connection, reply[1] if len(reply) > 1 else None


def is_listening(port):
    try:
        connect(port, 2).close()
        return True
    except OSError:
        return False


def tunnel(t, manager, *options, config=None):
    """`ssh -N` with forwards, up: it says so itself with -v."""
    process = t.start(manager.ssh("-v", "-N", *options, "manager", config=config))
    t.logged(process, r"Entering interactive session|pledge: ", 15)
    return process


def local_forward(t, manager, destination, *options, config=None):
    """-L from a Unix socket, which needs no port: its path and the ssh process."""
    path = t.path(f"l{len(t.processes)}")
    process = tunnel(t, manager, "-L", f"{path}:{destination}", *options, config=config)
    t.wait("the local socket", lambda: os.path.exists(path), process=process)
    return path, process


def remote_forward(t, manager, target, bind="127.0.0.1", *options, config=None):
    """-R with a port of the manager's choice: the port and the ssh process."""
    spec = f"{bind}:0:{target}" if bind else f"0:{target}"
    process = t.start(manager.ssh("-v", "-N", "-R", spec, *options, "manager", config=config))
    port = int(t.logged(process, r"Allocated port (\d+) for remote forward", 15).group(1))
    return port, process


def try_ports(attempt):
    """For forwards whose port has to be said: somebody else may take a free one first."""
    for _ in range(4):
        port = free_port()
        try:
            return attempt(port)
        except AssertionError as error:
            last = error
    raise last


def interrupt(process, number=signal.SIGTERM):
    process.send_signal(number)


def sleep_until(moment):
    time.sleep(max(0, moment - time.monotonic()))
