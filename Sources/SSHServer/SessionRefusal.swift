/// What a session channel is told when it asks for something a forwarding server does not have: two lines for standard
/// error, and the exit status that goes with them.
package enum SessionRefusal: Sendable, CaseIterable {
    /// `shell`, with or without a terminal.
    case shell
    /// `subsystem sftp`, which scp also asks for.
    case sftp
    /// Any other subsystem.
    case subsystem

    package static let exitStatus: UInt32 = 1

    package var text: String {
        switch self {
        case .shell:
            """
            This is a telepresence traffic manager; it forwards ports and has no shell.
            Add -N to forward without a command, or run a built-in one: ssh ... help lists them.

            """
        case .sftp:
            """
            This is a telepresence traffic manager; it forwards ports and has no files to copy.
            For files, reach a server of the cluster through it: scp -J manager FILE HOST:

            """
        case .subsystem:
            """
            This is a telepresence traffic manager; it forwards ports and has no such subsystem.
            Run a built-in command instead: ssh ... help lists them.

            """
        }
    }
}
