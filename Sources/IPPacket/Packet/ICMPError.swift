/// What is said of a packet that did not arrive.
package enum ICMPError: Hashable, Sendable {
    case hostUnreachable
    case portUnreachable
    case prohibited
    /// Its hop limit was used up on the way.
    case timeExceeded

    /// RFC 792, RFC 1812 §5.2.7.1.
    var v4: (type: UInt8, code: UInt8) {
        switch self {
        case .hostUnreachable: (3, 1)
        case .portUnreachable: (3, 3)
        case .prohibited: (3, 13)
        case .timeExceeded: (11, 0)
        }
    }

    /// RFC 4443 §3.
    var v6: (type: UInt8, code: UInt8) {
        switch self {
        case .hostUnreachable: (1, 3)
        case .portUnreachable: (1, 4)
        case .prohibited: (1, 1)
        case .timeExceeded: (3, 0)
        }
    }
}
