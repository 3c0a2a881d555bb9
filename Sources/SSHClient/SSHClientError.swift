package import SSHProtocol

/// Why a session, a channel or a forward failed: one line for people, and what kind it is for the program.
package struct SSHClientError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// The identity file or an option cannot be used.
        case badInput
        /// No TCP connection, or no SSH server behind it.
        case unreachable
        /// The host key is not among the pinned ones, or not the one pinned before.
        case hostKeyUnknown
        case hostKeyChanged
        /// The manager accepted neither the user nor the key.
        case authenticationRefused
        /// SSH_MSG_CHANNEL_OPEN_FAILURE, with the manager's reason and text (RFC 4254 §5.1).
        case openFailed(OpenFailure)
        /// The manager answered a remote forward with SSH_MSG_REQUEST_FAILURE (RFC 4254 §7.1).
        case forwardRefused
        case timedOut
        /// The session ended while it was in use.
        case connectionLost
        /// This side gave up.
        case cancelled
    }

    package var kind: Kind
    package var text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    package var description: String { text }

    /// What kind of refusal an open met, for those who translate it into another protocol.
    package enum Refusal: Hashable, Sendable {
        case prohibited
        /// With the manager's text, which alone tells refused from unreachable.
        case connectFailed(String)
        case other
    }

    package var refusal: Refusal? {
        guard case .openFailed(let failure) = kind else { return nil }
        return switch failure.reason {
        case .administrativelyProhibited: .prohibited
        case .connectFailed: .connectFailed(failure.text)
        case .unknownChannelType, .resourceShortage: .other
        }
    }

    /// What `telepresence` exits with when nothing can be done about the error.
    package var exitCode: Int32 {
        switch kind {
        case .badInput: 2
        case .unreachable, .timedOut, .connectionLost: 3
        case .hostKeyUnknown, .hostKeyChanged: 4
        case .authenticationRefused: 5
        case .openFailed, .forwardRefused: 6
        case .cancelled: 1
        }
    }

    /// Trying again with the same settings cannot help.
    package var isPermanent: Bool {
        switch kind {
        case .badInput, .hostKeyUnknown, .hostKeyChanged, .authenticationRefused: true
        case .unreachable, .openFailed, .forwardRefused, .timedOut, .connectionLost, .cancelled: false
        }
    }

    /// A connection that failed on this side, in the words of a manager's refusal.
    package static func connectFailed(_ text: String) -> SSHClientError {
        .openFailed(OpenFailure(.connectFailed, text))
    }

    /// A remote forward was refused; `text` is what the manager said of it.
    static func listenRefused(_ address: String, _ port: UInt16, _ text: String?) -> SSHClientError {
        SSHClientError(
            .forwardRefused,
            text ?? "the manager refused to listen on '\(address)' port \(port): "
                + "the port is taken, or the key may not listen there")
    }

    package static func openFailed(_ failure: OpenFailure) -> SSHClientError {
        let reason =
            switch failure.reason {
            case .administrativelyProhibited: "administratively prohibited"
            case .connectFailed: "connect failed"
            case .unknownChannelType: "unknown channel type"
            case .resourceShortage: "resource shortage"
            }
        let text = failure.text.isEmpty ? "open failed" : failure.text
        return SSHClientError(.openFailed(failure), "open failed: \(reason): \(text)")
    }
}
