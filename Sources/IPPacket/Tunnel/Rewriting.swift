/// Gives TCP packets other ends, in place; what that does to the checksums is worked out once for a flow.
struct Rewriting {
    struct Ends {
        var source: InternetAddress
        var sourcePort: UInt16
        var destination: InternetAddress
        var destinationPort: UInt16

        var reversed: Ends {
            Ends(
                source: destination, sourcePort: destinationPort, destination: source, destinationPort: sourcePort)
        }
    }

    private let new: Ends
    private let addresses: ChecksumDelta
    private let addressesAndPorts: ChecksumDelta

    init(from old: Ends, to new: Ends) {
        self.new = new
        var delta = ChecksumDelta()
        delta.replace(old.source, with: new.source)
        delta.replace(old.destination, with: new.destination)
        addresses = delta
        delta.replace(old.sourcePort, with: new.sourcePort)
        delta.replace(old.destinationPort, with: new.destinationPort)
        addressesAndPorts = delta
    }

    /// `isPartial`: the checksum field holds the sum of the pseudo-header alone, for whoever completes it.
    func rewrite(_ packet: InternetPacket, _ segment: TCPSegment, isPartial: Bool) {
        if packet.isV4 {
            packet.bytes.set(addresses.applied(to: packet.bytes.word(at: 10)), at: 10)
            packet.bytes.set(new.source, at: 12)
            packet.bytes.set(new.destination, at: 16)
        } else {
            packet.bytes.set(new.source, at: 8)
            packet.bytes.set(new.destination, at: 24)
        }
        segment.bytes.set(new.sourcePort, at: 0)
        segment.bytes.set(new.destinationPort, at: 2)
        segment.bytes.set(
            isPartial ? addresses.added(to: segment.checksum) : addressesAndPorts.applied(to: segment.checksum),
            at: TCPSegment.checksumOffset)
    }
}
