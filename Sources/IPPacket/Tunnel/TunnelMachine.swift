/// What becomes of the packets that the workstation sends into the cluster. Pure: packets, answers of the other side and
/// the time, in nanoseconds of one steady clock, go in; effects come out.
///
/// TCP is left to the kernel. A SYN is held until its destination has been dialed; then it is rewritten so that it comes
/// from a port of `TunnelLink.peer` and goes to the listener on the device's own address, and every packet of the
/// connection is rewritten likewise, in both directions. Who accepts the connection finds the dialed one by that port.
/// UDP datagrams and echoes are taken out of their packets, and put into packets when they come.
///
/// Packets are rewritten where they lie, and answers are written into memory of the machine's: nothing is allocated for
/// a packet. Tables grow with the number of flows, up to their limits.
package struct TunnelMachine: ~Copyable {
    let v4: TunnelLink?
    let v6: TunnelLink?
    /// For the owner, in order; to be emptied after every call.
    package var requests: ContiguousArray<TunnelRequest> = []

    var tcp = TCPFlowTable()
    var datagrams = DatagramFlowTable()
    let space: UnsafeMutableRawBufferPointer
    let scratch: UnsafeMutableRawBufferPointer

    /// Loss is rare within one kernel; after it something is sent again within a second or two, twice at most.
    static let overLimit: UInt64 = 10_000_000_000
    /// The handshake takes place within this kernel. Who accepts gives up after the same time.
    package static let openingLimit: UInt64 = 10_000_000_000
    /// How long a kernel offers what an app does not read, after the listener's side has closed (tcp(7),
    /// tcp_orphan_retries), is about a quarter of an hour.
    static let releasedLimit: UInt64 = 900_000_000_000

    package init(v4: TunnelLink?, v6: TunnelLink?) {
        self.v4 = v4
        self.v6 = v6
        space = .allocate(byteCount: InternetPacket.maximumLength, alignment: 16)
        // Headers alone are written there.
        scratch = .allocate(byteCount: 128, alignment: 16)
    }

    deinit {
        space.deallocate()
        scratch.deallocate()
    }

    package var tcpFlowCount: Int { tcp.count }
    package var datagramFlowCount: Int { datagrams.count }

    // MARK: From the device

    /// `isPartial`: the checksum of TCP or UDP holds the sum of the pseudo-header alone, for whoever completes it.
    package mutating func receive(
        _ bytes: UnsafeMutableRawBufferPointer, isPartial: Bool = false, now: UInt64
    ) -> TunnelEffect {
        guard let packet = InternetPacket(bytes), let link = packet.isV4 ? v4 : v6, !packet.isFragment else {
            return .none
        }
        if packet.destination == link.peer { return receiveForPeer(packet, link, isPartial: isPartial, now: now) }
        // Groups are not forwarded, and nobody asks an interface for itself through the interface.
        guard packet.destination != link.address, packet.source != link.peer,
            !packet.destination.isMulticast, !packet.destination.isOfNoHost,
            !packet.source.isMulticast, !packet.source.isOfNoHost
        else { return .none }
        guard packet.hopLimit > 1 else { return refuse(packet, link, .timeExceeded) }
        switch packet.transport {
        case InternetProtocol.tcp:
            guard let segment = TCPSegment(packet.payload) else { return .none }
            return receive(segment, of: packet, link, isPartial: isPartial, now: now)
        case InternetProtocol.udp:
            guard let datagram = UDPDatagram(packet.payload) else { return .none }
            return receive(datagram, of: packet, now: now)
        case packet.isV4 ? InternetProtocol.icmp : InternetProtocol.icmpV6:
            guard let message = ICMPMessage(packet.payload, isV4: packet.isV4) else { return .none }
            return receive(message, of: packet, now: now)
        default:
            return refuse(packet, link, .prohibited)
        }
    }

    /// The virtual peer is who the listener talks to; for everybody else it is a host without services.
    private mutating func receiveForPeer(
        _ packet: InternetPacket, _ link: TunnelLink, isPartial: Bool, now: UInt64
    ) -> TunnelEffect {
        switch packet.transport {
        case InternetProtocol.tcp:
            guard let segment = TCPSegment(packet.payload) else { return .none }
            guard packet.source == link.address, segment.sourcePort == link.listenerPort else {
                return reset(segment, of: packet)
            }
            return receiveFromListener(segment, of: packet, isPartial: isPartial, now: now)
        case InternetProtocol.udp:
            return refuse(packet, link, .portUnreachable)
        case packet.isV4 ? InternetProtocol.icmp : InternetProtocol.icmpV6:
            guard let message = ICMPMessage(packet.payload, isV4: packet.isV4), message.kind == .echoRequest else {
                return .none
            }
            return answer(
                PacketBuilder(in: space, from: packet.destination, to: packet.source).echo(
                    .reply, identifier: message.identifier, sequence: message.sequence,
                    payload: UnsafeRawBufferPointer(message.payload)))
        default:
            return .none
        }
    }

    // MARK: Answers

    func answer(_ packet: UnsafeRawBufferPointer?) -> TunnelEffect { packet.map { .answer($0) } ?? .none }

    /// The answer that speaks of `packet`, from the virtual peer as the router it is.
    func refuse(_ packet: InternetPacket, _ link: TunnelLink, _ error: ICMPError) -> TunnelEffect {
        // No error is ever sent about an error (RFC 1122 §3.2.2, RFC 4443 §2.4).
        if packet.transport == InternetProtocol.icmp || packet.transport == InternetProtocol.icmpV6 {
            guard let message = ICMPMessage(packet.payload, isV4: packet.isV4), message.kind == .echoRequest else {
                return .none
            }
        }
        return answer(
            PacketBuilder(in: space, from: link.peer, to: packet.source).error(
                error, quoting: UnsafeRawBufferPointer(packet.bytes)))
    }

    /// RST for a segment that belongs to no connection (RFC 9293 §3.10.7.1).
    func reset(_ segment: TCPSegment, of packet: InternetPacket) -> TunnelEffect {
        let flags = segment.flags
        guard !flags.contains(.rst) else { return .none }
        let isAcknowledging = flags.contains(.ack)
        return answer(
            PacketBuilder(in: space, from: packet.destination, to: packet.source).tcp(
                from: segment.destinationPort, to: segment.sourcePort,
                sequence: isAcknowledging ? segment.acknowledgment : 0,
                acknowledgment: isAcknowledging ? 0 : segment.sequence &+ segment.sequenceLength,
                flags: isAcknowledging ? .rst : [.rst, .ack], window: 0))
    }

    // MARK: Time

    /// When `expire` has something to do; `nil` while nothing waits.
    package var nextDeadline: UInt64? {
        var next: UInt64?
        func consider(_ time: UInt64?, _ limit: UInt64) {
            guard let time else { return }
            next = min(next ?? .max, time &+ limit)
        }
        for list in TCPFlowTable.List.allCases {
            consider(tcp.ages.oldest(in: list.rawValue)?.time, Self.limit(of: list))
        }
        for list in DatagramFlowTable.List.allCases {
            consider(datagrams.ages.oldest(in: list.rawValue)?.time, list.idleLimit)
        }
        return next
    }

    static func limit(of list: TCPFlowTable.List) -> UInt64 {
        switch list {
        case .opening: openingLimit
        case .released: releasedLimit
        case .over: overLimit
        }
    }

    /// Gives up what has waited for too long.
    package mutating func expire(now: UInt64) {
        for list in TCPFlowTable.List.allCases {
            while let oldest = tcp.ages.oldest(in: list.rawValue), oldest.time &+ Self.limit(of: list) <= now {
                if list == .opening { requests.append(.abandon(tcp[oldest.slot].id)) }
                tcp.remove(oldest.slot)
            }
        }
        for list in DatagramFlowTable.List.allCases {
            while let oldest = datagrams.ages.oldest(in: list.rawValue), oldest.time &+ list.idleLimit <= now {
                requests.append(.close(datagrams[oldest.slot].id))
                datagrams.remove(oldest.slot)
            }
        }
    }
}
