import Glibc

/// Why the network helper did not do something: one line, or one and the routes in question below it.
package struct HelperError: Error, Hashable, Codable, Sendable, CustomStringConvertible {
    package enum Kind: String, Codable, Sendable {
        /// What was asked for makes no sense.
        case badRequest
        /// It would take something away from the machine.
        case conflict
        /// A session of this name has the network already.
        case busy
        case notPermitted
        /// The system said no.
        case failed
    }

    package var kind: Kind
    package var text: String
    /// With `conflict`: every one there is.
    package var conflicts: [RouteConflict] = []
    /// Of the system, when it said no.
    package var errorNumber: Int32 = 0

    package init(_ text: String, kind: Kind = .badRequest) {
        self.kind = kind
        self.text = text
    }

    init(_ conflicts: [RouteConflict]) {
        self.init(conflicts.map(\.description).joined(separator: "\n"), kind: .conflict)
        self.conflicts = conflicts
    }

    /// `doing: the system's words`.
    init(_ doing: String, errno code: Int32, hint: String? = nil) {
        let text = "\(doing): \(String(cString: strerror(code)))" + (hint.map { " (\($0))" } ?? "")
        self.init(text, kind: code == EPERM || code == EACCES ? .notPermitted : .failed)
        errorNumber = code
    }

    package var description: String { text }

    /// What a program that could not be run exits with, as shells have it: 127 when it is not there, or else 126.
    package var exitCode: Int32 { errorNumber == ENOENT ? 127 : 126 }

    /// The result of a call, unless it is -errno.
    @discardableResult
    static func check(_ result: Int32, _ doing: @autoclosure () -> String) throws(HelperError) -> Int32 {
        guard result < 0 else { return result }
        throw HelperError(doing(), errno: -result)
    }
}
