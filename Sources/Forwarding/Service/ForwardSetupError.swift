package import SSHClient

/// A forward that could not be set up at the start: which and why.
package struct ForwardSetupError: Error, Sendable, CustomStringConvertible {
    package var spec: ForwardSpec
    package var reason: String
    /// The session's own error, when that was the reason.
    package var cause: SSHClientError?

    package init(spec: ForwardSpec, reason: String, cause: SSHClientError? = nil) {
        self.spec = spec
        self.reason = reason
        self.cause = cause
    }

    package var description: String { "\(spec.flag) \(spec.text): \(reason)" }

    package var exitCode: Int32 { cause?.exitCode ?? 1 }
}
