package import SSHClient

/// Why a session could not be had, or ended: one line for people, and what the program exits with.
package struct WorkstationError: Error, Hashable, Codable, Sendable, CustomStringConvertible {
    package var text: String
    package var exitCode: Int32

    package init(_ text: String, exitCode: Int32 = 1) {
        self.text = text
        self.exitCode = exitCode
    }

    package init(_ error: SSHClientError) {
        self.init(error.text, exitCode: error.exitCode)
    }

    /// Whatever it is, in one line.
    package init(_ error: any Error) {
        switch error {
        case let error as WorkstationError: self = error
        case let error as SSHClientError: self.init(error)
        case let error as HelperError: self.init(error.text)
        default: self.init("\(error)")
        }
    }

    /// An argument or a file that cannot be used.
    package static func badInput(_ text: String) -> WorkstationError { WorkstationError(text, exitCode: 2) }

    package var description: String { text }
}
