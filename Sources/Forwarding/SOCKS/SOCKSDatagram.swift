package import NIOCore

/// A datagram between a client and its relay (RFC 1928 §7): where it goes, or comes from, before its bytes.
package struct SOCKSDatagram: Hashable, Sendable {
    package var host: String
    package var port: UInt16
    /// Everything before the bytes: an answer from there begins the same.
    package var header: ByteBuffer
    package var bytes: ByteBuffer

    /// `nil` for what is malformed, and for fragments, which a relay may drop.
    package init?(_ datagram: ByteBuffer) {
        var rest = datagram
        guard let reserved = rest.readInteger(as: UInt16.self), reserved == 0,
            let fragment = rest.readInteger(as: UInt8.self), fragment == 0,
            let type = rest.readInteger(as: UInt8.self),
            case .host(let host) = SOCKSAddress.read(type, from: &rest),
            let port = rest.readInteger(as: UInt16.self), port != 0,
            let header = datagram.getSlice(
                at: datagram.readerIndex, length: datagram.readableBytes - rest.readableBytes)
        else { return nil }
        self.host = host
        self.port = port
        self.header = header
        bytes = rest
    }
}
