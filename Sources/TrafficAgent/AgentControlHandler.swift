import ControlAPI
import NIOCore

/// The agent's end of `agent.telepresence`: says who it is, and does what it is told.
final class AgentControlHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The channel leads to the manager.
    struct Begin: Sendable {}

    /// The agent's end has been asked for.
    struct Leave: Sendable {}

    /// Bytes of one line: a thousand rules with filters.
    private static let maximumLine = 8 << 20

    private let hello: AgentHello
    private let told: (AgentRules) -> AgentReport
    private let asked: (AgentStream) -> Void
    private var received = ByteBuffer()
    private var report = AgentReport(revision: 0)

    init(
        _ hello: AgentHello, told: @escaping (AgentRules) -> AgentReport, asked: @escaping (AgentStream) -> Void
    ) {
        self.hello = hello
        self.asked = asked
        self.told = told
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is Begin {
            send(hello, context)
            context.read()
        } else if event is Leave {
            report.isLeaving = true
            send(report, context)
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
            if let rules = try? JSON.decode(AgentRules.self, from: line) {
                let isLeaving = report.isLeaving
                report = told(rules)
                report.isLeaving = isLeaving
                send(report, context)
            } else if let stream = try? JSON.decode(AgentStream.self, from: line) {
                asked(stream)
            } else {
                // The manager refuses an agent with a line that has no rules.
                return context.close(promise: nil)
            }
        }
        received.discardReadBytes()
        if received.readableBytes > Self.maximumLine { context.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }
}
