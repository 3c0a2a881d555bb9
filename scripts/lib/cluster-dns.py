#!/usr/bin/python3
"""The test cluster's name server: what CoreDNS answers from its directory, and NXDOMAIN to every other name.

    NAME.NAMESPACE.svc.ZONE               A: the service's address, or all ready pods of a headless one;
                                          CNAME of an ExternalName service
    POD.NAME.NAMESPACE.svc.ZONE           A: one pod of a headless service, by its host name or its address with dashes
    _PORT._PROTOCOL.NAME.NAMESPACE.svc.ZONE  SRV
    A-B-C-D.NAMESPACE.pod.ZONE            A: that address
    D.C.B.A.in-addr.arpa                  PTR of services and of pods of headless ones
"""

import argparse
import http.client
import ipaddress
import json
import socketserver
import ssl
import sys
import threading
import time

from dnslib import CNAME, EDNS0, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSRecord

TTL = 5
LARGEST_DATAGRAM = 4096


class Names:
    """The records of one state of the cluster. Made anew at each change, and never changed."""

    def __init__(self, zone, services, endpoints):
        self.zone = zone
        self.records = {f'dns-version.{zone}': {'TXT': ['1.1.0']}}
        self.hosts = {}
        for key, service in services.items():
            self.add_service(f'{key[1]}.{key[0]}.svc.{zone}', service['spec'], endpoints.get(key) or {})
        # Names in the middle of others are there, too: they have no records, but are no NXDOMAIN.
        self.above = {zone, f'svc.{zone}', f'pod.{zone}'}
        for name in self.records:
            while name != zone:
                self.above.add(name)
                name = name.partition('.')[2]

    def add(self, name, kind, value):
        values = self.records.setdefault(name, {}).setdefault(kind, [])
        if value not in values:
            values.append(value)

    def add_service(self, name, spec, endpoints):
        if spec.get('type') == 'ExternalName':
            self.add(name, 'CNAME', spec['externalName'].rstrip('.'))
            return
        self.records.setdefault(name, {})
        address = spec.get('clusterIP')
        if address and address != 'None':
            self.add(name, 'A', address)
            self.hosts[address] = name
            self.add_ports(spec.get('ports'), name, name)
            return
        for subset in endpoints.get('subsets') or []:
            for pod in subset.get('addresses') or []:
                host = f"{pod.get('hostname') or pod['ip'].replace('.', '-')}.{name}"
                self.add(name, 'A', pod['ip'])
                self.add(host, 'A', pod['ip'])
                self.hosts[pod['ip']] = host
                self.add_ports(subset.get('ports'), name, host)

    def add_ports(self, ports, name, target):
        for port in ports or []:
            if port.get('name'):
                protocol = port.get('protocol', 'TCP').lower()
                self.add(f"_{port['name']}._{protocol}.{name}", 'SRV', (port['port'], target))

    def find(self, name):
        """The records of a name; empty if there are none of it but of names below it, and None if there is nothing."""
        if name in self.records:
            return self.records[name]
        labels = name.removesuffix(f'.pod.{self.zone}').split('.')
        if name.endswith(f'.pod.{self.zone}') and len(labels) == 2:
            try:
                return {'A': [str(ipaddress.IPv4Address(labels[0].replace('-', '.')))]}
            except ValueError:
                return None
        return {} if name in self.above else None


class Directory:
    """Follows the services and endpoints of the API server."""

    def __init__(self, options):
        self.zone = options.zone.rstrip('.').lower()
        self.server = options.server
        self.context = ssl.create_default_context(cafile=options.ca)
        self.context.load_cert_chain(options.certificate, options.key)
        self.objects = {'services': None, 'endpoints': None}
        self.lock = threading.Lock()
        self.names = None
        for kind in self.objects:
            threading.Thread(target=self.follow, args=(kind,), daemon=True).start()

    def follow(self, kind):
        while True:
            try:
                self.list_and_watch(kind)
            except Exception as error:
                print(f'{kind}: {error!r}, starting over', flush=True)
                time.sleep(0.5)

    def list_and_watch(self, kind):
        connection = http.client.HTTPSConnection(self.server, context=self.context, timeout=330)
        listed = json.load(self.get(connection, f'/api/v1/{kind}'))
        with self.lock:
            self.objects[kind] = {self.key(item): item for item in listed['items']}
            self.rebuild()
        version = listed['metadata']['resourceVersion']
        while True:
            watch = f'/api/v1/{kind}?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion={version}'
            for line in self.get(connection, watch):
                event = json.loads(line)
                if event['type'] == 'ERROR':
                    raise RuntimeError(event['object'].get('message'))
                version = event['object']['metadata']['resourceVersion']
                if event['type'] != 'BOOKMARK':
                    self.change(kind, event)

    def get(self, connection, path):
        connection.request('GET', path)
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f'the API server answers {response.status} {response.reason}')
        return response

    def change(self, kind, event):
        with self.lock:
            if event['type'] == 'DELETED':
                self.objects[kind].pop(self.key(event['object']), None)
            else:
                self.objects[kind][self.key(event['object'])] = event['object']
            self.rebuild()

    def rebuild(self):
        if None not in self.objects.values():
            self.names = Names(self.zone, **self.objects)

    @staticmethod
    def key(item):
        return item['metadata']['namespace'], item['metadata']['name']

    def answer(self, request):
        reply = request.reply(ra=0, aa=1)
        names, name, kind = self.names, str(request.q.qname).rstrip('.').lower(), QTYPE[request.q.qtype]
        if names is None:
            reply.header.rcode = RCODE.SERVFAIL
        elif name.endswith('.in-addr.arpa'):
            host = names.hosts.get('.'.join(reversed(name.removesuffix('.in-addr.arpa').split('.'))))
            if host is None:
                reply.header.rcode = RCODE.NXDOMAIN
            elif kind == 'PTR':
                reply.add_answer(RR(request.q.qname, QTYPE.PTR, rdata=PTR(host), ttl=TTL))
        elif name != self.zone and not name.endswith(f'.{self.zone}'):
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            self.answer_of_zone(reply, names, name, kind)
        return reply

    def answer_of_zone(self, reply, names, name, kind):
        records = names.find(name)
        if records is None:
            reply.header.rcode = RCODE.NXDOMAIN
            records = {}
        for target in records.get('CNAME', []):
            reply.add_answer(RR(reply.q.qname, QTYPE.CNAME, rdata=CNAME(target), ttl=TTL))
            if kind == 'A':
                for address in (names.find(target.lower()) or {}).get('A', []):
                    reply.add_answer(RR(target, QTYPE.A, rdata=A(address), ttl=TTL))
        values = records.get(kind, []) if kind in ('A', 'SRV', 'TXT') else []
        for value in values:
            if kind == 'SRV':
                port, target = value
                data = SRV(0, max(1, 100 // len(values)), port, target)
                for address in names.find(target)['A']:
                    reply.add_ar(RR(target, QTYPE.A, rdata=A(address), ttl=TTL))
            else:
                data = A(value) if kind == 'A' else TXT(value)
            reply.add_answer(RR(reply.q.qname, getattr(QTYPE, kind), rdata=data, ttl=TTL))
        if not reply.rr:
            times = (int(time.time()), 7200, 1800, 86400, TTL)
            data = SOA(f'ns.dns.{self.zone}', f'hostmaster.{self.zone}', times)
            reply.add_auth(RR(self.zone, QTYPE.SOA, rdata=data, ttl=TTL))


def respond(directory, query, datagram):
    """The bytes of the answer, or None where none is due."""
    try:
        request = DNSRecord.parse(query)
    except Exception:
        return None
    if request.header.qr or not request.questions:
        return None
    reply = directory.answer(request)
    room = 512
    for record in request.ar:
        if record.rtype == QTYPE.OPT:
            room = max(room, min(record.rclass, LARGEST_DATAGRAM))
            reply.add_ar(EDNS0(udp_len=LARGEST_DATAGRAM))
    packed = reply.pack()
    return reply.truncate().pack() if datagram and len(packed) > room else packed


class Datagrams(socketserver.BaseRequestHandler):
    def handle(self):
        query, socket = self.request
        answer = respond(self.server.directory, query, True)
        if answer:
            socket.sendto(answer, self.client_address)


class Streams(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self):
        try:
            while len(size := self.rfile.read(2)) == 2:
                answer = respond(self.server.directory, self.rfile.read(int.from_bytes(size, 'big')), False)
                if not answer:
                    return
                self.wfile.write(len(answer).to_bytes(2, 'big') + answer)
        except OSError:
            pass


def serve(server, handler, address, directory):
    server.allow_reuse_address = True
    server.daemon_threads = True
    server.request_queue_size = 64
    listener = server(address, handler)
    listener.directory = directory
    threading.Thread(target=listener.serve_forever, daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('server', 'ca', 'certificate', 'key', 'listen', 'zone'):
        parser.add_argument(f'--{name}', required=True)
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(':')
    directory = Directory(options)
    serve(socketserver.ThreadingUDPServer, Datagrams, (host, int(port)), directory)
    serve(socketserver.ThreadingTCPServer, Streams, (host, int(port)), directory)
    print(f'listening on {options.listen}', flush=True)
    threading.Event().wait()


if __name__ == '__main__':
    sys.exit(main())
