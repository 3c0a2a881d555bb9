extension TunnelMachine {
    // MARK: From the app

    mutating func receive(_ datagram: UDPDatagram, of packet: InternetPacket, now: UInt64) -> TunnelEffect {
        let key = FlowKey(
            transport: InternetProtocol.udp, source: packet.source, destination: packet.destination,
            sourcePort: datagram.sourcePort, destinationPort: datagram.destinationPort)
        // A datagram from port 0 asks for no answer, and none could be sent.
        guard key.sourcePort != 0, key.destinationPort != 0 else { return .none }
        if let slot = datagrams.slot(of: key) {
            datagrams.touch(slot, now: now)
            return .datagram(datagrams[slot].id, datagram.payload)
        }
        let slot = insert(key, now: now)
        let id = datagrams[slot].id
        requests.append(.open(id, to: key.destination, port: key.destinationPort))
        return .datagram(id, datagram.payload)
    }

    mutating func receive(_ message: ICMPMessage, of packet: InternetPacket, now: UInt64) -> TunnelEffect {
        switch message.kind {
        case .echoRequest:
            let key = FlowKey(
                transport: packet.transport, source: packet.source, destination: packet.destination,
                sourcePort: message.identifier, destinationPort: 0)
            let slot: Int
            if let known = datagrams.slot(of: key) {
                slot = known
                datagrams.touch(slot, now: now)
            } else {
                slot = insert(key, now: now)
            }
            datagrams[slot].sequence = message.sequence
            return .echo(
                datagrams[slot].id, packet.destination, identifier: message.identifier, sequence: message.sequence,
                UnsafeRawBufferPointer(message.payload))
        case .unreachable:
            closeQuoted(message, of: packet)
            return .none
        case .echoReply, .other:
            return .none
        }
    }

    /// The app has closed its socket: its kernel complains about what still comes.
    private mutating func closeQuoted(_ message: ICMPMessage, of packet: InternetPacket) {
        // Of the packet we sent, at least the header and eight bytes; its length speaks of all of it.
        let quoted = UnsafeRawBufferPointer(message.payload)
        let isV4 = packet.isV4
        let headerLength = isV4 ? InternetPacket.v4HeaderLength : InternetPacket.v6HeaderLength
        guard quoted.count >= headerLength + UDPDatagram.headerLength, quoted[0] == 0x45 || quoted[0] >> 4 == 6,
            quoted[0] >> 4 == (isV4 ? 4 : 6), quoted[isV4 ? 9 : 6] == InternetProtocol.udp
        else { return }
        let key = FlowKey(
            transport: InternetProtocol.udp, source: quoted.address(at: isV4 ? 16 : 24, isV4: isV4),
            destination: quoted.address(at: isV4 ? 12 : 8, isV4: isV4), sourcePort: quoted.word(at: headerLength + 2),
            destinationPort: quoted.word(at: headerLength))
        // Only the app itself may say so.
        guard key.source == packet.source, let slot = datagrams.slot(of: key) else { return }
        requests.append(.close(datagrams[slot].id))
        datagrams.remove(slot)
    }

    private mutating func insert(_ key: FlowKey, now: UInt64) -> Int {
        let (slot, givenUp) = datagrams.insert(key, now: now)
        if let givenUp { requests.append(.close(givenUp)) }
        return slot
    }

    // MARK: From the other side

    /// A datagram came on a flow.
    package mutating func received(
        _ payload: UnsafeRawBufferPointer, on id: DatagramFlowID, now: UInt64
    ) -> TunnelEffect {
        guard let slot = datagrams.slot(of: id), datagrams[slot].key.transport == InternetProtocol.udp else {
            return .none
        }
        datagrams.touch(slot, now: now)
        let key = datagrams[slot].key
        return answer(
            PacketBuilder(in: space, from: key.destination, to: key.source).udp(
                from: key.destinationPort, to: key.sourcePort, payload: payload))
    }

    /// An echo came back.
    package mutating func echoed(
        _ payload: UnsafeRawBufferPointer, identifier: UInt16, sequence: UInt16, on id: DatagramFlowID, now: UInt64
    ) -> TunnelEffect {
        guard let slot = datagrams.slot(of: id), datagrams[slot].key.transport != InternetProtocol.udp,
            datagrams[slot].key.sourcePort == identifier
        else { return .none }
        datagrams.touch(slot, now: now)
        let key = datagrams[slot].key
        return answer(
            PacketBuilder(in: space, from: key.destination, to: key.source).echo(
                .reply, identifier: identifier, sequence: sequence, payload: payload))
    }

    /// The flow's last datagram, or echo, did not arrive. A UDP flow is over: its next datagram opens a new one.
    package mutating func failed(_ id: DatagramFlowID, _ error: ICMPError, now: UInt64) -> TunnelEffect {
        guard let slot = datagrams.slot(of: id) else { return .none }
        let flow = datagrams[slot]
        let key = flow.key
        guard let link = key.source.isV4 ? v4 : v6 else { return .none }
        let original = PacketBuilder(in: scratch, from: key.source, to: key.destination)
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        let quoted: UnsafeRawBufferPointer?
        if key.transport == InternetProtocol.udp {
            quoted = original.udp(from: key.sourcePort, to: key.destinationPort, payload: nothing)
            requests.append(.close(id))
            datagrams.remove(slot)
        } else {
            quoted = original.echo(.request, identifier: key.sourcePort, sequence: flow.sequence, payload: nothing)
        }
        guard let quoted else { return .none }
        // A closed port is reported by its host, everything else by the router.
        let reporter = error == .portUnreachable ? key.destination : link.peer
        return answer(PacketBuilder(in: space, from: reporter, to: key.source).error(error, quoting: quoted))
    }

    /// The other side has ended a flow; the app's next datagram opens a new one.
    package mutating func closed(_ id: DatagramFlowID) {
        guard let slot = datagrams.slot(of: id) else { return }
        requests.append(.close(id))
        datagrams.remove(slot)
    }
}
