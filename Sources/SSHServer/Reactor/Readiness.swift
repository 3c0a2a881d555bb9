import CLinux

/// What a socket has become ready for, as epoll(7) says it.
struct Readiness: OptionSet {
    let rawValue: UInt32

    static let readable = Readiness(rawValue: UInt32(CLINUX_READABLE))
    static let writable = Readiness(rawValue: UInt32(CLINUX_WRITABLE))
    /// The peer has ended, or the connection is broken: to be read until it says so.
    static let ended = Readiness(rawValue: UInt32(CLINUX_ENDED))
}
