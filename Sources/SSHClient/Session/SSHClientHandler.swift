import Glibc
import NIOCore
import SSHProtocol

/// One session: an `SSHEngine` on a socket, and the flows it carries. All of it belongs to one event loop.
///
/// States: starting → ready → closed. In a turn the bytes that came are handed to the engine, then every flow is read and
/// written a bounded amount, then what it wrote is flushed once. Reading the socket never stops, since the engine and
/// the manager would otherwise wait for each other; memory is bounded by the channels' windows.
final class SSHClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum State { case starting, ready, closed }

    /// What is decrypted before the flows are read: three full packets, so that they are still in cache then.
    static let driveSize = 3 * 33_000
    /// What one flow is given in one go, so that none starves the others.
    static let readSize = 131_072
    static let readsPerTurn = 2
    /// Output held back before the apps are no longer read: some turns of the loop at full speed.
    /// What fits in one batch without growing.
    static let outboundCapacity = 512 << 10
    static let highWater = 1 << 20
    static let lowWater = 256 << 10

    let engine: any SSHEngine
    let eventLoop: any EventLoop
    private(set) var state = State.starting
    private(set) var context: ChannelHandlerContext?
    private var onReady: ((Result<Void, SSHClientError>) -> Void)?
    private var onClosed: ((SSHClientError) -> Void)?
    private(set) var closeReason: SSHClientError?

    private(set) var flows: ContiguousArray<Flow> = []
    private var firstFlow = 0
    private var outputWaiters: [Flow] = []
    private var windowWaiters: [Flow] = []
    private var eofWaiters: [Flow] = []
    private var widenings: [(Flow, UInt32)] = []
    private var closing: [EngineChannel] = []
    var operations = CircularBuffer<SessionOperation>()
    /// An operation is under way in the engine; the first of `operations`.
    var listeners: [ForwardListener] = []
    var dial: DialChannel?
    var onIdle: (() -> Void)?
    var idleChannel: EngineChannel?

    private var scratch = ByteBufferAllocator().buffer(capacity: SSHClientHandler.readSize)
    private var spare: ByteBuffer?
    private var inFlight: ByteBuffer?
    private var isPumping = false
    private var pumpsAgain = false
    private var isFlushing = false
    private var flushScheduled = false
    /// Made once: a closure for each flush would be an allocation for each packet; so would an optional one be.
    private struct FlushTask: Sendable {
        let body: @Sendable () -> Void
    }
    private var flushTask: FlushTask?
    private var pumpScheduled = false
    private(set) var roundTrip: TimeAmount = .zero
    private(set) var bytesReceived: UInt64 = 0
    private(set) var bytesSent: UInt64 = 0
    private var ticker: Scheduled<Void>?

    init(
        engine: any SSHEngine, eventLoop: any EventLoop, onReady: @escaping (Result<Void, SSHClientError>) -> Void,
        onClosed: @escaping (SSHClientError) -> Void
    ) {
        self.engine = engine
        self.eventLoop = eventLoop
        self.onReady = onReady
        self.onClosed = onClosed
        self.spare = ByteBufferAllocator().buffer(capacity: Self.outboundCapacity)
    }

    // MARK: Socket events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { pump() }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) { pump() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        bytesReceived &+= UInt64(bytes.readableBytes)
        if engine.inbound.readableBytes == 0 {
            engine.inbound = bytes
        } else {
            engine.inbound.writeBuffer(&bytes)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { pump() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, !isFlushing else { return }
        reclaim()
        flush()
        resumeOutputWaiters()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(SSHClientError(.connectionLost, "the connection broke: \(ConnectFailure.text(error))"))
    }

    func channelInactive(context: ChannelHandlerContext) {
        engine.reachedEOF = true
        pump()
        fail(engine.failure())
        context.fireChannelInactive()
    }

    // MARK: The turn

    /// Bounded turns keep other channels of the loop alive; the rest is done in the loop's next tick.
    private static let turnsPerPump = 8

    func pump() {
        guard state != .closed else { return }
        guard !isPumping else {
            pumpsAgain = true
            return
        }
        isPumping = true
        do throws(SSHClientError) {
            var turns = 0
            repeat {
                pumpsAgain = false
                turns += 1
                try turn()
            } while state != .closed && turns < Self.turnsPerPump && (pumpsAgain || hasInput)
        } catch {
            isPumping = false
            return fail(error)
        }
        isPumping = false
        flush()
        if hasInput || pumpsAgain { schedulePump() }
    }

    private var hasInput: Bool {
        state == .ready && (engine.drivesAlone || handle != nil) && engine.inbound.readableBytes > 0
    }

    /// Any channel, to drive libssh2 through.
    private var handle: EngineChannel? {
        dial?.channel ?? idleChannel ?? flows.first?.channel ?? closing.first
    }

    private func turn() throws(SSHClientError) {
        if state == .starting {
            guard case .done = try engine.start() else { return }
            state = .ready
            becameReady()
        }
        try engine.drive(Self.driveSize, through: handle)
        try stepOperations()
        engine.rest()
        try acceptChannels()
        try readDialChannel()
        try readFlows()
        try retry()
    }

    private func becameReady() {
        scheduleTick()
        measureRoundTrip()
        setUpDial()
    }

    /// Channels can be opened.
    func reportReady() {
        let onReady = onReady
        self.onReady = nil
        onReady?(.success(()))
    }

    /// How often keepalives are considered, and the path's round trip looked at.
    private static let tick = TimeAmount.seconds(2)

    private func scheduleTick() {
        ticker = eventLoop.assumeIsolated().scheduleTask(in: Self.tick) { [weak self] in
            guard let self, self.state == .ready else { return }
            self.engine.sendKeepalive()
            self.flush()
            self.measureRoundTrip()
            self.scheduleTick()
        }
    }

    private func measureRoundTrip() {
        guard let provider = context?.channel as? any SocketOptionProvider else { return }
        provider.getTCPInfo().assumeIsolated().whenSuccess { [weak self] information in
            self?.roundTrip = .microseconds(Int64(information.tcpi_rtt))
        }
    }

    /// What the kernel knows of the path.
    func path(completion: @escaping (PoolPath?) -> Void) {
        guard let channel = context?.channel, let provider = channel as? any SocketOptionProvider else {
            return completion(nil)
        }
        let (local, remote) = (channel.localAddress, channel.remoteAddress)
        provider.getTCPInfo().assumeIsolated().whenComplete { result in
            guard case .success(let information) = result else { return completion(nil) }
            completion(
                PoolPath(
                    localAddress: local, remoteAddress: remote,
                    roundTrip: .microseconds(Int64(information.tcpi_rtt)),
                    sinceAcknowledged: .milliseconds(Int64(information.tcpi_last_ack_recv)),
                    unacknowledged: Int(information.tcpi_unacked), isEstablished: information.tcpi_state == 1))
        }
    }

    private func schedulePump() {
        guard !pumpScheduled else { return }
        pumpScheduled = true
        eventLoop.assumeIsolated().execute { [weak self] in
            self?.pumpScheduled = false
            self?.pump()
        }
    }

    // MARK: From the manager to the apps

    private func readFlows() throws(SSHClientError) {
        guard !flows.isEmpty else { return }
        // Another flow is first each time. Flows end while this runs, so the count is looked at again.
        firstFlow = (firstFlow &+ 1) % flows.count
        var offset = 0
        while offset < flows.count {
            let flow = flows[(firstFlow + offset) % flows.count]
            try read(flow)
            offset += 1
        }
    }

    private func read(_ flow: Flow) throws(SSHClientError) {
        guard !flow.appIsFull else { return }
        if flow.managerEnded {
            if try engine.isClosed(flow.channel) { managerClosed(flow) }
            return
        }
        for _ in 0..<Self.readsPerTurn {
            scratch.clear()
            switch try engine.read(&flow.channel, into: &scratch, limit: Self.readSize) {
            case .nothing:
                return
            case .bytes(let count):
                flow.end.write(scratch)
                let widening = flow.meter.received(count, now: .now(), roundTrip: roundTrip)
                if widening > 0 { widenings.append((flow, UInt32(widening))) }
                if !flow.end.isWritable {
                    flow.appIsFull = true
                    return
                }
            case .endOfFile:
                flow.managerEnded = true
                if engine.wasAborted(flow.channel) {
                    abandon(flow)
                    flow.end.abort()
                    return
                }
                flow.end.endOutput()
                if try engine.isClosed(flow.channel) { return managerClosed(flow) }
                finishIfDone(flow)
                return
            }
        }
        pumpsAgain = true
    }

    /// The manager takes nothing more either: what the app still sends has nowhere to go, as the kernel will tell it.
    private func managerClosed(_ flow: Flow) {
        abandon(flow)
        flow.end.finish()
    }

    func appDrained(_ flow: Flow) {
        guard flow.appIsFull else { return }
        flow.appIsFull = false
        // Its data may be waiting in libssh2 with nothing else to wake the session.
        schedulePump()
    }

    // MARK: From the apps to the manager

    private var outputSize: Int { engine.unsentBytes + (inFlight?.readableBytes ?? 0) }

    func received(_ bytes: ByteBuffer, from flow: Flow) {
        flow.pending.append(bytes)
        attempt { () throws(SSHClientError) in try write(flow) }
    }

    func wantsMore(_ flow: Flow) -> Bool { flow.pending.isEmpty && !flow.appEnded }

    func appEnded(_ flow: Flow) {
        flow.appEnded = true
        attempt { () throws(SSHClientError) in try write(flow) }
    }

    /// The app's socket is gone, without the session having asked for it.
    func appClosed(_ flow: Flow) {
        flow.channel.isBroken = true
        abandon(flow)
    }

    private func write(_ flow: Flow) throws(SSHClientError) {
        while var bytes = flow.pending.first {
            if outputSize >= Self.highWater {
                if !flow.waitsForOutput {
                    flow.waitsForOutput = true
                    outputWaiters.append(flow)
                }
                return
            }
            let count = try engine.write(flow.channel, bytes)
            if count == 0 {
                if !flow.waitsForWindow {
                    flow.waitsForWindow = true
                    windowWaiters.append(flow)
                }
                return
            }
            scheduleFlush()
            flow.meter.moved(count, now: .now())
            bytes.moveReaderIndex(forwardBy: count)
            if bytes.readableBytes == 0 {
                flow.pending.removeFirst()
            } else {
                flow.pending[flow.pending.startIndex] = bytes
            }
        }
        guard flow.appEnded, !flow.sentEOF else { return }
        guard case .done = try engine.sendEOF(flow.channel) else {
            eofWaiters.append(flow)
            return
        }
        flow.sentEOF = true
        scheduleFlush()
        finishIfDone(flow)
    }

    /// What was held back by a closed window or a key exchange.
    private func retry() throws(SSHClientError) {
        if !windowWaiters.isEmpty {
            let waiters = windowWaiters
            windowWaiters.removeAll(keepingCapacity: true)
            for flow in waiters where flow.index >= 0 {
                flow.waitsForWindow = false
                try write(flow)
                if flow.pending.isEmpty, !flow.appEnded { flow.end.read() }
            }
        }
        if !eofWaiters.isEmpty {
            let waiters = eofWaiters
            eofWaiters.removeAll()
            for flow in waiters where flow.index >= 0 { try write(flow) }
        }
        if !widenings.isEmpty {
            let waiting = widenings
            widenings.removeAll(keepingCapacity: true)
            for (flow, count) in waiting where flow.index >= 0 {
                if try !engine.widen(flow.channel, by: count, to: UInt32(flow.meter.window)) {
                    widenings.append((flow, count))
                }
            }
        }
        var position = 0
        while position < closing.count {
            if closing[position].isBroken {
                if case .done = try engine.sayBroken(closing[position]) { closing[position].isBroken = false }
            }
            if !closing[position].isBroken, case .done = try engine.free(closing[position]) {
                closing.swapAt(position, closing.count - 1)
                closing.removeLast()
            } else {
                position += 1
            }
        }
    }

    private func resumeOutputWaiters() {
        guard !outputWaiters.isEmpty, outputSize <= Self.lowWater else { return }
        let waiters = outputWaiters
        outputWaiters.removeAll(keepingCapacity: true)
        for flow in waiters where flow.index >= 0 {
            flow.waitsForOutput = false
            attempt { () throws(SSHClientError) in try write(flow) }
            if state != .closed, flow.pending.isEmpty, !flow.appEnded { flow.end.read() }
        }
    }

    /// Runs `body` outside a turn; an error ends the session.
    func attempt(_ body: () throws(SSHClientError) -> Void) {
        guard state != .closed else { return }
        do throws(SSHClientError) {
            try body()
        } catch {
            fail(error)
        }
    }

    // MARK: Output

    func scheduleFlush() {
        guard !flushScheduled, !isPumping else { return }
        flushScheduled = true
        let task = flushTask ?? makeFlushTask()
        eventLoop.execute(task.body)
    }

    private func makeFlushTask() -> FlushTask {
        let handler = NIOLoopBound(WeakHandler(self), eventLoop: eventLoop)
        let task = FlushTask {
            guard let session = handler.value.session else { return }
            session.flushScheduled = false
            session.flush()
        }
        flushTask = task
        return task
    }

    func flush() {
        guard let context, inFlight == nil, !isFlushing else { return }
        isFlushing = true
        while inFlight == nil, engine.unsentBytes > 0 {
            var buffer = spare.take() ?? ByteBufferAllocator().buffer(capacity: Self.outboundCapacity)
            engine.exchangeOutput(for: &buffer)
            inFlight = consume buffer
            write(context)
            if context.channel.isWritable { reclaim() }
        }
        isFlushing = false
        if !outputWaiters.isEmpty, !isPumping { resumeOutputWaiters() }
    }

    /// Apart, so that nobody holds the buffer but `inFlight` and the socket: only then can it serve again.
    private func write(_ context: ChannelHandlerContext) {
        guard let buffer = inFlight else { return }
        bytesSent &+= UInt64(buffer.readableBytes)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    /// All that was handed to the socket is gone: its buffer serves again.
    private func reclaim() {
        guard var buffer = inFlight else { return }
        inFlight = nil
        buffer.clear()
        spare = buffer
    }

    // MARK: Flows

    /// Joins a channel to an app's socket; closes the channel when the socket is gone.
    func glue(_ channel: EngineChannel, to app: any Channel) {
        // The session may have ended while the app's socket was being connected.
        guard state == .ready else { return AbortiveClose.close(app) }
        let handler = GlueHandler(session: self)
        do {
            try app.syncOptions?.setOption(.writeBufferWaterMark, value: .init(low: 1, high: 1))
            try app.pipeline.syncOperations.addHandler(handler)
        } catch {
            return close(channel)
        }
        add(Flow(channel: channel, end: handler))
    }

    /// Joins a channel to what serves it here.
    func serve(_ channel: EngineChannel, by service: any ChannelService) {
        guard state == .ready else { return service.end() }
        add(Flow(channel: channel, end: ServedEnd(service, session: self)))
    }

    func load(at now: NIODeadline) -> PoolPlacement.Session {
        PoolPlacement.Session(
            canOpenAtOnce: canOpenAtOnce, bulkFlows: flows.count { $0.meter.isBulk(at: now) }, flows: flows.count)
    }

    func add(_ flow: Flow) {
        flow.index = flows.count
        flows.append(flow)
        flow.end.begin(flow)
        schedulePump()
    }

    private func finishIfDone(_ flow: Flow) {
        guard flow.sentEOF, flow.managerEnded, flow.index >= 0 else { return }
        abandon(flow)
        flow.end.finish()
    }

    /// Takes a flow out, and closes its channel.
    func abandon(_ flow: Flow) {
        guard flow.index >= 0 else { return }
        let last = flows.count - 1
        flows[last].index = flow.index
        flows.swapAt(flow.index, last)
        flows.removeLast()
        flow.index = -1
        flow.pending.removeAll()
        close(flow.channel)
    }

    /// Closes a channel; the manager's answer is awaited in later turns.
    func close(_ channel: EngineChannel, isBroken: Bool = false) {
        guard state != .closed else { return }
        closing.append(channel)
        if isBroken { closing[closing.count - 1].isBroken = true }
        schedulePump()
    }

    // MARK: Ending

    /// Says goodbye, and closes.
    func shutDown() {
        guard state != .closed else { return }
        if state == .ready { engine.disconnect() }
        flush()
        fail(SSHClientError(.cancelled, "the session was closed"))
    }

    func fail(_ error: SSHClientError) {
        guard state != .closed else { return }
        flush()
        state = .closed
        closeReason = error
        ticker?.cancel()
        ticker = nil
        let ended = flows
        flows = []
        for flow in ended {
            flow.index = -1
            flow.end.abort()
        }
        failOperations(error)
        onIdle = nil
        listeners = []
        closing = []
        context?.close(promise: nil)
        let onReady = onReady
        let onClosed = onClosed
        self.onReady = nil
        self.onClosed = nil
        if let onReady { onReady(.failure(error)) } else { onClosed?(error) }
    }
}
