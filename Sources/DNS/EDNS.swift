package import NIOCore

/// The OPT pseudo-record (RFC 6891 §6.1).
package struct EDNS: Hashable, Sendable {
    /// The largest datagram its sender takes.
    package var payloadSize: UInt16
    /// The upper eight bits of RCODE; `Message.responseCode` has them all.
    package var extendedResponseCode: UInt8
    package var version: UInt8
    /// DO (RFC 3225).
    package var dnssecOK: Bool
    /// Pairs of code and length with their data, as they came.
    package var options: ByteBuffer

    /// What fits an unfragmented datagram everywhere (DNS flag day 2020).
    package static let defaultPayloadSize: UInt16 = 1232

    package init(
        payloadSize: UInt16 = EDNS.defaultPayloadSize, extendedResponseCode: UInt8 = 0, version: UInt8 = 0,
        dnssecOK: Bool = false, options: ByteBuffer = ByteBuffer()
    ) {
        self.payloadSize = payloadSize
        self.extendedResponseCode = extendedResponseCode
        self.version = version
        self.dnssecOK = dnssecOK
        self.options = options
    }
}
