import IPPacket
import Logging
import NIOCore
import SSHClient
import SSHProtocol

/// UDP and echoes of the cluster, over one channel of the session to the manager's datagram service. Confined to the
/// pool's event loop.
///
/// States: idle → opening → open → waiting → opening …, or closed. The channel is opened when there is something to send.
/// One that ended takes its flows at the manager with it; each is opened anew with its next datagram.
final class DatagramFlows {
    enum Event: Sendable {
        case datagram(DatagramFlowID, ByteBuffer)
        case echo(DatagramFlowID, identifier: UInt16, sequence: UInt16, ByteBuffer)
        case failed(DatagramFlowID, ICMPError)
        case closed(DatagramFlowID)
    }

    /// The manager's datagram service.
    static let service = ChannelTarget.tcp(host: "datagram.telepresence", port: 1)

    private enum State {
        case idle
        case opening
        case open(any Channel)
        /// The last attempt failed, or the channel ended.
        case waiting
        case closed
    }

    private struct Flow {
        var host: String
        var port: UInt16
        /// The manager knows it.
        var isOpen = false
        /// What the channel did not take.
        var queue = CircularBuffer<ByteBuffer>(initialCapacity: 1)
        var queuedBytes = 0
    }

    /// Datagrams of one flow that wait: beyond, the oldest is of least use (as a socket's receive buffer, net.core's
    /// rmem_default of 208 KiB).
    private static let maximumQueued = 64
    private static let maximumQueuedBytes = 212_992
    /// The same over all flows.
    private static let maximumBytes = 4 << 20

    private let pool: SSHClientPool
    private let target: ChannelTarget
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let onEvent: (Event) -> Void
    private var state = State.idle
    private var backoff = Backoff()
    private var retry: Scheduled<Void>?
    private var flows: [DatagramFlowID: Flow] = [:]
    /// Flows with a queue, in the order in which they are served.
    private var queued = CircularBuffer<DatagramFlowID>()
    private var queuedBytes = 0
    private var output = ByteBuffer()
    /// Requests that wait for the channel.
    private var echoes = ByteBuffer()
    private var input = ByteBuffer()

    init(
        pool: SSHClientPool, target: ChannelTarget = DatagramFlows.service, logger: Logger,
        onEvent: @escaping (Event) -> Void
    ) {
        self.pool = pool
        self.target = target
        eventLoop = pool.eventLoop
        self.logger = logger
        self.onEvent = onEvent
    }

    // MARK: Flows

    func open(_ id: DatagramFlowID, host: String, port: UInt16) {
        flows[id] = Flow(host: host, port: port)
    }

    func send(_ bytes: ByteBuffer, on id: DatagramFlowID) {
        guard flows[id] != nil else { return }
        if case .open(let channel) = state, channel.isWritable, flows[id]?.queue.isEmpty == true {
            write(bytes, on: id)
        } else {
            enqueue(bytes, on: id)
            connect()
        }
    }

    func close(_ id: DatagramFlowID) {
        guard let flow = flows.removeValue(forKey: id) else { return }
        queuedBytes -= flow.queuedBytes
        if flow.isOpen { DatagramFrame.close(flow: id.rawValue).write(into: &output) }
    }

    /// Echoes wait for the channel to be opened, and for nothing else: what they measure is the way as it is.
    func echo(_ data: ByteBuffer, to host: String, identifier: UInt16, sequence: UInt16, on id: DatagramFlowID) {
        let frame = DatagramFrame.echo(
            flow: id.rawValue, host: host, identifier: identifier, sequence: sequence, payload: data)
        switch state {
        case .open(let channel):
            if channel.isWritable { frame.write(into: &output) }
        case .idle, .opening:
            if echoes.readableBytes < Self.maximumQueuedBytes { frame.write(into: &echoes) }
            connect()
        case .waiting, .closed:
            break
        }
    }

    private func write(_ bytes: ByteBuffer, on id: DatagramFlowID) {
        guard let flow = flows[id] else { return }
        if !flow.isOpen {
            flows[id]?.isOpen = true
            DatagramFrame.open(flow: id.rawValue, host: flow.host, port: UInt32(flow.port)).write(into: &output)
        }
        DatagramFrame.data(flow: id.rawValue, bytes).write(into: &output)
    }

    /// What was written since the last time goes to the channel.
    func flush() {
        guard case .open(let channel) = state, output.readableBytes > 0 else { return }
        channel.writeAndFlush(output, promise: nil)
        output = ByteBuffer()
    }

    // MARK: Waiting datagrams

    private func enqueue(_ bytes: ByteBuffer, on id: DatagramFlowID) {
        guard queuedBytes + bytes.readableBytes <= Self.maximumBytes, var flow = flows[id] else { return }
        flows[id] = nil
        if flow.queue.isEmpty { queued.append(id) }
        // A copy: the slice would keep all that came with it.
        flow.queue.append(ByteBuffer(bytes: bytes.readableBytesView))
        flow.queuedBytes += bytes.readableBytes
        queuedBytes += bytes.readableBytes
        while flow.queue.count > Self.maximumQueued || flow.queuedBytes > Self.maximumQueuedBytes {
            let oldest = flow.queue.removeFirst()
            flow.queuedBytes -= oldest.readableBytes
            queuedBytes -= oldest.readableBytes
        }
        flows[id] = flow
    }

    /// One datagram of each flow in turn, as long as the channel takes them.
    private func drain() {
        guard case .open(let channel) = state else { return }
        while channel.isWritable, let id = queued.popFirst() {
            guard let bytes = flows[id]?.queue.popFirst() else { continue }
            flows[id]?.queuedBytes -= bytes.readableBytes
            queuedBytes -= bytes.readableBytes
            write(bytes, on: id)
            if flows[id]?.queue.isEmpty == false { queued.append(id) }
            flush()
        }
    }

    // MARK: The channel

    private func connect() {
        guard case .idle = state else { return }
        state = .opening
        SocketPair.make(on: eventLoop).assumeIsolated().whenComplete { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error):
                self.failed("\(error)")
            case .success((let near, let far)):
                self.open(near, far)
            }
        }
    }

    private func open(_ near: any Channel, _ far: any Channel) {
        guard case .opening = state else {
            near.close(promise: nil)
            return far.close(promise: nil)
        }
        do {
            try near.pipeline.syncOperations.addHandler(DatagramStreamHandler(self))
            try near.syncOptions?.setOption(.writeBufferWaterMark, value: DatagramStreamHandler.waterMark)
        } catch {
            return failed("\(error)")
        }
        pool.open(target, originator: Originator(host: "127.0.0.1", port: 0), glueTo: far) { [weak self] result in
            switch result {
            case .failure(let error):
                near.close(promise: nil)
                far.close(promise: nil)
                self?.failed(error.text)
            case .success:
                guard let self, case .opening = self.state else { return near.close(promise: nil) }
                self.state = .open(near)
                try? near.syncOptions?.setOption(.autoRead, value: true)
                self.output.writeBuffer(&self.echoes)
                self.drain()
                self.flush()
            }
        }
    }

    private func failed(_ reason: String) {
        guard case .opening = state else { return }
        logger.debug("no datagram channel", metadata: ["reason": "\(reason)"])
        pause()
    }

    private func pause() {
        state = .waiting
        output = ByteBuffer()
        echoes = ByteBuffer()
        input = ByteBuffer()
        for id in flows.keys { flows[id]?.isOpen = false }
        retry = eventLoop.assumeIsolated().scheduleTask(in: backoff.next(jitter: .random(in: 0..<1))) {
            [weak self] in
            guard let self, case .waiting = self.state else { return }
            self.state = .idle
            if !self.queued.isEmpty { self.connect() }
        }
    }

    func received(_ bytes: ByteBuffer) {
        input.writeImmutableBuffer(bytes)
        do throws(Disconnect) {
            while let frame = try DatagramFrame.read(from: &input, sentBy: .server) { handle(frame) }
        } catch {
            logger.warning("the manager broke the datagram protocol", metadata: ["reason": "\(error.text)"])
            if case .open(let channel) = state { channel.close(promise: nil) }
        }
        input.discardReadBytes()
        backoff.reset()
    }

    private func handle(_ frame: DatagramFrame) {
        switch frame {
        case .data(let flow, let bytes):
            onEvent(.datagram(DatagramFlowID(rawValue: flow), bytes))
        case .close(let flow):
            let id = DatagramFlowID(rawValue: flow)
            flows[id]?.isOpen = false
            // With datagrams waiting it is wanted still, and opened with the next of them.
            if flows[id]?.queue.isEmpty == true { onEvent(.closed(id)) }
        case .error(let flow, let reason, _):
            let error: ICMPError? =
                switch reason {
                case 1: .portUnreachable
                case 2: .hostUnreachable
                case 3: .prohibited
                default: nil
                }
            let id = DatagramFlowID(rawValue: flow)
            if let error { onEvent(.failed(id, error)) } else { onEvent(.closed(id)) }
        case .echoReply(let flow, let identifier, let sequence, let payload):
            onEvent(.echo(DatagramFlowID(rawValue: flow), identifier: identifier, sequence: sequence, payload))
        case .open, .echo:
            break
        }
    }

    func writable() {
        drain()
        flush()
    }

    func ended(_ channel: any Channel) {
        guard case .open(let current) = state, current === channel else { return }
        pause()
    }

    func shutDown() {
        if case .open(let channel) = state { channel.close(promise: nil) }
        state = .closed
        retry?.cancel()
        flows = [:]
    }
}
