/// Writes whole packets, with their checksums, at the beginning of memory that is the caller's.
///
/// Each call gives the packet, or `nil` when it has no room or the two addresses are not of one family.
package struct PacketBuilder {
    let space: UnsafeMutableRawBufferPointer
    let source: InternetAddress
    let destination: InternetAddress

    /// What Linux gives packets of its own.
    private static let hopLimit: UInt8 = 64

    package init(
        in space: UnsafeMutableRawBufferPointer, from source: InternetAddress, to destination: InternetAddress
    ) {
        self.space = space
        self.source = source
        self.destination = destination
    }

    private var headerLength: Int { source.isV4 ? InternetPacket.v4HeaderLength : InternetPacket.v6HeaderLength }

    /// A segment without data.
    package func tcp(
        from sourcePort: UInt16, to destinationPort: UInt16, sequence: UInt32, acknowledgment: UInt32, flags: TCPFlags,
        window: UInt16, options: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> UnsafeRawBufferPointer? {
        // Whole words, as the header's length says them.
        guard options.count <= TCPSegment.maximumOptionsLength, options.count % 4 == 0 else { return nil }
        let length = TCPSegment.minimumHeaderLength + options.count
        return packet(InternetProtocol.tcp, length: length, checksumAt: TCPSegment.checksumOffset) { segment in
            segment.set(sourcePort, at: 0)
            segment.set(destinationPort, at: 2)
            segment.set(sequence, at: 4)
            segment.set(acknowledgment, at: 8)
            segment[12] = UInt8(length / 4) << 4
            segment[13] = flags.rawValue
            segment.set(window, at: 14)
            segment.set(0 as UInt16, at: 18)
            segment.from(TCPSegment.minimumHeaderLength).copyMemory(from: options)
        }
    }

    package func udp(
        from sourcePort: UInt16, to destinationPort: UInt16, payload: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        let length = UDPDatagram.headerLength + payload.count
        return packet(InternetProtocol.udp, length: length, checksumAt: UDPDatagram.checksumOffset) { datagram in
            datagram.set(sourcePort, at: 0)
            datagram.set(destinationPort, at: 2)
            datagram.set(UInt16(truncatingIfNeeded: length), at: 4)
            datagram.from(UDPDatagram.headerLength).copyMemory(from: payload)
        }
    }

    package enum Echo: Hashable, Sendable { case request, reply }

    package func echo(
        _ echo: Echo, identifier: UInt16, sequence: UInt16, payload: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        icmp(length: ICMPMessage.headerLength + payload.count) { message in
            message[0] = source.isV4 ? (echo == .request ? 8 : 0) : (echo == .request ? 128 : 129)
            message[1] = 0
            message.set(identifier, at: 4)
            message.set(sequence, at: 6)
            message.from(ICMPMessage.headerLength).copyMemory(from: payload)
        }
    }

    /// `original` is the packet that the error is about; its beginning is quoted, as much as a path of the smallest MTU
    /// takes (RFC 1812 §4.3.2.3: 576 bytes; RFC 4443 §2.4: 1280).
    package func error(_ error: ICMPError, quoting original: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let (limit, kind) = source.isV4 ? (576, error.v4) : (1280, error.v6)
        let quoted = UnsafeRawBufferPointer(
            rebasing: original.prefix(limit - headerLength - ICMPMessage.headerLength))
        return icmp(length: ICMPMessage.headerLength + quoted.count) { message in
            message[0] = kind.type
            message[1] = kind.code
            message.set(0 as UInt32, at: 4)
            message.from(ICMPMessage.headerLength).copyMemory(from: quoted)
        }
    }

    private func icmp(length: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void) -> UnsafeRawBufferPointer? {
        packet(
            source.isV4 ? InternetProtocol.icmp : InternetProtocol.icmpV6, length: length,
            checksumAt: ICMPMessage.checksumOffset, write)
    }

    private func packet(
        _ transport: UInt8, length: Int, checksumAt checksumOffset: Int,
        _ write: (UnsafeMutableRawBufferPointer) -> Void
    ) -> UnsafeRawBufferPointer? {
        let whole = headerLength + length
        guard source.isV4 == destination.isV4, whole <= min(space.count, InternetPacket.maximumLength) else {
            return nil
        }
        let bytes = UnsafeMutableRawBufferPointer(rebasing: space[..<whole])
        writeHeader(transport, length: length, into: bytes)
        let payload = bytes.from(headerLength)
        payload.set(0 as UInt16, at: checksumOffset)
        write(payload)
        var checksum = InternetChecksum()
        // ICMP for IPv4 alone sums no pseudo-header.
        if transport != InternetProtocol.icmp {
            checksum.addPseudoHeader(from: source, to: destination, transport: transport, length: length)
        }
        checksum.add(UnsafeRawBufferPointer(payload))
        // In UDP zero means that there is none (RFC 768).
        payload.set(checksum.value == 0 ? 0xffff : checksum.value, at: checksumOffset)
        return UnsafeRawBufferPointer(bytes)
    }

    private func writeHeader(_ transport: UInt8, length: Int, into bytes: UnsafeMutableRawBufferPointer) {
        if source.isV4 {
            bytes[0] = 0x45
            bytes[1] = 0
            bytes.set(UInt16(truncatingIfNeeded: bytes.count), at: 2)
            // An atomic datagram, with an identification that says nothing (RFC 6864 §4.1): "do not fragment".
            bytes.set(0 as UInt16, at: 4)
            bytes.set(0x4000 as UInt16, at: 6)
            bytes[8] = Self.hopLimit
            bytes[9] = transport
            bytes.set(0 as UInt16, at: 10)
            bytes.set(source, at: 12)
            bytes.set(destination, at: 16)
            var checksum = InternetChecksum()
            checksum.add(UnsafeRawBufferPointer(rebasing: bytes[..<InternetPacket.v4HeaderLength]))
            bytes.set(checksum.value, at: 10)
        } else {
            bytes.set(0x6000_0000 as UInt32, at: 0)
            bytes.set(UInt16(truncatingIfNeeded: length), at: 4)
            bytes[6] = transport
            bytes[7] = Self.hopLimit
            bytes.set(source, at: 8)
            bytes.set(destination, at: 24)
        }
    }
}
