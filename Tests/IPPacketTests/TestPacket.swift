import IPPacket

/// A packet of a test's, in memory of its own.
struct TestPacket {
    var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = Array(bytes) }

    static let v4Link = TunnelLink(
        address: InternetAddress(v4: 0xc612_0001), peer: InternetAddress(v4: 0xc612_0002), listenerPort: 7000)
    static let v6Link = TunnelLink(
        address: InternetAddress(v6: 0xfd98 << 112 | 1), peer: InternetAddress(v6: 0xfd98 << 112 | 2),
        listenerPort: 7006)

    private static func build(
        _ source: InternetAddress, _ destination: InternetAddress,
        _ body: (PacketBuilder) -> UnsafeRawBufferPointer?
    ) -> TestPacket {
        withUnsafeTemporaryAllocation(byteCount: 70_000, alignment: 16) { space in
            TestPacket(
                body(PacketBuilder(in: space, from: source, to: destination))
                    ?? UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    static func tcp(
        _ source: InternetAddress, _ sourcePort: UInt16, _ destination: InternetAddress, _ destinationPort: UInt16,
        _ flags: TCPFlags, sequence: UInt32 = 1000, acknowledgment: UInt32 = 0, options: [UInt8] = []
    ) -> TestPacket {
        build(source, destination) { builder in
            options.withUnsafeBytes {
                builder.tcp(
                    from: sourcePort, to: destinationPort, sequence: sequence, acknowledgment: acknowledgment,
                    flags: flags, window: 4096, options: $0)
            }
        }
    }

    static func udp(
        _ source: InternetAddress, _ sourcePort: UInt16, _ destination: InternetAddress, _ destinationPort: UInt16,
        _ payload: [UInt8]
    ) -> TestPacket {
        build(source, destination) { builder in
            payload.withUnsafeBytes { builder.udp(from: sourcePort, to: destinationPort, payload: $0) }
        }
    }

    static func echo(
        _ source: InternetAddress, _ destination: InternetAddress, _ echo: PacketBuilder.Echo = .request,
        identifier: UInt16 = 7, sequence: UInt16 = 1, _ payload: [UInt8] = [1, 2, 3]
    ) -> TestPacket {
        build(source, destination) { builder in
            payload.withUnsafeBytes {
                builder.echo(echo, identifier: identifier, sequence: sequence, payload: $0)
            }
        }
    }

    static func error(
        _ source: InternetAddress, _ destination: InternetAddress, _ error: ICMPError, quoting original: TestPacket
    ) -> TestPacket {
        build(source, destination) { builder in
            original.bytes.withUnsafeBytes { builder.error(error, quoting: $0) }
        }
    }

    /// What the headers say; `nil` for what is no packet.
    var parts: Parts? {
        var copy = bytes
        return copy.withUnsafeMutableBytes { bytes in
            guard let packet = InternetPacket(bytes) else { return nil }
            var parts = Parts(
                source: packet.source, destination: packet.destination, transport: packet.transport,
                hasValidChecksum: Self.isValid(packet), payload: Array(packet.payload))
            if let segment = TCPSegment(packet.payload) {
                parts.sourcePort = segment.sourcePort
                parts.destinationPort = segment.destinationPort
                parts.sequence = segment.sequence
                parts.acknowledgment = segment.acknowledgment
                parts.flags = segment.flags
                parts.options = Array(segment.options)
            }
            return parts
        }
    }

    struct Parts {
        var source: InternetAddress
        var destination: InternetAddress
        var transport: UInt8
        var hasValidChecksum: Bool
        var payload: [UInt8]
        var sourcePort: UInt16 = 0
        var destinationPort: UInt16 = 0
        var sequence: UInt32 = 0
        var acknowledgment: UInt32 = 0
        var flags: TCPFlags = []
        var options: [UInt8] = []
    }

    /// Whether a receiver would take the header's and the payload's checksums: all words with them add up to zero.
    private static func isValid(_ packet: InternetPacket) -> Bool {
        if packet.isV4 {
            var header = InternetChecksum()
            header.add(UnsafeRawBufferPointer(rebasing: packet.bytes[..<packet.headerLength]))
            guard header.value == 0 else { return false }
        }
        var checksum = InternetChecksum()
        if packet.transport != InternetProtocol.icmp {
            checksum.addPseudoHeader(
                from: packet.source, to: packet.destination, transport: packet.transport,
                length: packet.payload.count)
        }
        checksum.add(UnsafeRawBufferPointer(packet.payload))
        return checksum.value == 0
    }
}
