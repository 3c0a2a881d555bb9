"""What stands behind the manager: small servers on loopback, each of which tells who it is or what it received."""

import hashlib
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 1 << 18
# Not a power of two, so that no buffer boundary ever falls on the same place of the pattern twice.
_PATTERN = hashlib.shake_256(b"interop").digest(1_000_003)


def pattern(seed, count):
    """`count` bytes that differ by seed, in pieces."""
    offset = seed * 7919 % len(_PATTERN)
    view = memoryview(_PATTERN)
    while count > 0:
        piece = view[offset : offset + min(CHUNK, count)]
        yield piece
        count -= len(piece)
        offset = (offset + len(piece)) % len(_PATTERN)


def digest(seed, count):
    sha = hashlib.sha256()
    for piece in pattern(seed, count):
        sha.update(piece)
    return sha.hexdigest().encode()


# A bulk exchange: the caller sends how many bytes it will send and wants, then its bytes; at the same time the other
# side sends the bytes wanted and at the end the SHA-256 of what it received. So both judge what arrived.
HEADER = struct.Struct("!QQ")


def serve_bulk(read, write):
    header = b""
    while len(header) < HEADER.size:
        data = read(HEADER.size - len(header))
        if not data:
            return
        header += data
    up, down = HEADER.unpack(header)

    def send():
        try:
            for piece in pattern(2, down):
                write(piece)
        except OSError:
            pass

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sha = hashlib.sha256()
    while up > 0:
        data = read(min(up, CHUNK))
        if not data:
            break
        sha.update(data)
        up -= len(data)
    sender.join()
    write(sha.hexdigest().encode())


def call_bulk(read, write, up, down):
    """The caller's side. Raises AssertionError where anything is missing or different."""
    failure = []

    def send():
        try:
            write(HEADER.pack(up, down))
            for piece in pattern(1, up):
                write(piece)
        except OSError as error:
            failure.append(error)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sha = hashlib.sha256()
    left = down
    while left > 0:
        data = read(min(left, CHUNK))
        if not data:
            raise AssertionError(f"ended {left} bytes before all {down} had arrived{failure or ''}")
        sha.update(data)
        left -= len(data)
    said = b""
    while len(said) < 64:
        data = read(64 - len(said))
        if not data:
            raise AssertionError(f"the other side did not say what it received{failure or ''}")
        said += data
    sender.join()
    if sha.hexdigest().encode() != digest(2, down):
        raise AssertionError(f"the {down} bytes received are not those that were sent")
    if said != digest(1, up):
        raise AssertionError(f"the {up} bytes sent did not arrive as they were")


def over_socket(connection):
    return connection.recv, connection.sendall


def over_pipes(process):
    """Reads and writes of a process's stdout and stdin, which take all or fail."""

    def write(data):
        view = memoryview(data)
        while len(view) > 0:
            view = view[process.stdin.write(view) :]

    return process.stdout.read, write


class Server:
    """Accepts on an address and a port the kernel picks (or one it is given), with a thread for each connection."""

    def __init__(self, serve, address="127.0.0.1", port=0, backlog=512):
        self.serve = serve
        self.listener = socket.create_server((address, port), backlog=backlog)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=(connection,), daemon=True).start()

    def handle(self, connection):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self):
        # The thread in accept() would keep the socket open.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


def bulk(connection):
    serve_bulk(*over_socket(connection))


def echo(connection):
    while data := connection.recv(CHUNK):
        connection.sendall(data)


def until_end(connection):
    """Reads to the end; then answers, slowly enough that an answer cut short would be noticed."""
    sha = hashlib.sha256()
    count = 0
    while data := connection.recv(CHUNK):
        sha.update(data)
        count += len(data)
    connection.sendall(f"{count} bytes {sha.hexdigest()}\n".encode())
    for piece in pattern(3, 3_000_000):
        connection.sendall(piece)


def silent(connection):
    """Reads nothing."""
    time.sleep(120)


def first_end(connection):
    """Ends its own direction first, then still listens: what came by then is kept for `first_end.heard`."""
    connection.sendall(b"that is all\n")
    connection.shutdown(socket.SHUT_WR)
    heard = b""
    while data := connection.recv(CHUNK):
        heard += data
    first_end.heard.append(heard)


first_end.heard = []


def reset(connection):
    """Says something, waits for one byte, resets."""
    connection.sendall(b"before the reset\n")
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def notice(connection):
    """Reads a line, and notes under it in `notice.ends` how the connection ended: `end` or `reset`."""
    line = b""
    try:
        while not line.endswith(b"\n"):
            line += connection.recv(1) or b"\n"
        name = line.decode().strip()
        notice.ends[name] = None
        while connection.recv(CHUNK):
            pass
        notice.ends[name] = "end"
    except ConnectionResetError:
        notice.ends[name] = "reset"


notice.ends = {}


class Pod(BaseHTTPRequestHandler):
    """An HTTP answer that names the pod and the request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"pod={self.server.pod}\npath={self.path}\nhost={self.headers['Host']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class QuietHTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_):
        pass


def http_pods(addresses):
    """HTTP servers of the given `name: address`, all on one port."""
    for _ in range(50):
        servers, port = [], 0
        try:
            for name, address in addresses.items():
                server = QuietHTTPServer((address, port), Pod)
                server.pod = name
                servers.append(server)
                port = server.server_address[1]
        except OSError:
            for server in servers:
                server.server_close()
            continue
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return servers, port
    raise AssertionError("no port is free on all of " + ", ".join(addresses.values()))


def sshd(argv):
    """A `serve` that hands each connection to an sshd of its own (`sshd -i`), which needs no port."""
    import subprocess

    def serve(connection):
        process = subprocess.Popen(
            argv, stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.DEVNULL)
        process.wait()

    return serve
