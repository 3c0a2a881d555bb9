import NIOCore
import SSHProtocol

/// The manager's end of a datagram channel: performs what `DatagramMachine` says, with a socket for each flow.
///
/// States: serving → closed, when every socket is closed, too.
final class DatagramHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Little waits here: what waits belongs in the flows' own queues, where the oldest can go.
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 32_768, high: 131_072)

    /// Datagrams sent before others on the event loop have their turn, those who read the answers among them: one read
    /// may bring thousands.
    static let turn = 256
    /// What beginning a flow, with its socket, takes of a turn.
    private static let costOfOpening = 4

    typealias Resolve = @Sendable (DatagramMachine.Target, any EventLoop) -> EventLoopFuture<DatagramDestination>

    private let resolve: Resolve
    private let service: DatagramService
    private var machine = DatagramMachine()
    private var sockets: [UInt32: Entry] = [:]
    private var timer: Scheduled<Void>?
    private var isClosed = false
    /// More is to be done in the next turn; nothing is read until then.
    private var isTurnScheduled = false
    private var isReadHeld = false
    private var isFlushScheduled = false

    private struct Entry {
        var handle: DatagramMachine.Handle
        var kind: DatagramSocket.Kind
        var endpoint: Endpoint
        var socket: DatagramSocket
    }

    init(service: DatagramService, resolve: @escaping Resolve) {
        self.service = service
        self.resolve = resolve
    }

    // MARK: The channel

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed else { return }
        machine.receive(unwrapInboundIn(data))
        if !isTurnScheduled { takeTurn(context) }
    }

    private func takeTurn(_ context: ChannelHandlerContext) {
        let now = context.eventLoop.now
        var spent = 0
        do throws(Disconnect) {
            while !isClosed, let effect = try machine.next(now: now) {
                perform(effect, context)
                if case .open = effect { spent += Self.costOfOpening } else { spent += 1 }
                if spent >= Self.turn { return scheduleTurn(context) }
            }
        } catch {
            service.report(violation: error)
            context.close(promise: nil)
        }
    }

    private func scheduleTurn(_ context: ChannelHandlerContext) {
        isTurnScheduled = true
        context.eventLoop.assumeIsolated().execute { [self] in
            isTurnScheduled = false
            guard !isClosed else { return }
            takeTurn(context)
            flush(context)
            guard isReadHeld, !isTurnScheduled, !isClosed else { return }
            isReadHeld = false
            context.read()
        }
    }

    func read(context: ChannelHandlerContext) {
        if isTurnScheduled { isReadHeld = true } else { context.read() }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flush(context)
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        machine.isBlocked = !context.channel.isWritable
        flush(context)
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        close()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { close() }

    private func close() {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        timer = nil
        for entry in sockets.values { entry.socket.close() }
        sockets = [:]
        machine.endAll()
        service.add(machine.takeFigures())
    }

    // MARK: Effects

    private func perform(_ effect: DatagramMachine.Effect, _ context: ChannelHandlerContext) {
        switch effect {
        case .send(let handle, let bytes):
            if let entry = sockets[handle.number], !entry.socket.send(bytes) { machine.figures.dropped += 1 }
        case .echo(let handle, let sequence, let bytes):
            if let entry = sockets[handle.number], !entry.socket.echo(bytes, sequence: sequence) {
                machine.figures.dropped += 1
            }
        case .open(let handle, let target):
            arm(context)
            resolve(target, context.eventLoop).assumeIsolated().whenSuccess { destination in
                guard !self.isClosed else { return }
                self.open(handle, target, destination, context)
                self.settle(context)
            }
        case .close(let handle):
            if let entry = sockets[handle.number], entry.handle == handle {
                sockets[handle.number] = nil
                entry.socket.close()
            }
        }
    }

    /// Performs what follows from something that the client did not say, and tells the client.
    private func settle(_ context: ChannelHandlerContext) {
        while !isClosed, let effect = machine.nextEffect() { perform(effect, context) }
        flush(context)
    }

    private func flush(_ context: ChannelHandlerContext) {
        while !isClosed, let output = machine.takeOutput() {
            context.writeAndFlush(wrapOutboundOut(output), promise: nil)
        }
        service.add(machine.takeFigures())
    }

    /// What comes for many flows in one turn of the event loop goes out together.
    private func scheduleFlush(_ context: ChannelHandlerContext) {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute { [self] in
            isFlushScheduled = false
            if !isClosed { flush(context) }
        }
    }

    // MARK: Sockets

    private func open(
        _ handle: DatagramMachine.Handle, _ target: DatagramMachine.Target, _ destination: DatagramDestination,
        _ context: ChannelHandlerContext
    ) {
        guard machine.isOpening(handle) else { return }
        let kind: DatagramSocket.Kind = if case .udp = target { .udp } else { .echo }
        switch destination {
        case .unreachable(let reason, let text):
            machine.failed(handle, reason, text)
        case .endpoints(let endpoints):
            var failure = DatagramSocket.Failure(reason: .hostUnreachable, text: "no address")
            // The first that this machine has a way to at all: nothing more is known of a datagram's way.
            for endpoint in endpoints {
                do throws(DatagramSocket.Failure) {
                    try connect(handle, kind, endpoint, context)
                    return sendWaiting(handle, context)
                } catch {
                    failure = error
                }
            }
            machine.failed(handle, failure.reason, failure.text)
        }
    }

    private func connect(
        _ handle: DatagramMachine.Handle, _ kind: DatagramSocket.Kind, _ endpoint: Endpoint,
        _ context: ChannelHandlerContext
    ) throws(DatagramSocket.Failure) {
        let socket = try DatagramSocket(
            kind, to: endpoint, identifier: service.nextIdentifier(), on: context.eventLoop
        ) { [weak self] event in
            self?.handle(event, of: handle, context)
        }
        sockets[handle.number] = Entry(handle: handle, kind: kind, endpoint: endpoint, socket: socket)
    }

    private func sendWaiting(_ handle: DatagramMachine.Handle, _ context: ChannelHandlerContext) {
        for datagram in machine.opened(handle) ?? [] {
            guard let entry = sockets[handle.number], entry.handle == handle else { return }
            let isSent =
                entry.kind == .udp
                ? entry.socket.send(datagram.bytes) : entry.socket.echo(datagram.bytes, sequence: datagram.sequence)
            if !isSent { machine.figures.dropped += 1 }
        }
    }

    private func handle(
        _ event: DatagramSocket.Event, of handle: DatagramMachine.Handle, _ context: ChannelHandlerContext
    ) {
        guard !isClosed, let entry = sockets[handle.number], entry.handle == handle else { return }
        let now = context.eventLoop.now
        switch event {
        case .datagram(let bytes): machine.received(bytes, on: handle, now: now)
        case .echo(let sequence, let bytes): machine.echoed(sequence: sequence, bytes, on: handle, now: now)
        case .pause: return scheduleFlush(context)
        case .failed(let failure):
            machine.failedOnce(handle, failure.reason, failure.text)
            return settle(context)
        case .lost:
            sockets[handle.number] = nil
            reopen(entry, handle, context)
            return settle(context)
        }
        if machine.isOutputFull { flush(context) }
    }

    /// An error that was told already may end the channel that reads as well: the flow does not end with it.
    private func reopen(_ entry: Entry, _ handle: DatagramMachine.Handle, _ context: ChannelHandlerContext) {
        guard entry.socket.hasFailed else {
            return machine.failed(handle, .hostUnreachable, "the host cannot be reached")
        }
        do throws(DatagramSocket.Failure) {
            try connect(handle, entry.kind, entry.endpoint, context)
        } catch {
            machine.failed(handle, error.reason, error.text)
        }
    }

    // MARK: Time

    /// One timer that looks again when it is due, instead of one for each flow.
    private func arm(_ context: ChannelHandlerContext) {
        guard timer == nil, let deadline = machine.nextCheck(now: context.eventLoop.now) else { return }
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self, !isClosed else { return }
            timer = nil
            machine.expire(now: context.eventLoop.now)
            settle(context)
            arm(context)
        }
    }
}
