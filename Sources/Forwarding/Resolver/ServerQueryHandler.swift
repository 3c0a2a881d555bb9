import DNS
import NIOCore

/// One query to a server by TCP; the first answer ends the connection.
final class ServerQueryHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// As long as anybody waits for the answer.
    private static let patience = TimeAmount.seconds(5)

    private let query: ByteBuffer
    private var framing = DNSStreamFraming()
    private var timeout: Scheduled<Void>?
    private let completion: (ByteBuffer) -> Void

    init(_ query: ByteBuffer, completion: @escaping (ByteBuffer) -> Void) {
        self.query = query
        self.completion = completion
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: Self.patience) { channel.close(promise: nil) }
        var bytes = ByteBuffer()
        guard (try? DNSStreamFraming.write(query, to: &bytes)) != nil else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        framing.append(unwrapInboundIn(data))
        do throws(DNSError) {
            guard let message = try framing.next() else { return }
            completion(message)
        } catch {
            // No answer: the next server is asked when it is time.
        }
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { timeout?.cancel() }
}
