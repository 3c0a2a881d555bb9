import NIOCore
import SSHProtocol

/// The flows of one datagram channel: frames, answers of the network and the time in; what is to be done, and frames, out.
///
/// States of a flow: *opening*, while what it asks for is looked up and its datagrams wait; *open*. It is over when the
/// client says so, when it was silent for too long, when another one takes its number or, among too many, its place,
/// and when it could not be opened.
struct DatagramMachine {
    /// What a flow is for.
    enum Target: Hashable {
        case udp(host: String, port: UInt16)
        case echo(host: String)
    }

    /// One life of a flow: its number may be used again.
    struct Handle: Hashable {
        var number: UInt32
        fileprivate var serial: UInt64
    }

    enum Effect: Equatable {
        /// Find out what this is, then say `opened` or `failed`.
        case open(Handle, Target)
        /// The flow's socket goes.
        case close(Handle)
        case send(Handle, ByteBuffer)
        case echo(Handle, sequence: UInt16, ByteBuffer)
    }

    /// What a flow that is being opened has to be sent. The sequence is that of an echo.
    struct Waiting: Equatable {
        var sequence: UInt16
        var bytes: ByteBuffer
    }

    /// Each holds a descriptor and a buffer of the kernel; a session has as many channels as `DatagramService` says,
    /// so that it may hold as many of both as its TCP connections may.
    static let maximumFlows = 1024
    /// RFC 768, over IPv4.
    static let maximumDatagram = 65_507
    /// What a resolver's or a ping's user sends before he gives up.
    static let maximumWaiting = 16
    /// Datagrams of one flow that wait for the client: beyond, the oldest is of least use (as a socket's receive buffer,
    /// net.core's rmem_default of 208 KiB).
    static let maximumQueued = 64
    static let maximumQueuedBytes = 212_992
    /// All that a channel keeps, both ways: thousands of flows are not to cost what one session may (`memoryPerSession`).
    static let maximumBytes = 4 << 20
    /// Errors, ends and echoes while the client does not read; more would be of no use to it.
    static let maximumHeldOutput = 64 << 10
    /// Frames that go out at once: as much as the channel takes before it says that it is full.
    static let outputSize = 128 << 10

    /// Half of what RFC 4787 §4.3 wants and twice what most NAT devices give: the client's tunnel is as patient.
    static let idleTime = TimeAmount.seconds(60)
    /// One question, one answer.
    static let dnsIdleTime = TimeAmount.seconds(10)
    private static let dnsPort = 53 as UInt16

    private struct Flow {
        var serial: UInt64
        var idleTime: TimeAmount
        var lastActivity: NIODeadline
        /// Of an echo: whom it is sent to, and how the client tells its answers apart.
        var echoHost: String?
        var identifier = 0 as UInt16
        var isOpen = false
        /// Until it is open.
        var waiting = CircularBuffer<Waiting>(initialCapacity: 1)
        /// For the client.
        var queue = CircularBuffer<ByteBuffer>(initialCapacity: 1)
        var queuedBytes = 0

        /// Of two in the same moment, the older one's is less.
        var age: (NIODeadline, UInt64) { (lastActivity, serial) }
    }

    /// The client does not read: its datagrams wait.
    var isBlocked = false
    /// What happened since it was set back.
    var figures = DatagramFigures()

    private var flows: [UInt32: Flow] = [:]
    private var nextSerial = 1 as UInt64
    private var received = ByteBuffer()
    /// Frames for the client.
    private var output = ByteBuffer()
    /// Flows with a queue, in the order in which they are served.
    private var queued = CircularBuffer<UInt32>()
    private var keptBytes = 0
    private var effects = CircularBuffer<Effect>(initialCapacity: 2)

    var count: Int { flows.count }

    // MARK: From the client

    mutating func receive(_ bytes: ByteBuffer) {
        received.writeImmutableBuffer(bytes)
    }

    /// What the client wants next; `nil` when that has not arrived yet.
    mutating func next(now: NIODeadline) throws(Disconnect) -> Effect? {
        while true {
            if let effect = effects.popFirst() { return effect }
            guard let frame = try DatagramFrame.read(from: &received, sentBy: .client) else {
                received.discardReadBytes()
                return nil
            }
            if let effect = handle(frame, now: now) { return effect }
        }
    }

    private mutating func handle(_ frame: DatagramFrame, now: NIODeadline) -> Effect? {
        switch frame {
        case .open(let number, let host, let port):
            guard let port = UInt16(exactly: port), port > 0 else {
                end(number)
                write(.error(number, .portUnreachable, "port \(port) is not between 1 and 65535"))
                return nil
            }
            let idleTime = port == Self.dnsPort ? Self.dnsIdleTime : Self.idleTime
            let handle = begin(number, idleTime: idleTime, now: now)
            effects.append(.open(handle, .udp(host: host, port: port)))
            return nil
        case .data(let number, let bytes):
            guard let flow = flows[number], flow.echoHost == nil else {
                // The client has not heard yet that it is over.
                write(.close(flow: number))
                return nil
            }
            return send(Waiting(sequence: 0, bytes: bytes), on: number, now: now)
        case .echo(let number, let host, let identifier, let sequence, let payload):
            if flows[number]?.echoHost != host {
                let handle = begin(number, idleTime: Self.idleTime, now: now)
                flows[number]?.echoHost = host
                effects.append(.open(handle, .echo(host: host)))
            }
            flows[number]?.identifier = identifier
            if let effect = send(Waiting(sequence: sequence, bytes: payload), on: number, now: now) {
                effects.append(effect)
            }
            return nil
        case .close(let number):
            end(number)
            return nil
        case .error, .echoReply:
            // A client does not send them: `DatagramFrame` has refused them.
            return nil
        }
    }

    private mutating func send(_ datagram: Waiting, on number: UInt32, now: NIODeadline) -> Effect? {
        guard let index = flows.index(forKey: number) else { return nil }
        flows.values[index].lastActivity = now
        guard datagram.bytes.readableBytes <= Self.maximumDatagram else {
            figures.dropped += 1
            return nil
        }
        let handle = Handle(number: number, serial: flows.values[index].serial)
        if flows.values[index].isOpen {
            figures.sent(datagram.bytes.readableBytes)
            return flows.values[index].echoHost == nil
                ? .send(handle, datagram.bytes) : .echo(handle, sequence: datagram.sequence, datagram.bytes)
        }
        while flows.values[index].waiting.count >= Self.maximumWaiting, dropWaiting(at: index) {}
        guard keptBytes + datagram.bytes.readableBytes <= Self.maximumBytes else {
            figures.dropped += 1
            return nil
        }
        keptBytes += datagram.bytes.readableBytes
        // A copy: the slice would keep all that came with it.
        flows.values[index].waiting.append(
            Waiting(sequence: datagram.sequence, bytes: ByteBuffer(bytes: datagram.bytes.readableBytesView)))
        return nil
    }

    private mutating func dropWaiting(at index: Dictionary<UInt32, Flow>.Index) -> Bool {
        guard let oldest = flows.values[index].waiting.popFirst() else { return false }
        keptBytes -= oldest.bytes.readableBytes
        figures.dropped += 1
        return true
    }

    // MARK: Flows

    /// A new flow, in the place of one with its number, or of the one that was silent for longest.
    private mutating func begin(_ number: UInt32, idleTime: TimeAmount, now: NIODeadline) -> Handle {
        end(number)
        if flows.count >= Self.maximumFlows,
            let oldest = flows.min(by: { $0.value.age < $1.value.age })?.key
        {
            end(oldest)
            figures.evicted += 1
            write(.close(flow: oldest))
        }
        let serial = nextSerial
        nextSerial += 1
        flows[number] = Flow(serial: serial, idleTime: idleTime, lastActivity: now)
        figures.opened += 1
        return Handle(number: number, serial: serial)
    }

    private mutating func end(_ number: UInt32) {
        guard let flow = flows.removeValue(forKey: number) else { return }
        // While nobody reads, numbers that are used again and again would fill it.
        if !flow.queue.isEmpty { queued.removeAll { $0 == number } }
        keptBytes -= flow.queuedBytes + flow.waiting.reduce(0) { $0 + $1.bytes.readableBytes }
        figures.closed += 1
        effects.append(.close(Handle(number: number, serial: flow.serial)))
    }

    /// The client is gone.
    mutating func endAll() {
        for number in Array(flows.keys) { end(number) }
        effects.removeAll()
    }

    mutating func takeFigures() -> DatagramFigures {
        defer { figures = DatagramFigures() }
        return figures
    }

    /// Whether what a flow asks for is still wanted.
    func isOpening(_ handle: Handle) -> Bool { flows[handle.number]?.serial == handle.serial }

    private func isCurrent(_ handle: Handle) -> Bool { flows[handle.number]?.serial == handle.serial }

    /// What was asked for is there. Returns what waits to be sent; `nil` when the flow is over meanwhile.
    mutating func opened(_ handle: Handle) -> CircularBuffer<Waiting>? {
        guard isCurrent(handle), let index = flows.index(forKey: handle.number) else { return nil }
        flows.values[index].isOpen = true
        let waiting = flows.values[index].waiting
        flows.values[index].waiting = CircularBuffer(initialCapacity: 1)
        for datagram in waiting {
            keptBytes -= datagram.bytes.readableBytes
            figures.sent(datagram.bytes.readableBytes)
        }
        return waiting
    }

    /// The flow cannot be opened, or cannot go on.
    mutating func failed(_ handle: Handle, _ reason: DatagramFrame.Reason, _ text: String) {
        guard isCurrent(handle) else { return }
        end(handle.number)
        write(.error(handle.number, reason, text))
    }

    /// The last datagram did not arrive; the next one may.
    mutating func failedOnce(_ handle: Handle, _ reason: DatagramFrame.Reason, _ text: String) {
        guard isCurrent(handle) else { return }
        write(.error(handle.number, reason, text))
    }

    // MARK: From the network

    mutating func received(_ bytes: ByteBuffer, on handle: Handle, now: NIODeadline) {
        guard isCurrent(handle), let index = flows.index(forKey: handle.number) else { return }
        flows.values[index].lastActivity = now
        guard isBlocked || !flows.values[index].queue.isEmpty else { return writeData(bytes, on: handle.number) }
        if flows.values[index].queue.isEmpty { queued.append(handle.number) }
        while !flows.values[index].queue.isEmpty,
            flows.values[index].queue.count >= Self.maximumQueued
                || flows.values[index].queuedBytes + bytes.readableBytes > Self.maximumQueuedBytes
        {
            forget(flows.values[index].queue.removeFirst(), at: index)
            figures.dropped += 1
        }
        guard keptBytes + bytes.readableBytes <= Self.maximumBytes else {
            figures.dropped += 1
            return
        }
        // A copy: the buffer has room for the largest datagram there is.
        flows.values[index].queue.append(ByteBuffer(bytes: bytes.readableBytesView))
        flows.values[index].queuedBytes += bytes.readableBytes
        keptBytes += bytes.readableBytes
    }

    mutating func echoed(sequence: UInt16, _ payload: ByteBuffer, on handle: Handle, now: NIODeadline) {
        guard isCurrent(handle), let index = flows.index(forKey: handle.number) else { return }
        flows.values[index].lastActivity = now
        // What waits for long tells nothing of the way.
        guard !isBlocked || output.readableBytes < Self.maximumHeldOutput else {
            figures.dropped += 1
            return
        }
        figures.received(payload.readableBytes)
        DatagramFrame.echoReply(
            flow: handle.number, identifier: flows.values[index].identifier, sequence: sequence, payload: payload
        ).write(into: &output)
    }

    private mutating func forget(_ bytes: ByteBuffer, at index: Dictionary<UInt32, Flow>.Index) {
        flows.values[index].queuedBytes -= bytes.readableBytes
        keptBytes -= bytes.readableBytes
    }

    // MARK: To the client

    private mutating func writeData(_ bytes: ByteBuffer, on number: UInt32) {
        figures.received(bytes.readableBytes)
        DatagramFrame.data(flow: number, bytes).write(into: &output)
    }

    /// Errors and ends can be lost: a client that goes on with a flow that is over is told again.
    private mutating func write(_ frame: DatagramFrame) {
        guard output.readableBytes < Self.maximumHeldOutput || !isBlocked else { return }
        frame.write(into: &output)
    }

    /// So much is to be said that it should be taken at once.
    var isOutputFull: Bool { output.readableBytes >= Self.outputSize }

    /// Frames for the client, if it reads; what has waited goes first, one datagram of each flow in turn.
    mutating func takeOutput() -> ByteBuffer? {
        guard !isBlocked else { return nil }
        while output.readableBytes < Self.outputSize, let number = queued.popFirst() {
            guard let index = flows.index(forKey: number), let bytes = flows.values[index].queue.popFirst() else {
                continue
            }
            forget(bytes, at: index)
            writeData(bytes, on: number)
            if !flows.values[index].queue.isEmpty { queued.append(number) }
        }
        guard output.readableBytes > 0 else { return nil }
        defer { output = ByteBuffer() }
        return output
    }

    // MARK: Time

    /// When to look again for flows that were silent for too long; `nil` when there are none.
    func nextCheck(now: NIODeadline) -> NIODeadline? {
        guard let due = flows.values.lazy.map({ $0.lastActivity + $0.idleTime }).min() else { return nil }
        // Less patient ones may come meanwhile.
        return min(due, now + Self.dnsIdleTime)
    }

    mutating func expire(now: NIODeadline) {
        for (number, flow) in flows where flow.lastActivity + flow.idleTime <= now {
            end(number)
            write(.close(flow: number))
        }
    }

    /// The next effect of what was not said by the client.
    mutating func nextEffect() -> Effect? { effects.popFirst() }
}

extension DatagramFrame {
    fileprivate static func error(_ number: UInt32, _ reason: Reason, _ text: String) -> DatagramFrame {
        // It may quote a name that was as long as a frame may be.
        .error(flow: number, reason: reason.rawValue, text: text.shortened(to: 300))
    }
}
