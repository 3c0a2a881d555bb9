import NIOCore
import SSHClient

/// Why there is no tunnel, or none any more.
package struct TunnelError: Error, Hashable, Sendable, CustomStringConvertible {
    package var text: String

    package init(_ text: String) { self.text = text }

    package var description: String { text }

    static func device(_ code: CInt) -> TunnelError {
        TunnelError("the TUN device: \(ConnectFailure.text(IOError(errnoCode: code, reason: "")))")
    }
}
