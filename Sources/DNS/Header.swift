/// The first four bytes of a message: who asks, and the flags (RFC 1035 §4.1.1).
package struct Header: Hashable, Sendable {
    package var id: UInt16
    /// QR, OPCODE, AA, TC, RD, RA, Z, AD, CD, RCODE, from the highest bit down.
    package var flags: UInt16

    /// Bytes of a message before its first question.
    package static let length = 12

    package init(id: UInt16 = 0, flags: UInt16 = 0) {
        self.id = id
        self.flags = flags
    }

    /// QR.
    package var isResponse: Bool {
        get { self[15] }
        set { self[15] = newValue }
    }

    package var opcode: Opcode {
        get { Opcode(rawValue: UInt8(flags >> 11 & 0xf)) }
        set { flags = flags & ~0x7800 | UInt16(newValue.rawValue & 0xf) << 11 }
    }

    /// AA.
    package var isAuthoritative: Bool {
        get { self[10] }
        set { self[10] = newValue }
    }

    /// TC.
    package var isTruncated: Bool {
        get { self[9] }
        set { self[9] = newValue }
    }

    /// RD.
    package var recursionDesired: Bool {
        get { self[8] }
        set { self[8] = newValue }
    }

    /// RA.
    package var recursionAvailable: Bool {
        get { self[7] }
        set { self[7] = newValue }
    }

    /// AD (RFC 4035 §3.2.3).
    package var authenticData: Bool {
        get { self[5] }
        set { self[5] = newValue }
    }

    /// CD (RFC 4035 §3.2.2).
    package var checkingDisabled: Bool {
        get { self[4] }
        set { self[4] = newValue }
    }

    /// The four bits of the header alone; `Message.responseCode` has them all.
    package var responseCode: UInt8 {
        get { UInt8(flags & 0xf) }
        set { flags = flags & ~0xf | UInt16(newValue & 0xf) }
    }

    private subscript(bit: UInt16) -> Bool {
        get { flags >> bit & 1 == 1 }
        set { flags = newValue ? flags | 1 << bit : flags & ~(1 << bit) }
    }
}
