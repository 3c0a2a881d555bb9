"""Sends one datagram, or one echo, through a manager with stock ssh, and says what came of it.

    datagram.py SSH-CONFIG udp HOST PORT SIZE
    datagram.py SSH-CONFIG echo HOST SIZE
"""

import struct
import subprocess
import sys
import time

OPEN, DATA, CLOSE, ECHO, ERROR, ECHO_REPLY = range(1, 7)
FLOW = 7


def string(text):
    return struct.pack(">I", len(text)) + text.encode()


def frame(kind, body):
    return struct.pack(">IBI", len(body) + 5, kind, FLOW) + body


def exactly(stream, count):
    data = b""
    while len(data) < count:
        part = stream.read(count - len(data))
        if not part:
            sys.exit("the channel ended")
        data += part
    return data


def main():
    config, what, host, *rest = sys.argv[1:]
    payload = bytes(i % 251 for i in range(int(rest[-1])))
    if what == "udp":
        request = frame(OPEN, string(host) + struct.pack(">I", int(rest[0]))) + frame(DATA, payload)
    else:
        request = frame(ECHO, string(host) + struct.pack(">HH", 0x1234, 5) + payload)
    ssh = subprocess.Popen(
        ["ssh", "-F", config, "-W", "datagram.telepresence:1", "manager"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    begun = time.monotonic()
    ssh.stdin.write(request)
    ssh.stdin.flush()
    length, kind, flow = struct.unpack(">IBI", exactly(ssh.stdout, 9))
    body = exactly(ssh.stdout, length - 5)
    if flow != FLOW:
        print("another flow")
    elif kind == DATA and what == "udp":
        print("the same" if body == payload else "something else")
    elif kind == ECHO_REPLY and what == "echo":
        print("the same" if body == struct.pack(">HH", 0x1234, 5) + payload else "something else")
    elif kind == ERROR:
        reason, size = struct.unpack(">II", body[:8])
        print(f"error {reason} {'at once' if time.monotonic() - begun < 2 else 'late'}: {body[8:8 + size].decode()}")
    else:
        print(f"kind {kind}")
    ssh.stdin.close()
    ssh.wait()


main()
