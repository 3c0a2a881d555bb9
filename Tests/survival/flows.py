#!/usr/bin/env python3
"""Connections and datagrams of an app, each byte of what comes back looked at.

    flows.py uploads COUNT MIB HOST PORT     as many uploads at once to an echo service
    flows.py parallel COUNT HOST PORT        as many flows at once, beside one that sends and never reads
    flows.py sequential COUNT HOST PORT      one connection after the other, each with an echo
    flows.py steady FILE HOST PORT           an echo every 50 ms over one connection and over new ones, until SIGTERM;
                                             what came of it goes to FILE, a line each: `ok`, or what broke
    flows.py hold COUNT HOST PORT            opens as many, says `open`, and keeps them until its input ends
    flows.py datagrams HOST PORT             datagrams of 1 to 9,216 bytes to an echo service
    flows.py serve HOST PORT COUNT           takes connections: sends COUNT bytes and closes, before the peer has ended
    flows.py receive HOST PORT               prints how many bytes come, and how it ends: `end` or `reset`
"""
import asyncio
import hashlib
import random
import signal
import socket
import sys

PATIENCE = 60  # seconds for an answer on a busy machine


class Wrong(Exception):
    """What came back is not what was sent."""


def pattern(seed, count):
    return random.Random(seed).randbytes(count)


async def connect(host, port):
    return await asyncio.wait_for(asyncio.open_connection(host, port, limit=1 << 20), PATIENCE)


async def exchange(host, port, count, seed):
    """Sends `count` bytes, ends its half, and reads to the end: the same must have come back."""
    reader, writer = await connect(host, port)
    data = pattern(seed, count)

    async def send():
        for start in range(0, count, 65536):
            writer.write(data[start : start + 65536])
            await writer.drain()
        writer.write_eof()

    async def receive():
        digest, received = hashlib.sha256(), 0
        while piece := await reader.read(1 << 18):
            digest.update(piece)
            received += len(piece)
        return digest.digest(), received

    try:
        _, (digest, received) = await asyncio.gather(send(), receive())
    finally:
        writer.close()
    if received != count or digest != hashlib.sha256(data).digest():
        raise Wrong(f"{received} bytes came back of {count}, or others")


async def echo(reader, writer, data):
    writer.write(data)
    back = await asyncio.wait_for(reader.readexactly(len(data)), PATIENCE)
    if back != data:
        raise Wrong("other bytes came back")


async def uploads(count, mebibytes, host, port):
    await asyncio.gather(*(exchange(host, port, mebibytes << 20, seed) for seed in range(count)))


async def parallel(count, host, port):
    _, stalled = await connect(host, port)
    stalled.transport.pause_reading()
    stalled.write(bytes(16 << 20))
    await asyncio.gather(*(exchange(host, port, 20_000 + seed, seed) for seed in range(count)))
    stalled.transport.abort()


async def sequential(count, host, port):
    for number in range(count):
        reader, writer = await connect(host, port)
        await echo(reader, writer, b"%d" % number)
        writer.close()
        await writer.wait_closed()


async def steady(path, host, port):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    kept = None
    with open(path, "w", buffering=1) as log:
        while not stop.is_set():
            try:
                reader, writer = await connect(host, port)
                await echo(reader, writer, b"new")
                writer.close()
                if kept is None:
                    kept = await connect(host, port)
                await echo(*kept, b"kept")
                log.write("ok\n")
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
                log.write(f"{type(error).__name__}\n")
                kept = None
            try:
                await asyncio.wait_for(stop.wait(), 0.05)
            except asyncio.TimeoutError:
                pass


async def hold(count, host, port):
    kept = await asyncio.gather(*(connect(host, port) for _ in range(count)))
    await asyncio.gather(*(echo(reader, writer, b"x") for reader, writer in kept))
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def datagrams(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as app:
        app.connect((host, port))
        app.settimeout(3)
        for count in [1, 512, 1400, 1500, 4096, 8192, 9216]:
            data = pattern(count, count)
            for attempt in range(3):  # a datagram may be lost
                app.send(data)
                try:
                    if app.recv(65536) == data:
                        break
                    raise Wrong(f"other bytes came back than the {count}")
                except socket.timeout:
                    pass
            else:
                raise Wrong(f"no answer to {count} bytes")


async def serve(host, port, count):
    async def one(reader, writer):
        await reader.read(1)
        writer.write(bytes(count))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(one, host, port)
    print("ready", flush=True)
    await server.serve_forever()


async def receive(host, port):
    reader, writer = await connect(host, port)
    writer.write(b"x")
    received, end = 0, "end"
    try:
        while piece := await asyncio.wait_for(reader.read(1 << 18), PATIENCE):
            received += len(piece)
    except ConnectionResetError:
        end = "reset"
    writer.close()
    print(received, end)


def main():
    name, *arguments = sys.argv[1:]
    arguments = [int(word) if word.isdigit() else word for word in arguments]
    work = {
        "uploads": uploads, "parallel": parallel, "sequential": sequential, "steady": steady, "hold": hold,
        "datagrams": datagrams, "serve": serve, "receive": receive,
    }[name]
    try:
        if asyncio.iscoroutinefunction(work):
            asyncio.run(work(*arguments))
        else:
            work(*arguments)
    except (Wrong, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
        raise SystemExit(f"flows.py {name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
