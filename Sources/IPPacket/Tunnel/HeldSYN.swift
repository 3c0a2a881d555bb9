/// What is kept of a SYN while its destination is dialed: enough to write it again, or to quote it in an error.
struct HeldSYN: Sendable {
    private(set) var sequence: UInt32
    private var flags: TCPFlags
    private var window: UInt16
    private var optionsLength: UInt8
    private var options: InlineArray<40, UInt8>

    /// Data in it is not kept: it is sent again when the SYN's answer does not acknowledge it (RFC 7413 §4.2.2).
    init(_ segment: TCPSegment) {
        sequence = segment.sequence
        flags = segment.flags
        window = segment.window
        let bytes = segment.options
        optionsLength = UInt8(truncatingIfNeeded: bytes.count)
        options = InlineArray { $0 < bytes.count ? bytes[$0] : 0 }
    }

    func write(
        in space: UnsafeMutableRawBufferPointer, from source: (InternetAddress, UInt16),
        to destination: (InternetAddress, UInt16)
    ) -> UnsafeRawBufferPointer? {
        withUnsafeBytes(of: options) { bytes in
            PacketBuilder(in: space, from: source.0, to: destination.0).tcp(
                from: source.1, to: destination.1, sequence: sequence, acknowledgment: 0, flags: flags, window: window,
                options: UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(optionsLength))))
        }
    }
}
