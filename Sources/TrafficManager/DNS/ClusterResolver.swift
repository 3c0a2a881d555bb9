import DNS
import Glibc
package import Logging
package import NIOCore
import NIOPosix

/// Passes queries on to the name server that the manager's own pod is given: the cluster's. By UDP, and by TCP when an
/// answer does not fit (RFC 1035 §4.2.1, RFC 7766 §5). Confined to an event loop of its own; asked from any.
package final class ClusterResolver: Sendable {
    /// Which queries are passed on.
    package enum Scope: String, Sendable {
        /// Names that the directory knows nothing of.
        case outside
        /// All of them: the directory answers for what the server does not know, and when it does not answer.
        case all
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// For one attempt; a server that is far away takes a fifth of it.
    private static let timeout = TimeAmount.seconds(2)
    private static let attempts = 2
    /// Under way at once, of all sessions; ids of 16 bits would take more.
    private static let maximumPending = 4096

    package let scope: Scope
    private let servers: [SocketAddress]
    private let eventLoop: any EventLoop
    private let state: NIOLoopBound<State>
    private let logger: Logger

    /// Confined to the loop.
    private final class State {
        struct Pending {
            var query: ByteBuffer
            var id: UInt16
            var attempt: Int
            var promise: EventLoopPromise<ByteBuffer>
            var timeout: Scheduled<Void>
        }

        var channel: EventLoopFuture<any Channel>?
        var pending: [UInt16: Pending] = [:]
    }

    /// `servers` are asked in turn.
    package init(servers: [SocketAddress], scope: Scope, on eventLoop: any EventLoop, logger: Logger) async throws {
        self.servers = servers
        self.scope = scope
        self.eventLoop = eventLoop
        self.logger = logger
        state = try await eventLoop.submit { NIOLoopBound(State(), eventLoop: eventLoop) }.get()
    }

    /// Of resolv.conf(5), in its order.
    package static func systemServers(_ path: String = "/etc/resolv.conf") -> [SocketAddress] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var servers: [SocketAddress] = []
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while getline(&line, &room, file) > 0, let line {
            let words = String(cString: line).split { $0 == " " || $0 == "\t" || $0 == "\n" }
            guard words.count > 1, words[0] == "nameserver" else { continue }
            if let address = try? SocketAddress(ipAddress: String(words[1]), port: 53) { servers.append(address) }
        }
        return servers
    }

    /// The answer to one query, with its id.
    package func ask(_ query: ByteBuffer) -> EventLoopFuture<ByteBuffer> {
        eventLoop.flatSubmit { [self] in
            let promise = eventLoop.makePromise(of: ByteBuffer.self)
            send(query, attempt: 0, promise)
            return promise.futureResult
        }
    }

    private func send(_ query: ByteBuffer, attempt: Int, _ promise: EventLoopPromise<ByteBuffer>) {
        let state = state.value
        guard !servers.isEmpty, state.pending.count < Self.maximumPending,
            let id = query.getInteger(at: query.readerIndex, as: UInt16.self)
        else { return promise.fail(Failure(description: "too much is asked at once")) }
        // An id that cannot be guessed, for a port that stays the same (RFC 5452 §9.2).
        var own = UInt16.random(in: 0...UInt16.max)
        while state.pending[own] != nil { own = UInt16.random(in: 0...UInt16.max) }
        let server = servers[attempt % servers.count]
        let timeout = eventLoop.assumeIsolated().scheduleTask(in: Self.timeout) { [self] in
            guard let late = state.pending.removeValue(forKey: own) else { return }
            guard late.attempt + 1 < Self.attempts else {
                return promise.fail(Failure(description: "\(server) does not answer"))
            }
            send(late.query, attempt: late.attempt + 1, promise)
        }
        state.pending[own] = State.Pending(query: query, id: id, attempt: attempt, promise: promise, timeout: timeout)
        var copy = ByteBuffer(buffer: query)
        copy.setInteger(own, at: copy.readerIndex)
        let message = copy
        channel().assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel):
                channel.writeAndFlush(AddressedEnvelope(remoteAddress: server, data: message), promise: nil)
            case .failure(let error):
                state.channel = nil
                logger.warning("no socket for names", metadata: ["reason": "\(error)"])
            }
        }
    }

    private func channel() -> EventLoopFuture<any Channel> {
        if let channel = state.value.channel { return channel }
        let handler = NIOLoopBound(AnswerHandler(self), eventLoop: eventLoop)
        let isIPv6 = servers.first?.protocol == .inet6
        let channel = DatagramBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
            .bind(host: isIPv6 ? "::" : "0.0.0.0", port: 0)
        state.value.channel = channel
        return channel
    }

    private func received(_ envelope: AddressedEnvelope<ByteBuffer>) {
        let state = state.value
        var answer = envelope.data
        guard let message = try? RawMessage(answer), message.header.isResponse,
            servers.contains(envelope.remoteAddress),
            let pending = state.pending[message.header.id], Self.isAnswer(message, to: pending.query)
        else { return }
        state.pending[message.header.id] = nil
        pending.timeout.cancel()
        guard !message.header.isTruncated else {
            return askByStream(pending.query, envelope.remoteAddress).assumeIsolated().whenComplete {
                pending.promise.completeWith($0)
            }
        }
        answer.setInteger(pending.id, at: answer.readerIndex)
        pending.promise.succeed(answer)
    }

    /// The question is repeated (RFC 5452 §3): whoever guesses the id has to guess that as well.
    private static func isAnswer(_ message: RawMessage, to query: ByteBuffer) -> Bool {
        guard let asked = try? RawMessage(query).question(), let told = try? message.question() else { return false }
        return asked == told
    }

    private func askByStream(_ query: ByteBuffer, _ server: SocketAddress) -> EventLoopFuture<ByteBuffer> {
        let promise = eventLoop.makePromise(of: ByteBuffer.self)
        let handler = NIOLoopBound(StreamHandler(query, promise), eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
            .connect(to: server).assumeIsolated().whenComplete { result in
                switch result {
                case .failure(let error): promise.fail(error)
                case .success(let channel):
                    let timeout = channel.eventLoop.assumeIsolated().scheduleTask(in: Self.timeout) {
                        channel.close(promise: nil)
                    }
                    channel.closeFuture.assumeIsolated().whenComplete { _ in timeout.cancel() }
                }
            }
        return promise.futureResult
    }

    private final class AnswerHandler: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>

        private let resolver: ClusterResolver

        init(_ resolver: ClusterResolver) { self.resolver = resolver }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { resolver.received(unwrapInboundIn(data)) }

        /// A port that is closed is told of by ICMP; the time that passes says the same.
        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }

    private final class StreamHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let query: ByteBuffer
        private var promise: EventLoopPromise<ByteBuffer>?
        private var framing = DNSStreamFraming()

        init(_ query: ByteBuffer, _ promise: EventLoopPromise<ByteBuffer>) {
            self.query = query
            self.promise = promise
        }

        func channelActive(context: ChannelHandlerContext) {
            var frame = ByteBuffer()
            try? DNSStreamFraming.write(query, to: &frame)
            context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            framing.append(unwrapInboundIn(data))
            guard let answer = try? framing.next() else { return }
            promise?.succeed(answer)
            promise = nil
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise?.fail(Failure(description: "the name server ended its connection"))
            promise = nil
        }
    }
}
