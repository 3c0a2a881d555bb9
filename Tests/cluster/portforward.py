#!/usr/bin/python3
"""One HTTP request to a pod through the API server's port-forward, over WebSocket: no kubectl and no SPDY.

    portforward.py KUBECONFIG.json NAMESPACE POD PORT PATH

Standard library only; the kubeconfig is `kubectl config view --raw --minify --flatten -o json`, with a client certificate
or a token in it. Prints the answer."""

import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import sys
import tempfile
import urllib.parse

PROTOCOL = 'v4.channel.k8s.io'
GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'


def tls_context(cluster, user):
    authority = cluster.get('certificate-authority-data')
    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode() if authority else None)
    if 'client-certificate-data' in user:
        with tempfile.NamedTemporaryFile() as file:
            file.write(base64.b64decode(user['client-certificate-data']) + b'\n')
            file.write(base64.b64decode(user['client-key-data']))
            file.flush()
            context.load_cert_chain(file.name)
    return context


class WebSocket:
    def __init__(self, config, path):
        cluster, user = config['clusters'][0]['cluster'], config['users'][0]['user']
        server = urllib.parse.urlsplit(cluster['server'])
        connection = socket.create_connection((server.hostname, server.port or 443), timeout=10)
        name = cluster.get('tls-server-name', server.hostname)
        self.socket = tls_context(cluster, user).wrap_socket(connection, server_hostname=name)
        self.stream = self.socket.makefile('rb')
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f'GET {server.path.rstrip("/")}{path} HTTP/1.1', f'Host: {server.netloc}', 'Connection: Upgrade',
            'Upgrade: websocket', 'Sec-WebSocket-Version: 13', f'Sec-WebSocket-Key: {key}',
            f'Sec-WebSocket-Protocol: {PROTOCOL}',
        ]
        if 'token' in user:
            lines.append(f'Authorization: Bearer {user["token"]}')
        self.socket.sendall('\r\n'.join(lines + ['', '']).encode())
        status = self.stream.readline().decode().strip()
        headers = {}
        while line := self.stream.readline().decode().strip():
            header, _, value = line.partition(':')
            headers[header.lower()] = value.strip()
        if ' 101 ' not in status:
            body = self.stream.read(int(headers.get('content-length', 0))).decode(errors='replace')
            sys.exit(f'the API server answers {status}: {body}')
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        if headers.get('sec-websocket-accept') != accept or headers.get('sec-websocket-protocol') != PROTOCOL:
            sys.exit(f'the API server does not speak {PROTOCOL}')

    def send(self, channel, data):
        payload = bytes([channel]) + data
        if len(payload) < 126:
            header = bytes([0x82, 0x80 | len(payload)])
        else:
            header = bytes([0x82, 0x80 | 126]) + struct.pack('!H', len(payload))
        # The mask of zeros leaves it as it is.
        self.socket.sendall(header + bytes(4) + payload)

    def receive(self):
        """Channel and bytes of the next message, or None at the end."""
        while len(header := self.stream.read(2)) == 2:
            size = header[1] & 0x7F
            if size >= 126:
                size = int.from_bytes(self.stream.read(2 if size == 126 else 8), 'big')
            payload = self.stream.read(size)
            if header[0] & 0x0F == 8:
                return None
            if header[0] & 0x0F in (0, 1, 2) and payload:
                return payload[0], payload[1:]
        return None


def main():
    file, namespace, pod, port, path = sys.argv[1:]
    with open(file, encoding='utf-8') as opened:
        config = json.load(opened)
    tunnel = WebSocket(config, f'/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}')
    # Each port has a channel of data and one of errors, which both begin with its number, little endian.
    for channel in range(2):
        if tunnel.receive() != (channel, struct.pack('<H', int(port))):
            sys.exit(f'channel {channel} does not begin with the port')
    tunnel.send(0, f'GET {path} HTTP/1.1\r\nHost: {pod}\r\nConnection: close\r\n\r\n'.encode())
    while message := tunnel.receive():
        channel, data = message
        if channel == 1:
            sys.exit(f'the API server says: {data.decode(errors="replace")}')
        sys.stdout.write(data.decode(errors='replace'))


if __name__ == '__main__':
    main()
