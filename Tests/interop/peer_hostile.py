"""A client that logs in and then breaks the rules, on paramiko's transport. Arguments: PORT KEY SCENARIO."""

import os
import socket
import struct
import sys
import time

import paramiko

DISCONNECT, UNIMPLEMENTED, KEXINIT = 1, 3, 20
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
OPEN, CONFIRMATION, FAILURE, ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST, SUCCESS, REFUSED = range(90, 101)


def u32(number):
    return struct.pack("!I", number)


def string(data):
    data = data.encode() if isinstance(data, str) else data
    return u32(len(data)) + data


def direct(host="echo", port=7000, number=0, window=1 << 21, most=32768):
    return (bytes([OPEN]) + string("direct-tcpip") + u32(number) + u32(window) + u32(most) + string(host) + u32(port)
            + string("127.0.0.1") + u32(1))


def session(number=0, window=1 << 21, most=32768):
    return bytes([OPEN]) + string("session") + u32(number) + u32(window) + u32(most)


class Client:
    def __init__(self, port, key):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.settimeout(20)
        self.transport = transport = paramiko.Transport(connection)
        self.received = []
        self.reads = True
        read = transport.packetizer.read_message

        def record():
            # What belongs to the connection protocol is kept from paramiko, which would have an opinion.
            while True:
                while not self.reads:
                    time.sleep(1)
                number, message = read()
                self.received.append(bytes([number]) + message.asbytes())
                if number < GLOBAL_REQUEST:
                    return number, message

        transport.packetizer.read_message = record
        transport.start_client(timeout=20)
        transport.auth_publickey("hostile", paramiko.Ed25519Key.from_private_key_file(key))

    def send(self, payload):
        message = paramiko.Message()
        message.add_bytes(payload)
        self.transport._send_message(message)

    def wait(self, number, count=1, seconds=15):
        """The messages of this number, once there are so many."""
        end = time.monotonic() + seconds
        while True:
            found = [payload for payload in self.received if payload[0] == number]
            if len(found) >= count:
                return found
            if not self.transport.is_alive() or time.monotonic() > end:
                kinds = [payload[0] for payload in self.received[-20:]]
                text = [payload for payload in self.received if payload[0] == DISCONNECT]
                raise AssertionError(f"{len(found)} of {count} messages {number}; the last were {kinds} {text}")
            time.sleep(0.01)

    def ended(self, seconds=15):
        """Until the manager has ended the connection: the reason it gave, if it gave one."""
        end = time.monotonic() + seconds
        while self.transport.is_alive():
            if time.monotonic() > end:
                raise AssertionError("the manager did not end the connection")
            time.sleep(0.01)
        for payload in self.received:
            if payload[0] == DISCONNECT:
                return struct.unpack("!I", payload[1:5])[0]
        return None

    def answers(self):
        """Whether the manager still does what it is asked for."""
        before = self.count(REQUEST_FAILURE)
        self.send(bytes([GLOBAL_REQUEST]) + string("keepalive@openssh.com") + b"\1")
        self.wait(REQUEST_FAILURE, before + 1)

    def count(self, *numbers):
        return len([payload for payload in self.received if payload[0] in numbers])

    def until(self, count, *numbers):
        """Until so many messages of these numbers have come."""
        end = time.monotonic() + 30
        while self.count(*numbers) < count:
            if time.monotonic() > end or not self.transport.is_alive():
                raise AssertionError(f"{self.count(*numbers)} of {count} messages {numbers}")
            time.sleep(0.02)

    def open(self, payload):
        """The manager's number of a new channel."""
        before = self.count(CONFIRMATION)
        self.send(payload)
        return struct.unpack("!I", self.wait(CONFIRMATION, before + 1)[-1][5:9])[0]


def violation(client):
    reason = client.ended()
    assert reason in (2, None), f"reason {reason}"


def unknown_channel(client):
    client.send(bytes([DATA]) + u32(77) + string("x"))
    violation(client)


def beyond_the_window(client):
    channel = client.open(direct("silent"))
    try:
        for _ in range(3000):
            client.send(bytes([DATA]) + u32(channel) + string(bytes(32768)))
    except (OSError, EOFError):
        pass
    violation(client)


def window_overflow(client):
    channel = client.open(direct())
    client.send(bytes([ADJUST]) + u32(channel) + u32(0xFFFFFFFF))
    client.send(bytes([ADJUST]) + u32(channel) + u32(0xFFFFFFFF))
    try:
        client.answers()
    except AssertionError:
        violation(client)


def packet_sizes(client):
    for most in (1, 0xFFFFFFFF):
        for window in (0, 1, 0xFFFFFFFF):
            client.send(direct("echo", 7000, 5, window, most))
    client.answers()
    client.send(session(6, 0, 0))
    violation(client)


def one_byte_packets(client):
    channel = client.open(direct(number=9, window=20, most=1))
    client.send(bytes([DATA]) + u32(channel) + string(b"0123456789" * 4))
    client.wait(DATA, 20)
    client.answers()
    data = [payload for payload in client.received if payload[0] == DATA]
    assert len(data) == 20 and all(len(payload) == 10 for payload in data), "more than the window or the packet size"


def many_channels(client):
    for number in range(5000):
        client.send(session(number))
    client.until(5000, CONFIRMATION, FAILURE)
    refused = client.wait(FAILURE)
    assert len(refused) >= 5000 - 4096, f"{len(refused)} refused"
    assert struct.unpack("!I", refused[0][5:9])[0] == 4, "reason is not RESOURCE_SHORTAGE"
    client.answers()


def many_listeners(client):
    for _ in range(300):
        client.send(bytes([GLOBAL_REQUEST]) + string("tcpip-forward") + b"\1" + string("127.0.0.1") + u32(0))
    client.until(300, REQUEST_SUCCESS, REQUEST_FAILURE)
    assert client.count(REQUEST_SUCCESS) == 128, f"{client.count(REQUEST_SUCCESS)} were granted"


def forward_and_cancel(client):
    for _ in range(2000):
        client.send(bytes([GLOBAL_REQUEST]) + string("tcpip-forward") + b"\1" + string("127.0.0.1") + u32(0))
        client.send(bytes([GLOBAL_REQUEST]) + string("cancel-tcpip-forward") + b"\1" + string("127.0.0.1") + u32(1))
    try:
        client.until(4000, REQUEST_SUCCESS, REQUEST_FAILURE)
    except AssertionError:
        if client.transport.is_alive():
            raise
    # Told to go for asking too much, or answered in order: success and failure by turns, until the ports are used up.
    answers = [payload[0] for payload in client.received if payload[0] in (REQUEST_SUCCESS, REQUEST_FAILURE)]
    assert answers[:200:2] == [REQUEST_SUCCESS] * 100 and answers[1:200:2] == [REQUEST_FAILURE] * 100, answers[:20]


def requests_unread(client):
    """Answers that pile up: nobody reads them."""
    client.reads = False
    try:
        for _ in range(100_000):
            client.send(bytes([GLOBAL_REQUEST]) + string("x" * 20) + b"\1")
    except (OSError, EOFError):
        pass


def after_close(client):
    channel = client.open(session())
    client.send(bytes([EOF]) + u32(channel))
    client.send(bytes([EOF]) + u32(channel))
    client.send(bytes([DATA]) + u32(channel) + string("after EOF"))
    client.send(bytes([CLOSE]) + u32(channel))
    for number in (CLOSE, EOF):
        try:
            client.send(bytes([number]) + u32(channel))
        except (OSError, EOFError):
            break
    try:
        client.answers()
    except (AssertionError, OSError, EOFError):
        violation(client)


def login_again(client):
    client.send(bytes([50]) + string("root") + string("ssh-connection") + string("none"))
    client.answers()
    assert 51 not in [payload[0] for payload in client.received], "answered"


def strange_channels(client):
    for kind in ("forwarded-tcpip", "x11", "auth-agent@openssh.com", "tun@openssh.com", "", "\0", "x" * 30000):
        client.send(bytes([OPEN]) + string(kind) + u32(1) + u32(1 << 20) + u32(32768) + (string("x") + u32(9)) * 2)
    failures = client.wait(FAILURE, 7)
    assert {struct.unpack("!I", failure[5:9])[0] for failure in failures} <= {1, 3}, "reasons"
    client.answers()


def strange_destinations(client):
    hosts = ["", "\0", "a\nb", "-oProxyCommand=x", "x" * 30000, b"\xff\xfe", "%s%n", "..", "hello.", "hello..", "[::1]",
             "::ffff:127.0.0.1", "0x7f.1", "2130706433", "127.1", "localhost.", "LOCALHOST", "0.0.0.0", "::"]
    for host in hosts:
        client.send(direct(host, 22))
    client.send(direct("hello", 70000))
    client.send(direct("hello", 0))
    client.wait(FAILURE, len(hosts) + 2)
    assert CONFIRMATION not in [payload[0] for payload in client.received], "one was opened"
    client.answers()


def strange_commands(client):
    for command in (b"\xff\xfe", b"\0", b"x" * 30000, b"status\0--json", b"$(reboot)", "\u202estatus".encode()):
        channel = client.open(session())
        client.send(bytes([REQUEST]) + u32(channel) + string("exec") + b"\1" + string(command))
    client.wait(CLOSE, 6)
    channel = client.open(session())
    for number in range(1000):
        client.send(bytes([REQUEST]) + u32(channel) + string("env") + b"\0" + string(f"N{number}") + string("v" * 1000))
    for name in ("pty-req", "exec", "signal", "window-change", "subsystem", "exit-status"):
        client.send(bytes([REQUEST]) + u32(channel) + string(name) + b"\1" + b"\xff\xff")
    try:
        client.answers()
    except (AssertionError, OSError, EOFError):
        violation(client)


def cut_short(client):
    """A message that ends in its middle."""
    client.send(direct()[:20])
    violation(client)


def data_in_key_exchange(client):
    channel = client.open(direct("silent"))
    # KEXINIT, after which only the key exchange may follow.
    names = ["curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256", "none",
             "none", "", ""]
    client.send(bytes([KEXINIT]) + os.urandom(16) + b"".join(map(string, names)) + bytes(5))
    try:
        for _ in range(20_000):
            client.send(bytes([DATA]) + u32(channel) + string(bytes(32768)))
    except (OSError, EOFError):
        pass
    violation(client)


def unknown_messages(client):
    """Numbers that mean nothing are answered with UNIMPLEMENTED, and harm nobody."""
    numbers = [*range(8, 20), *range(101, 191), *range(194, 256)]
    for number in numbers:
        client.send(bytes([number]) + os.urandom(40))
    client.answers()
    count = len([payload for payload in client.received if payload[0] == UNIMPLEMENTED])
    assert count >= len(numbers) * 3 // 4, f"{count} of {len(numbers)} were answered with UNIMPLEMENTED"


def ping(client):
    for number in range(100):
        client.send(bytes([192]) + string(f"ping {number}"))
    pongs = client.wait(193, 100)
    assert pongs[-1] == bytes([193]) + string("ping 99")


SCENARIOS = {name.replace("_", " "): body for name, body in list(globals().items())
             if callable(body) and getattr(body, "__code__", None) and body.__code__.co_varnames[:1] == ("client",)
             and name != "violation"}

if __name__ == "__main__":
    client = Client(int(sys.argv[1]), sys.argv[2])
    try:
        SCENARIOS[sys.argv[3]](client)
    except AssertionError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)
