/// The UDP flows and echoes of a tunnel, found by the app's ends and by number. When it is full, the flow that was
/// silent for longest makes room.
struct DatagramFlowTable {
    struct Flow {
        var key: FlowKey
        var id: DatagramFlowID
        /// Of the last echo request: what an error is about.
        var sequence: UInt16 = 0
    }

    /// What a busy resolver and a few browsers have open together, many times over.
    static let maximumFlows = 4096
    private static let slotBits: UInt32 = 12

    /// Kinds of flow, each with its own patience.
    enum List: Int, CaseIterable {
        case udp
        /// One question and one answer.
        case dns
        case echo

        var idleLimit: UInt64 {
            switch self {
            // Twice what NAT devices of the field give at least (RFC 4787 §4.3 wants two minutes, most take 30 s).
            case .udp: 60_000_000_000
            case .dns: 10_000_000_000
            // `ping` asks every second; an answer that takes longer is waited for by few.
            case .echo: 30_000_000_000
            }
        }
    }

    private static let dnsPort: UInt16 = 53

    private var flows: ContiguousArray<Flow> = []
    private var freeSlots: ContiguousArray<Int> = []
    private var slotOfKey: [FlowKey: Int] = [:]
    private var isUsed: ContiguousArray<Bool> = []
    private(set) var ages = AgeLists(count: List.allCases.count)
    private var nextSerial: UInt32 = 1

    var count: Int { slotOfKey.count }

    func slot(of key: FlowKey) -> Int? { slotOfKey[key] }

    func slot(of id: DatagramFlowID) -> Int? {
        let slot = Int(id.rawValue & (1 << Self.slotBits - 1))
        guard slot < flows.count, isUsed[slot], flows[slot].id == id else { return nil }
        return slot
    }

    subscript(slot: Int) -> Flow {
        _read { yield flows[slot] }
        _modify { yield &flows[slot] }
    }

    /// `givenUp` is the flow that had to make room.
    mutating func insert(_ key: FlowKey, now: UInt64) -> (slot: Int, givenUp: DatagramFlowID?) {
        var givenUp: DatagramFlowID?
        if count >= Self.maximumFlows, let oldest = oldest {
            givenUp = flows[oldest].id
            remove(oldest)
        }
        let slot = freeSlots.popLast() ?? flows.count
        let id = DatagramFlowID(rawValue: nextSerial << Self.slotBits | UInt32(truncatingIfNeeded: slot))
        nextSerial &+= 1
        if slot == flows.count {
            flows.append(Flow(key: key, id: id))
            isUsed.append(true)
        } else {
            flows[slot] = Flow(key: key, id: id)
            isUsed[slot] = true
        }
        slotOfKey[key] = slot
        touch(slot, now: now)
        return (slot, givenUp)
    }

    private var oldest: Int? {
        List.allCases.compactMap { ages.oldest(in: $0.rawValue) }.min { $0.time < $1.time }?.slot
    }

    mutating func remove(_ slot: Int) {
        ages.remove(slot)
        slotOfKey[flows[slot].key] = nil
        isUsed[slot] = false
        freeSlots.append(slot)
    }

    mutating func touch(_ slot: Int, now: UInt64) {
        let list: List =
            if flows[slot].key.transport != InternetProtocol.udp {
                .echo
            } else {
                flows[slot].key.destinationPort == Self.dnsPort ? .dns : .udp
            }
        ages.touch(slot, in: list.rawValue, now: now)
    }
}
