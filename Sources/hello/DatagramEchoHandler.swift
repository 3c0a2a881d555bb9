import NIOCore

/// Sends every datagram back to where it came from. What the network does not take at once is lost, as datagrams are.
final class DatagramEchoHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    /// The largest datagram there is.
    static let receiveSize = 65_536
    /// As many small ones as the kernel keeps for a socket, about.
    static let maximumReads: UInt = 256

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if context.channel.isWritable { context.write(data, promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    /// Of a datagram that was sent back to somebody who is gone.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
