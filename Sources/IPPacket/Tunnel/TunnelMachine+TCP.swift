extension TunnelMachine {
    // MARK: From the app

    mutating func receive(
        _ segment: TCPSegment, of packet: InternetPacket, _ link: TunnelLink, isPartial: Bool, now: UInt64
    ) -> TunnelEffect {
        let key = FlowKey(
            transport: InternetProtocol.tcp, source: packet.source, destination: packet.destination,
            sourcePort: segment.sourcePort, destinationPort: segment.destinationPort)
        let flags = segment.flags
        let isSYN = flags.intersection([.syn, .ack, .rst, .fin]) == .syn
        guard let slot = tcp.slot(of: key) else {
            return isSYN ? dial(segment, key, link) : reset(segment, of: packet)
        }
        switch tcp[slot].state {
        case .dialing:
            // Sent again, or by another connection from the same port: the destination is the same.
            guard isSYN else { return .none }
            tcp[slot].syn = HeldSYN(segment)
            return .held
        case .opening:
            if flags.contains(.rst) {
                requests.append(.abandon(tcp[slot].id))
                tcp.enter(.over, slot, now: now)
            } else if flags.contains(.ack) {
                tcp.enter(.open, slot, now: now)
            }
        case .over where isSYN:
            tcp.remove(slot)
            return dial(segment, key, link)
        case .open, .over:
            break
        }
        if flags.contains(.fin) { tcp[slot].appEnded = true }
        follow(slot, flags, now: now)
        tcp[slot].toListener.rewrite(packet, segment, isPartial: isPartial)
        return .toListener
    }

    private mutating func dial(_ segment: TCPSegment, _ key: FlowKey, _ link: TunnelLink) -> TunnelEffect {
        guard key.sourcePort != 0, key.destinationPort != 0 else { return .none }
        // Without room the SYN is as good as lost, and will come again.
        guard let id = tcp.insert(key, link: link, syn: HeldSYN(segment)) else { return .none }
        requests.append(
            .dial(id, to: key.destination, port: key.destinationPort, from: key.source, fromPort: key.sourcePort))
        return .held
    }

    // MARK: From the listener

    mutating func receiveFromListener(
        _ segment: TCPSegment, of packet: InternetPacket, isPartial: Bool, now: UInt64
    ) -> TunnelEffect {
        guard let slot = tcp.slot(of: segment.destinationPort), tcp[slot].state != .dialing,
            tcp[slot].link.address == packet.source
        else { return reset(segment, of: packet) }
        if segment.flags.contains(.fin) { tcp[slot].listenerEnded = true }
        follow(slot, segment.flags, now: now)
        tcp[slot].toApp.rewrite(packet, segment, isPartial: isPartial)
        return .toApp
    }

    /// Notes what a segment of either side means for the flow's time to live.
    private mutating func follow(_ slot: Int, _ flags: TCPFlags, now: UInt64) {
        let isOver = flags.contains(.rst) || tcp[slot].appEnded && tcp[slot].listenerEnded
        if isOver, tcp[slot].state != .over {
            if tcp[slot].state == .opening { requests.append(.abandon(tcp[slot].id)) }
            tcp.enter(.over, slot, now: now)
        } else if tcp[slot].state == .over || tcp[slot].isReleased {
            tcp.touch(slot, now: now)
        }
    }

    // MARK: From the other side

    /// The answer to `TunnelRequest.dial`: the packet that the kernel gets.
    package mutating func dialed(_ id: TCPFlowID, _ outcome: DialOutcome, now: UInt64) -> TunnelEffect {
        guard let slot = tcp.slot(of: id), tcp[slot].state == .dialing else {
            if outcome == .connected { requests.append(.abandon(id)) }
            return .none
        }
        let key = tcp[slot].key
        let link = tcp[slot].link
        let syn = tcp[slot].syn
        switch outcome {
        case .connected:
            tcp.enter(.opening, slot, now: now)
            return answer(syn.write(in: space, from: (link.peer, id.port), to: (link.address, link.listenerPort)))
        case .refused:
            tcp.remove(slot)
            return answer(
                PacketBuilder(in: space, from: key.destination, to: key.source).tcp(
                    from: key.destinationPort, to: key.sourcePort, sequence: 0,
                    acknowledgment: syn.sequence &+ 1, flags: [.rst, .ack], window: 0))
        case .failed(let error):
            tcp.remove(slot)
            guard
                let original = syn.write(
                    in: scratch, from: (key.source, key.sourcePort), to: (key.destination, key.destinationPort))
            else { return .none }
            return answer(
                PacketBuilder(in: space, from: link.peer, to: key.source).error(error, quoting: original))
        case .timedOut:
            // The next SYN of the app dials again.
            tcp.remove(slot)
            return .none
        }
    }

    /// The accepted socket has been closed: what is left is the kernel's.
    package mutating func released(_ id: TCPFlowID, now: UInt64) {
        guard let slot = tcp.slot(of: id) else { return }
        tcp[slot].isReleased = true
        // Its handshake is over, whether this machine has seen the end of it or not.
        if tcp[slot].state == .opening { tcp.enter(.open, slot, now: now) } else { tcp.touch(slot, now: now) }
    }
}
