import ControlAPI
import NIOCore
import SSHServer

/// One agent's `agent.telepresence`: lines of JSON, its hello and reports in, its rules out.
final class AgentLink: Sendable {
    /// Bytes of one line: some thousand ports or problems.
    private static let maximumLine = 256 << 10

    let session: SessionIdentity
    private let service: InterceptService
    private let channel: any Channel

    init(service: InterceptService, session: SessionIdentity, channel: any Channel) {
        self.service = service
        self.session = session
        self.channel = channel
    }

    func makeHandler() -> any ChannelHandler & Sendable { Handler(self) }

    /// From any thread.
    func send(_ rules: AgentRules) { send(line: rules) }

    func send(_ stream: AgentStream) { send(line: stream) }

    private func send(line value: some Encodable) {
        guard let line = try? JSON.encode(value) else { return }
        channel.writeAndFlush(ByteBuffer(string: line + "\n"), promise: nil)
    }

    private final class Handler: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let link: AgentLink
        private var received = ByteBuffer()
        private var hasArrived = false

        init(_ link: AgentLink) { self.link = link }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var buffer = unwrapInboundIn(data)
            received.writeBuffer(&buffer)
            while let length = received.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                let count = length - received.readerIndex
                guard let line = received.readString(length: count) else { break }
                received.moveReaderIndex(forwardBy: 1)
                guard handle(line) else { return context.close(promise: nil) }
            }
            received.discardReadBytes()
            if received.readableBytes > AgentLink.maximumLine { context.close(promise: nil) }
        }

        private func handle(_ line: String) -> Bool {
            if hasArrived {
                guard let report = try? JSON.decode(AgentReport.self, from: line) else { return false }
                link.service.reported(report, link: link)
                return true
            }
            guard let hello = try? JSON.decode(AgentHello.self, from: line) else { return false }
            if let problem = link.service.arrived(hello, link: link) {
                let text = "{\"error\":\"\(problem.filter { $0 != "\"" && $0 != "\\" })\"}\n"
                link.channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
                return false
            }
            hasArrived = true
            return true
        }

        func channelInactive(context: ChannelHandlerContext) {
            link.service.left(link)
            context.fireChannelInactive()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
        }
    }
}
