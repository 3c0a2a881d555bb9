import CLinux
import NIOCore
import NIOPosix

/// The system's own words for a failed call, as `ssh` shows them: `Connection refused`.
package enum SystemErrorText {
    package static func text(of error: any Error) -> String {
        switch error {
        case let error as IOError: return text(errno: error.errnoCode)
        case ChannelError.connectTimeout: return "Connection timed out"
        case let error as NIOConnectionError:
            return error.connectionErrors.first.map { text(of: $0.error) } ?? "Name or service not known"
        default: return "\(error)"
        }
    }

    package static func text(errno: CInt) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { memory in
            guard let base = memory.baseAddress, clinux_strerror(errno, base, memory.count) == 0 else {
                return "error \(errno)"
            }
            return String(cString: base)
        }
    }
}
