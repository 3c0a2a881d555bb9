import Glibc
import NIOCore
import NIOPosix

/// Why a connection to a socket of ours was not made, in a few words.
package enum ConnectFailure {
    package static func text(_ error: any Error) -> String {
        switch error {
        case let error as IOError:
            String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first {
                text(first.error)
            } else if let lookup = error.dnsAError ?? error.dnsAAAAError {
                text(lookup)
            } else {
                "cannot find \(error.host)"
            }
        case ChannelError.connectTimeout:
            "timed out"
        case is SocketAddressError:
            "the name is not known"
        default:
            "\(error)"
        }
    }
}
