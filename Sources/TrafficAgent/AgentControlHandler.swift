import ControlAPI
import NIOCore

/// The agent's end of `agent.telepresence`: says who it is, and does what it is told.
final class AgentControlHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The channel leads to the manager.
    struct Begin: Sendable {}

    /// Bytes of one line: a thousand rules with filters.
    private static let maximumLine = 8 << 20

    private let hello: AgentHello
    private let told: (AgentRules) -> AgentReport
    private var received = ByteBuffer()

    init(_ hello: AgentHello, told: @escaping (AgentRules) -> AgentReport) {
        self.hello = hello
        self.told = told
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is Begin {
            send(hello, context)
            context.read()
        } else if case ChannelEvent.inputClosed = event {
            context.close(promise: nil)
        }
    }

    private func send(_ message: some Encodable, _ context: ChannelHandlerContext) {
        guard let line = try? JSON.encode(message) else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: line + "\n")), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        received.writeBuffer(&buffer)
        while let end = received.readableBytesView.firstIndex(of: UInt8(ascii: "\n")),
            let line = received.readString(length: end - received.readerIndex)
        {
            received.moveReaderIndex(forwardBy: 1)
            // The manager refuses an agent with a line that has no rules.
            guard let rules = try? JSON.decode(AgentRules.self, from: line) else { return context.close(promise: nil) }
            send(told(rules), context)
        }
        received.discardReadBytes()
        if received.readableBytes > Self.maximumLine { context.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }
}
