import CLinux

/// What a socket has become ready for, as epoll(7) says it.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readable = Readiness(rawValue: UInt32(CLINUX_READABLE))
    package static let writable = Readiness(rawValue: UInt32(CLINUX_WRITABLE))
    /// The peer has ended, or the connection is broken: to be read until it says so.
    package static let ended = Readiness(rawValue: UInt32(CLINUX_ENDED))
}
