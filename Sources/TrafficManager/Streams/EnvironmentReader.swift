import ControlAPI
import NIOCore

/// Reads one `ProcessEnvironment` from an agent's channel, to its end.
final class EnvironmentReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// More than a process may be started with (execve(2): a quarter of the stack's limit, 2 MiB), as JSON.
    private static let maximumLength = 8 << 20

    private var received = ByteBuffer()
    private let promise: EventLoopPromise<ProcessEnvironment>

    init(_ promise: EventLoopPromise<ProcessEnvironment>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        received.writeBuffer(&buffer)
        if received.readableBytes > Self.maximumLength { context.close(promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.completeWith(
            Result { try JSON.decode(ProcessEnvironment.self, from: String(buffer: received)) }
                .mapError { _ in AgentStreams.Failure(description: "the traffic-agent ended while it was asked") })
    }
}
