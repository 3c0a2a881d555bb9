import DNS
import NIOCore

/// Asks one question on a stream, and takes any answer of the cluster's DNS for a sign of life but a refusal.
final class DNSProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let id = UInt16.random(in: .min ... .max)
    private var framing = DNSStreamFraming()
    private var completion: ((String?) -> Void)?

    /// `completion` is called once, with what is wrong.
    init(_ completion: @escaping (String?) -> Void) { self.completion = completion }

    /// The question every cluster has an answer to (Kubernetes DNS specification §2.2).
    func question(domain: String) throws -> ByteBuffer {
        var header = Header(id: id)
        header.recursionDesired = true
        let name = try Name("dns-version.\(domain)")
        let message = Message(header: header, questions: [Question(name: name, type: .txt)])
        var stream = ByteBuffer()
        try DNSStreamFraming.write(try message.encoded(), to: &stream)
        return stream
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        framing.append(unwrapInboundIn(data))
        do {
            guard let bytes = try framing.next() else { return }
            let header = try RawMessage(bytes).header
            guard header.isResponse, header.id == id else { return finish(context, "an answer to another question") }
            switch header.responseCode {
            case 0, 3: finish(context, nil)
            case let code: finish(context, "answered \(ResponseCode(rawValue: UInt16(code)))")
            }
        } catch {
            finish(context, "not DNS: \(error)")
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { finish(context, "\(error)") }

    func channelInactive(context: ChannelHandlerContext) { finish(context, "closed without an answer") }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { finish(context, "closed without an answer") }
    }

    private func finish(_ context: ChannelHandlerContext, _ problem: String?) {
        guard let completion else { return }
        self.completion = nil
        completion(problem)
    }
}
