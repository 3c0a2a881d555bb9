import Glibc
import NIOCore

/// The address asked for cannot be listened on.
struct ListenFailure: Error, CustomStringConvertible {
    var address: ListenAddress
    var reason: String

    var description: String { "cannot listen on \(address): \(reason); choose another ADDRESS:PORT" }

    /// The system's own words where there are any.
    static func reason(of error: any Error) -> String {
        guard let error = error as? IOError, let words = strerror(error.errnoCode) else { return "\(error)" }
        return String(cString: words)
    }
}
