import IPPacket

/// A machine, and what comes out of it as values.
final class TunnelHarness {
    enum Outcome: Equatable {
        case none
        case held
        case toListener
        case toApp
        case answer
        case datagram(DatagramFlowID, [UInt8])
        case echo(DatagramFlowID, InternetAddress, UInt16, UInt16, [UInt8])
    }

    var machine = TunnelMachine(v4: TestPacket.v4Link, v6: TestPacket.v6Link)
    var now: UInt64 = 1_000_000_000
    /// The packet that went back to the device last.
    private(set) var written = TestPacket([])

    func advance(seconds: UInt64) {
        now += seconds * 1_000_000_000
        machine.expire(now: now)
    }

    func requests() -> [TunnelRequest] {
        defer { machine.requests.removeAll() }
        return Array(machine.requests)
    }

    @discardableResult func receive(_ packet: TestPacket, isPartial: Bool = false) -> Outcome {
        var bytes = packet.bytes
        return bytes.withUnsafeMutableBytes { bytes in
            take(machine.receive(bytes, isPartial: isPartial, now: now), bytes)
        }
    }

    @discardableResult func dialed(_ id: TCPFlowID, _ outcome: DialOutcome) -> Outcome {
        take(machine.dialed(id, outcome, now: now))
    }

    @discardableResult func received(_ payload: [UInt8], on id: DatagramFlowID) -> Outcome {
        payload.withUnsafeBytes { take(machine.received($0, on: id, now: now)) }
    }

    @discardableResult func echoed(
        _ payload: [UInt8], identifier: UInt16, sequence: UInt16, on id: DatagramFlowID
    ) -> Outcome {
        payload.withUnsafeBytes {
            take(machine.echoed($0, identifier: identifier, sequence: sequence, on: id, now: now))
        }
    }

    @discardableResult func failed(_ id: DatagramFlowID, _ error: ICMPError) -> Outcome {
        take(machine.failed(id, error, now: now))
    }

    private func take(
        _ effect: TunnelEffect,
        _ packet: UnsafeMutableRawBufferPointer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    ) -> Outcome {
        switch effect {
        case .none: return .none
        case .held: return .held
        case .toListener:
            written = TestPacket(UnsafeRawBufferPointer(packet))
            return .toListener
        case .toApp:
            written = TestPacket(UnsafeRawBufferPointer(packet))
            return .toApp
        case .answer(let bytes):
            written = TestPacket(bytes)
            return .answer
        case .datagram(let id, let payload): return .datagram(id, Array(payload))
        case .echo(let id, let address, let identifier, let sequence, let payload):
            return .echo(id, address, identifier, sequence, Array(payload))
        }
    }
}
