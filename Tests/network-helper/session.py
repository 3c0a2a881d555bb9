#!/usr/bin/env python3
"""A session as the network helper sees one: session.py HELPER [--rootless] REQUEST

Starts HELPER with a socket, sends it REQUEST (JSON) and prints each message that comes back on a line of its own. Each
line read from the standard input is one more request; at its end the session closes. While it runs, the DNS sockets answer:
every A query with 192.0.2.77, so that whoever is led here can be seen to be.
"""
import json
import select
import socket
import subprocess
import sys


def answer(query):
    """The answer to a DNS query (RFC 1035 §4.1): its question again, and one address if it asks for one."""
    end = 12
    while query[end]:
        end += query[end] + 1
    question = query[12 : end + 5]
    is_a = question[-4:-2] == b"\0\1"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + bytes([192, 0, 2, 77]) if is_a else b""
    return query[:2] + b"\x81\x80\0\1\0" + bytes([int(is_a)]) + b"\0\0\0\0" + question + record


def say(message):
    print(message, flush=True)


def main():
    helper, *options, request = sys.argv[1:]
    own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [helper, "network-helper", "--descriptor", str(theirs.fileno()), *options]
    started = subprocess.run(command, pass_fds=[theirs.fileno()], check=False)
    theirs.close()
    if started.returncode:
        sys.exit(started.returncode)
    own.send(request.encode())
    descriptors, waiting = [], [own, sys.stdin]
    datagrams = listener = None
    while True:
        for ready in select.select(waiting, [], [])[0]:
            if ready is own:
                text, received, _, _ = socket.recv_fds(own, 1 << 18, 8)
                if not text:
                    say('{"ended":{}}')
                    return
                say(text.decode())
                if received:
                    descriptors = received
                    datagrams, listener = (socket.socket(fileno=number) for number in received[1:3])
                    waiting += [datagrams, listener]
            elif ready is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                own.send(line.encode())
            elif ready is datagrams:
                query, client = datagrams.recvfrom(4096)
                datagrams.sendto(answer(query), client)
            elif ready is listener:
                client, _ = listener.accept()
                client.setblocking(True)
                query = client.recv(4096)[2:]
                reply = answer(query)
                client.sendall(len(reply).to_bytes(2, "big") + reply)
                client.close()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        pass
