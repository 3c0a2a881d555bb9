import NIOCore

/// What comes to a UDP port, and from whom.
final class DatagramPortHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let received: (AddressedEnvelope<ByteBuffer>) -> Void

    init(_ received: @escaping (AddressedEnvelope<ByteBuffer>) -> Void) { self.received = received }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { received(unwrapInboundIn(data)) }

    /// An unreachable client's ICMP error is no reason to stop.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
