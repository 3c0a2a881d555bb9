/// Why a connection ends: thrown by a machine for the peer's violation, sent as SSH_MSG_DISCONNECT (RFC 4253 §11.1).
package struct Disconnect: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: UInt32, Sendable {
        case hostNotAllowedToConnect = 1
        case protocolError = 2
        case keyExchangeFailed = 3
        case macError = 5
        case compressionError = 6
        case serviceNotAvailable = 7
        case protocolVersionNotSupported = 8
        case hostKeyNotVerifiable = 9
        case connectionLost = 10
        case byApplication = 11
        case tooManyConnections = 12
        case authCancelledByUser = 13
        case noMoreAuthMethodsAvailable = 14
        case illegalUserName = 15
    }

    package var reason: Reason
    /// One line for the peer and for the log; never holds a secret.
    package var text: String

    package init(_ reason: Reason, _ text: String) {
        self.reason = reason
        self.text = text
    }

    package var description: String { "\(text) (\(reason))" }

    /// The peer broke the protocol.
    @inline(never)
    package static func violation(_ text: String) -> Disconnect { Disconnect(.protocolError, text) }
}
