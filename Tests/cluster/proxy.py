#!/usr/bin/python3
"""A proxy on loopback: HTTP CONNECT with a name and a password, and SOCKS 5 without. Prints its port; each connection it leads
on is a line of LOG, `http HOST:PORT` or `socks HOST:PORT`.

    proxy.py LOG NAME:PASSWORD"""

import asyncio
import base64
import struct
import sys


class Refused(Exception):
    pass


async def connect_target(first, reader, writer, expected):
    head = (first + await reader.readuntil(b'\r\n\r\n')).decode('latin-1').split('\r\n')
    method, target, _ = head[0].split(' ')
    fields = {line.partition(':')[0].lower(): line.partition(':')[2].strip() for line in head[1:] if line}
    if fields.get('proxy-authorization') != 'Basic ' + base64.b64encode(expected.encode()).decode():
        writer.write(b'HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n')
        raise Refused
    if method != 'CONNECT':
        writer.write(b'HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n')
        raise Refused
    host, _, port = target.rpartition(':')
    return 'http', host.strip('[]'), int(port), b'HTTP/1.1 200 Connection established\r\n\r\n'


async def socks_target(reader, writer):
    """RFC 1928, behind the version."""
    await reader.readexactly((await reader.readexactly(1))[0])
    writer.write(b'\x05\x00')
    _, command, _, kind = await reader.readexactly(4)
    if command != 1:
        raise Refused
    if kind == 1:
        host = '.'.join(map(str, await reader.readexactly(4)))
    elif kind == 3:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    else:
        raise Refused
    (port,) = struct.unpack('!H', await reader.readexactly(2))
    return 'socks', host, port, b'\x05\x00\x00\x01' + bytes(6)


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def serve(reader, writer, log, expected):
    try:
        first = await reader.readexactly(1)
        if first == b'\x05':
            kind, host, port, answer = await socks_target(reader, writer)
        else:
            kind, host, port, answer = await connect_target(first, reader, writer, expected)
        upstream = await asyncio.open_connection(host, port)
        print(kind, f'{host}:{port}', file=log, flush=True)
        writer.write(answer)
        await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer))
        upstream[1].close()
    except (Refused, OSError, ValueError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    with open(sys.argv[1], 'a') as log:
        server = await asyncio.start_server(
            lambda reader, writer: serve(reader, writer, log, sys.argv[2]), '127.0.0.1', 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
