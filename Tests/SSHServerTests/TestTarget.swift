import Glibc
import NIOCore
import NIOPosix

/// What a target has seen of one connection.
struct SeenTarget: Sendable {
    var received = 0
    var text = ByteBuffer()
    var hasEnded = false
    var isClosed = false
    var wasReset = false
}

/// A server for channels to lead to.
final class TestTarget: Sendable {
    enum Behaviour: Sendable {
        /// Sends back what it gets, and ends when its peer does.
        case echo
        /// Takes all and says nothing.
        case sink
        /// Does not read before it is told to.
        case stalled
        /// Says it, then ends.
        case says(String)
        /// Says it, then resets the connection.
        case resets(String)
        /// Sends so many bytes, then ends.
        case sends(Int)
    }

    let address: SocketAddress
    /// Its connections, in the order they came.
    let connections: Observed<[TestTargetHandler]>
    private let listener: any Channel

    private init(_ listener: any Channel, _ address: SocketAddress, _ connections: Observed<[TestTargetHandler]>) {
        self.listener = listener
        self.address = address
        self.connections = connections
    }

    static func start(_ behaviour: Behaviour, at place: SocketAddress? = nil) async throws -> TestTarget {
        let connections = Observed<[TestTargetHandler]>([])
        let address = try place ?? SocketAddress(ipAddress: "127.0.0.1", port: 0)
        var isStalled = false
        if case .stalled = behaviour { isStalled = true }
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.autoRead, value: !isStalled)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = TestTargetHandler(behaviour, channel)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    connections.update { $0.append(handler) }
                }
            }
            .bind(to: address).get()
        return TestTarget(listener, listener.localAddress ?? address, connections)
    }

    /// Its first connection.
    func connection(_ index: Int = 0) async throws -> TestTargetHandler {
        try await connections.wait("connection \(index) to the target") { $0.count > index }[index]
    }

    func stop() async {
        try? await listener.close().get()
        for connection in connections.value { try? await connection.channel.close().get() }
    }
}

final class TestTargetHandler: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let seen = Observed(SeenTarget())
    let channel: any Channel
    private let behaviour: TestTarget.Behaviour

    init(_ behaviour: TestTarget.Behaviour, _ channel: any Channel) {
        self.behaviour = behaviour
        self.channel = channel
    }

    func channelActive(context: ChannelHandlerContext) {
        switch behaviour {
        case .echo, .sink, .stalled: break
        case .says(let text):
            context.write(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            context.flush()
            context.close(mode: .output, promise: nil)
        case .resets(let text):
            context.write(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            context.flush()
        case .sends(let count):
            context.write(wrapOutboundOut(ByteBuffer(repeating: 0x78, count: count)), promise: nil)
            context.flush()
            context.close(mode: .output, promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        seen.update { seen in
            seen.received += buffer.readableBytes
            if seen.text.readableBytes < 1 << 20 { seen.text.writeImmutableBuffer(buffer) }
        }
        switch behaviour {
        case .echo: context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        case .resets: reset()
        default: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return }
        seen.update { $0.hasEnded = true }
        if case .stalled = behaviour { return }
        // What was sent before goes first: with both ways closed the rest would be dropped.
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            channel.close(mode: .output, promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        seen.update { $0.wasReset = true }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { seen.update { $0.isClosed = true } }

    /// Resets the connection.
    func reset() {
        let options = channel as? any SocketOptionProvider
        _ = options?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        channel.close(promise: nil)
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)).get() }
    func read() async throws { try await channel.setOption(.autoRead, value: true).get() }
}
