import IPPacket
import NIOCore

extension Target {
    private static func address(_ number: UInt8, isV4: Bool) -> InternetAddress {
        isV4 ? InternetAddress(v4: 0x0a00_0000 | UInt32(number)) : InternetAddress(v6: 0xfd << 120 | UInt128(number))
    }

    /// A SYN, a segment of the listener's, a datagram, an echo and an error that quotes the datagram, each after its
    /// length in two bytes.
    private static func conversation(isV4: Bool) -> [UInt8] {
        let (app, peer, target) = (address(1, isV4: isV4), address(2, isV4: isV4), address(9, isV4: isV4))
        return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) { space in
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            let out = PacketBuilder(in: space, from: app, to: target)
            var packets: [[UInt8]] = []
            func add(_ packet: UnsafeRawBufferPointer?) { packets.append(packet.map { Array($0) } ?? []) }
            add(out.tcp(from: 4000, to: 80, sequence: 1, acknowledgment: 0, flags: .syn, window: 9))
            add(
                PacketBuilder(in: space, from: app, to: peer).tcp(
                    from: 7000, to: 1024, sequence: 1, acknowledgment: 2, flags: [.syn, .ack], window: 9))
            add(out.tcp(from: 4000, to: 80, sequence: 2, acknowledgment: 2, flags: [.fin, .ack], window: 9))
            add(out.udp(from: 4000, to: 53, payload: nothing))
            add(out.echo(.request, identifier: 1, sequence: 2, payload: nothing))
            add(PacketBuilder(in: space, from: target, to: app).udp(from: 53, to: 4000, payload: nothing))
            packets[5].withUnsafeBytes { add(out.error(.portUnreachable, quoting: $0)) }
            packets.remove(at: 5)
            return packets.flatMap { [UInt8($0.count >> 8), UInt8($0.count & 0xff)] + $0 }
        }
    }

    private static func lies(_ packet: UnsafeRawBufferPointer) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: packet.count, alignment: 16) { copy in
            copy.copyMemory(from: packet)
            return InternetPacket(copy)?.bytes.count != packet.count
        }
    }

    static let packets: [Target] = [
        Target(name: "tunnel") {
            [conversation(isV4: true), conversation(isV4: false)]
        } run: { bytes in
            var machine = TunnelMachine(
                v4: TunnelLink(address: address(1, isV4: true), peer: address(2, isV4: true), listenerPort: 7000),
                v6: TunnelLink(address: address(1, isV4: false), peer: address(2, isV4: false), listenerPort: 7000))
            var now: UInt64 = 0
            for payload in payloads(in: bytes) {
                var payload = payload
                now += 1_000_000_000
                payload.withUnsafeMutableReadableBytes { packet in
                    switch machine.receive(packet, now: now) {
                    case .answer(let answer): precondition(!lies(answer), "no packet was built")
                    case .datagram(let id, let data), .echo(let id, _, _, _, let data):
                        if case .answer(let answer) = machine.received(data, on: id, now: now) {
                            precondition(!lies(answer), "no packet was built")
                        }
                        if data.count % 2 == 1 { _ = machine.failed(id, .portUnreachable, now: now) }
                    case .none, .held, .toListener, .toApp: break
                    }
                }
                for case .dial(let id, _, let port, _, _) in machine.requests {
                    switch machine.dialed(id, port % 4 == 0 ? .connected : .failed(.hostUnreachable), now: now) {
                    case .answer(let answer): precondition(!lies(answer), "no packet was built")
                    default: break
                    }
                }
                machine.requests.removeAll(keepingCapacity: true)
                machine.expire(now: now)
            }
        }
    ]
}
