package import NIOCore
import NIOExtras

/// Datagrams on a stream: each behind its length in two bytes, as DNS over TCP has it (RFC 7766 §8) and RTP (RFC 4571).
package enum FramedDatagrams {
    /// Adds what makes a stream of `ByteBuffer`s, one for each datagram, to the end of a channel's pipeline.
    package static func addHandlers(to channel: any Channel) throws {
        let decoder = LengthFieldBasedFrameDecoder(lengthFieldBitLength: .twoBytes, lengthFieldEndianness: .big)
        try channel.pipeline.syncOperations.addHandlers([
            ByteToMessageHandler(decoder),
            LengthFieldPrepender(lengthFieldBitLength: .twoBytes, lengthFieldEndianness: .big),
        ])
    }
}
