/// The TCP flows of a tunnel, found by the app's ends and by the virtual port.
struct TCPFlowTable {
    /// Sixteen times the open files that a process may have by default; an entry takes some 400 bytes.
    static let maximumFlows = 16_384
    /// As many as may wait in the pool for their channel.
    static let maximumDialing = 4096
    /// The ports below are left to services, where a log that shows them is easy to misread.
    static let ports: ClosedRange<UInt16> = 1024...65_535

    /// Who waits for what.
    enum List: Int, CaseIterable {
        /// The handshake with the listener is under way.
        case opening
        /// Only the kernel still has something to deliver.
        case released
        case over
    }

    private static let none = UInt16.max

    /// What a free slot holds is of no meaning.
    private var flows: ContiguousArray<TCPFlow> = []
    private var freeSlots: ContiguousArray<Int> = []
    private var slotOfKey: [FlowKey: Int] = [:]
    /// By port. A slot's number is below `none`.
    private var slotOfPort = ContiguousArray(repeating: TCPFlowTable.none, count: 65_536)
    private(set) var ages = AgeLists(count: List.allCases.count)
    private var nextPort = TCPFlowTable.ports.lowerBound
    private var nextSerial: UInt32 = 1
    private(set) var count = 0
    private(set) var dialing = 0

    func slot(of key: FlowKey) -> Int? { slotOfKey[key] }

    func slot(of port: UInt16) -> Int? {
        let slot = slotOfPort[Int(port)]
        return slot == Self.none ? nil : Int(slot)
    }

    /// `nil` for one that is no more.
    func slot(of id: TCPFlowID) -> Int? {
        guard let slot = slot(of: id.port), flows[slot].id == id else { return nil }
        return slot
    }

    /// A flow that is there: who asks has its slot from one of the calls above.
    subscript(slot: Int) -> TCPFlow {
        _read { yield flows[slot] }
        _modify { yield &flows[slot] }
    }

    /// A new flow in state `dialing`; `nil` when there is no room, also after giving up what is over.
    mutating func insert(_ key: FlowKey, link: TunnelLink, syn: HeldSYN) -> TCPFlowID? {
        guard dialing < Self.maximumDialing else { return nil }
        if count >= Self.maximumFlows {
            guard let oldest = ages.oldest(in: List.over.rawValue) else { return nil }
            remove(oldest.slot)
        }
        // The ports go round, so that each rests as long as can be: its last connection may be in TIME_WAIT. There are
        // more ports than flows, so one is free.
        while slotOfPort[Int(nextPort)] != Self.none { advancePort() }
        let id = TCPFlowID(port: nextPort, serial: nextSerial)
        advancePort()
        nextSerial &+= 1
        let flow = TCPFlow(key: key, id: id, link: link, syn: syn)
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            flows[slot] = flow
        } else {
            slot = flows.count
            flows.append(flow)
        }
        slotOfKey[key] = slot
        slotOfPort[Int(id.port)] = UInt16(truncatingIfNeeded: slot)
        count += 1
        dialing += 1
        return id
    }

    private mutating func advancePort() {
        nextPort = nextPort == Self.ports.upperBound ? Self.ports.lowerBound : nextPort + 1
    }

    mutating func remove(_ slot: Int) {
        if flows[slot].state == .dialing { dialing -= 1 }
        ages.remove(slot)
        slotOfKey[flows[slot].key] = nil
        slotOfPort[Int(flows[slot].id.port)] = Self.none
        freeSlots.append(slot)
        count -= 1
    }

    mutating func enter(_ state: TCPFlow.State, _ slot: Int, now: UInt64) {
        if flows[slot].state == .dialing, state != .dialing { dialing -= 1 }
        flows[slot].state = state
        touch(slot, now: now)
    }

    /// Something was heard of the flow.
    mutating func touch(_ slot: Int, now: UInt64) {
        switch flows[slot].state {
        case .dialing: break
        case .opening:
            // Its time is from the beginning.
            if ages.list(of: slot) == nil { ages.touch(slot, in: List.opening.rawValue, now: now) }
        case .open:
            if flows[slot].isReleased {
                ages.touch(slot, in: List.released.rawValue, now: now)
            } else {
                ages.remove(slot)
            }
        case .over: ages.touch(slot, in: List.over.rawValue, now: now)
        }
    }
}
