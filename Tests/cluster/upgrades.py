#!/usr/bin/python3
"""Stands before an API server as a later one would, or as something that lets no WebSocket through. Prints its port; each
upgrade that is asked for is a line of LOG, `METHOD PROTOCOL STATUS`.

    upgrades.py KUBECONFIG.json LOG tunnelled|plain

tunnelled: port-forwards are SPDY/3.1+portforward.k8s.io by WebSocket and nothing else; to the API server they are SPDY.
plain: there is no WebSocket at all; the rest is the API server's.

The kubeconfig, of the API server, is as in portforward.py: whoever asks here is its user there."""

import asyncio
import base64
import hashlib
import json
import struct
import sys
import urllib.parse

from portforward import GUID, tls_context

TUNNELLED = 'SPDY/3.1+portforward.k8s.io'
PLAIN = 'portforward.k8s.io'


class Relay:
    def __init__(self, config, log, tunnels):
        cluster, user = config['clusters'][0]['cluster'], config['users'][0]['user']
        self.server = urllib.parse.urlsplit(cluster['server'])
        self.tls = tls_context(cluster, user)
        self.log = log
        self.tunnels = tunnels

    async def upstream(self):
        return await asyncio.open_connection(self.server.hostname, self.server.port, ssl=self.tls)

    def note(self, *words):
        print(*words, file=self.log, flush=True)

    async def serve(self, reader, writer):
        try:
            while await self.request(reader, writer):
                pass
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def request(self, reader, writer):
        """One of them, on a connection of its own to the server. Whether another may follow."""
        head = await reader.readuntil(b'\r\n\r\n')
        first, *lines = head.decode('latin-1').split('\r\n')
        method, path, _ = first.split(' ')
        fields = {line.partition(':')[0].lower(): line.partition(':')[2].strip() for line in lines if line}
        lines = [line for line in lines if line and line.partition(':')[0].lower() != 'host']
        upgrade = fields.get('upgrade', '').lower()
        if upgrade == 'websocket':
            return await self.websocket(method, path, fields, reader, writer)
        if upgrade and self.tunnels:
            return await self.refuse(method, fields.get('x-stream-protocol-version'), writer)
        if upgrade:
            self.note(method, fields.get('x-stream-protocol-version'), 'passed')
        else:
            lines = [line for line in lines if not line.lower().startswith('connection:')] + ['Connection: close']
        far_reader, far_writer = await self.upstream()
        far_writer.write('\r\n'.join([first, f'Host: {self.server.netloc}', *lines, '', '']).encode('latin-1'))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        return False

    async def refuse(self, method, protocol, writer):
        self.note(method, protocol, 403)
        writer.write(b'HTTP/1.1 403 Forbidden\r\nContent-Length: 15\r\n\r\nno such upgrade')
        await writer.drain()
        return True

    async def websocket(self, method, path, fields, reader, writer):
        protocol = fields.get('sec-websocket-protocol')
        if not self.tunnels or protocol != TUNNELLED:
            return await self.refuse(method, protocol, writer)
        far_reader, far_writer = await self.upstream()
        asked = [f'POST {path} HTTP/1.1', f'Host: {self.server.netloc}', 'Connection: Upgrade', 'Upgrade: SPDY/3.1',
                 f'X-Stream-Protocol-Version: {PLAIN}', 'Content-Length: 0', '', '']  # fmt: skip
        far_writer.write('\r\n'.join(asked).encode())
        answer = await far_reader.readuntil(b'\r\n\r\n')
        if b' 101 ' not in answer.split(b'\r\n')[0]:
            self.note(method, protocol, 'refused')
            writer.write(answer.replace(b'\r\n', b'\r\nConnection: close\r\n', 1))
            await pump(far_reader, writer)
            return False
        self.note(method, protocol, 101)
        accept = base64.b64encode(hashlib.sha1((fields['sec-websocket-key'] + GUID).encode()).digest()).decode()
        lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade',
                 f'Sec-WebSocket-Accept: {accept}', f'Sec-WebSocket-Protocol: {TUNNELLED}', '', '']  # fmt: skip
        writer.write('\r\n'.join(lines).encode())
        await asyncio.gather(unwrap(reader, far_writer), wrap(far_reader, writer))
        return False


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def unwrap(reader, writer):
    """The messages of a client, each masked."""
    try:
        while True:
            first, second = await reader.readexactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), 'big')
            mask = await reader.readexactly(4)
            data = await reader.readexactly(size)
            if first & 0x0F == 8:
                return
            if first & 0x0F in (0, 2):
                key = int.from_bytes((mask * (size // 4 + 1))[:size], 'big')
                writer.write((int.from_bytes(data, 'big') ^ key).to_bytes(size, 'big'))
                await writer.drain()
    finally:
        writer.close()


async def wrap(reader, writer):
    """Messages of any length, which are not those of what is in them."""
    try:
        while data := await reader.read(10_000):
            head = bytes([0x82, len(data)]) if len(data) < 126 else struct.pack('!BBH', 0x82, 126, len(data))
            writer.write(head + data)
            await writer.drain()
        writer.write(b'\x88\x00')
    finally:
        writer.close()


async def main():
    file, log, kind = sys.argv[1:]
    with open(file, encoding='utf-8') as opened, open(log, 'a', encoding='utf-8') as lines:
        relay = Relay(json.load(opened), lines, kind == 'tunnelled')
        server = await asyncio.start_server(relay.serve, '127.0.0.1', 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
