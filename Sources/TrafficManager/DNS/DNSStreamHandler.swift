import DNS
package import NIOCore

/// Serves DNS on one stream (RFC 7766): messages behind their lengths, answered in the order they come.
///
/// States: *serving*; *ending*, when nothing more is answered and the last answers are on their way out; *closed*. Each
/// leads to those behind it.
///
/// A query is a few dozen bytes and its answer may be 64 KiB: a peer that only asks would fill memory. So nothing is
/// answered or read while the channel is not writable, and no more is held than one read's worth of queries and the
/// channel's write buffer.
package final class DNSStreamHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = Never
    package typealias OutboundIn = Never
    package typealias OutboundOut = ByteBuffer

    /// RFC 7766 §6.2.3 asks for seconds; a tunnel that a person opened by hand may wait a little longer.
    package static let defaultIdleTimeout = TimeAmount.seconds(30)

    /// Queries answered before others on the event loop have their turn: one read may bring thousands.
    static let maximumAnswersPerTurn = 64

    /// Queries that were passed on and are not answered: as many as one session's stub has.
    static let maximumRelayed = 256

    private let directory: Directory
    private let resolver: ClusterResolver?
    private let idleTimeout: TimeAmount
    private enum State {
        case serving, ending, closed
    }

    private var state = State.serving
    private var framing = DNSStreamFraming()
    /// A write may make the channel call back before it returns.
    private var isAnswering = false
    private var isReadHeld = false
    /// Queries are left over for the next turn.
    private var isTurnScheduled = false
    private var isInputClosed = false
    private var relayed = 0
    private var lastActivity = NIODeadline.uptimeNanoseconds(0)
    private var timer: Scheduled<Void>?

    package init(
        directory: Directory, resolver: ClusterResolver? = nil,
        idleTimeout: TimeAmount = DNSStreamHandler.defaultIdleTimeout
    ) {
        self.directory = directory
        self.resolver = resolver
        self.idleTimeout = idleTimeout
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        lastActivity = context.eventLoop.now
        arm(context, at: lastActivity + idleTimeout)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        state = .closed
    }

    package func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        state = .closed
        context.fireChannelInactive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard state == .serving else { return }
        framing.append(unwrapInboundIn(data))
        answer(context)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        context.fireChannelReadComplete()
    }

    package func read(context: ChannelHandlerContext) {
        if context.channel.isWritable, !isTurnScheduled, relayed < Self.maximumRelayed {
            context.read()
        } else {
            isReadHeld = true
        }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !isAnswering, !isTurnScheduled { goOn(context) }
        context.fireChannelWritabilityChanged()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            isInputClosed = true
            answer(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(context)
    }

    private func answer(_ context: ChannelHandlerContext) {
        guard !isAnswering, !isTurnScheduled, state == .serving else { return }
        isAnswering = true
        defer { isAnswering = false }
        let snapshot = directory.snapshot
        var answers = 0
        do {
            while state == .serving, context.channel.isWritable, relayed < Self.maximumRelayed {
                guard let query = try framing.next() else {
                    if isInputClosed, relayed == 0 { finish(context) }
                    return
                }
                if let resolver, resolver.isFor(query, snapshot) {
                    relay(query, by: resolver, context)
                    continue
                }
                guard let response = ClusterDNS.answer(query: query, snapshot: snapshot) else { return finish(context) }
                var frame = context.channel.allocator.buffer(capacity: response.readableBytes + 2)
                try DNSStreamFraming.write(response, to: &frame)
                lastActivity = context.eventLoop.now
                context.write(wrapOutboundOut(frame), promise: nil)
                answers += 1
                if answers == DNSStreamHandler.maximumAnswersPerTurn { return scheduleTurn(context) }
            }
        } catch {
            // What follows cannot be told apart any more.
            finish(context)
        }
    }

    /// The answers to what is passed on come in any order (RFC 7766 §6.2.1.1).
    private func relay(_ query: ByteBuffer, by resolver: ClusterResolver, _ context: ChannelHandlerContext) {
        relayed += 1
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        resolver.answer(query, directory).hop(to: context.eventLoop).whenComplete { result in
            let (handler, context) = bound.value
            handler.relayed -= 1
            guard handler.state == .serving else { return }
            if case .success(let response?) = result {
                var frame = context.channel.allocator.buffer(capacity: response.readableBytes + 2)
                guard (try? DNSStreamFraming.write(response, to: &frame)) != nil else { return }
                handler.lastActivity = context.eventLoop.now
                context.write(handler.wrapOutboundOut(frame), promise: nil)
            }
            if !handler.isAnswering, !handler.isTurnScheduled { handler.goOn(context) } else { context.flush() }
        }
    }

    private func scheduleTurn(_ context: ChannelHandlerContext) {
        isTurnScheduled = true
        context.eventLoop.assumeIsolated().execute { [self] in
            isTurnScheduled = false
            guard state == .serving else { return }
            goOn(context)
        }
    }

    /// Answers what was left over, and reads again what was put off.
    private func goOn(_ context: ChannelHandlerContext) {
        answer(context)
        context.flush()
        guard isReadHeld, state == .serving, !isTurnScheduled, context.channel.isWritable else { return }
        isReadHeld = false
        context.read()
    }

    /// Closes behind the answers that have been written.
    private func finish(_ context: ChannelHandlerContext) {
        guard state == .serving else { return }
        state = .ending
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            bound.value.close(promise: nil)
        }
    }

    private func close(_ context: ChannelHandlerContext) {
        state = .closed
        context.close(promise: nil)
    }

    /// One timer that looks again when it is due, instead of one for each query.
    private func arm(_ context: ChannelHandlerContext, at deadline: NIODeadline) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self, state != .closed else { return }
            let due = lastActivity + idleTimeout
            if due > context.eventLoop.now { arm(context, at: due) } else { close(context) }
        }
    }
}

/// Makes `channel` a DNS server for the cluster's names; done as soon as it listens to what comes.
package func serveDNS(
    on channel: any Channel, directory: Directory, resolver: ClusterResolver? = nil
) -> EventLoopFuture<Void> {
    channel.eventLoop.submit {
        try channel.pipeline.syncOperations.addHandler(DNSStreamHandler(directory: directory, resolver: resolver))
    }
}
