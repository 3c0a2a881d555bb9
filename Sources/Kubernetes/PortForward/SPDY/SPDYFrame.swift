import NIOCore

/// What each frame of SPDY/3.1 begins with (§2.2): eight bytes.
struct SPDYFrame: Hashable {
    enum Kind: Hashable {
        case data(stream: UInt32)
        /// Nil is one that SPDY/3.1 does not know.
        case control(Control?)
    }

    /// The types of §2.6.
    enum Control: UInt16 {
        case synStream = 1
        case synReply = 2
        case rstStream = 3
        case settings = 4
        case ping = 6
        case goAway = 7
        case headers = 8
        case windowUpdate = 9
    }

    static let headLength = 8
    /// Of 24 bits.
    static let longest = 0xff_ffff
    /// Of data and of what opens a stream: nothing follows.
    static let finFlag: UInt8 = 1

    private static let controlBit: UInt16 = 0x8000
    private static let version: UInt16 = 3

    var kind: Kind
    var flags: UInt8 = 0
    /// Of what follows, in bytes.
    var length: Int

    init(_ kind: Kind, flags: UInt8 = 0, length: Int) {
        self.kind = kind
        self.flags = flags
        self.length = length
    }

    /// Nil without eight bytes.
    init?(reading buffer: inout ByteBuffer) throws(KubernetesError) {
        guard
            let (first, second, flags, high, low) = buffer.readMultipleIntegers(
                as: (UInt16, UInt16, UInt8, UInt8, UInt16).self)
        else { return nil }
        length = Int(high) << 16 | Int(low)
        self.flags = flags
        if first & Self.controlBit == 0 {
            kind = .data(stream: UInt32(first) << 16 | UInt32(second))
        } else {
            let version = first & ~Self.controlBit
            guard version == Self.version else {
                throw .spdy("a frame of version \(version), expected \(Self.version)")
            }
            kind = .control(Control(rawValue: second))
        }
    }

    func write(into buffer: inout ByteBuffer) {
        switch kind {
        case .data(let stream): buffer.writeInteger(stream)
        case .control(let type):
            buffer.writeInteger(Self.controlBit | Self.version)
            buffer.writeInteger(type?.rawValue ?? 0)
        }
        buffer.writeInteger(UInt32(flags) << 24 | UInt32(length & Self.longest))
    }
}

extension KubernetesError {
    /// Of what a server has sent.
    static func spdy(_ text: String) -> KubernetesError {
        KubernetesError(.other, "the port-forward of the API server does not speak SPDY/3.1: \(text)")
    }
}
