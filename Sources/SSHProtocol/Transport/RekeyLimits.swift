package import NIOCore

/// When the keys of a connection are exchanged anew (RFC 4253 §9, RFC 4344 §3).
package struct RekeyLimits: Sendable {
    /// Bytes under one key for a cipher with a block of 16 bytes. OpenSSH allows 64 GiB (2³² blocks); a rekey costs
    /// one round trip, so that 4 GiB is not felt and stays far inside every bound.
    package var bytes: UInt64 = 4 << 30
    /// Bytes under one key of a stream cipher (RFC 4253 §9 recommends 1 GiB).
    package var streamCipherBytes: UInt64 = 1 << 30
    /// Packets under one key, in each direction (RFC 4344 §3.1).
    package var packets: UInt64 = 1 << 31
    package var interval: TimeAmount = .hours(1)

    package init() {}

    package init(bytes: UInt64, packets: UInt64 = 1 << 31, interval: TimeAmount = .hours(1)) {
        self.bytes = bytes
        self.streamCipherBytes = min(bytes, 1 << 30)
        self.packets = packets
        self.interval = interval
    }
}
