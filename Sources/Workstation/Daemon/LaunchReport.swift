package import ControlAPI

/// What a daemon tells whoever started it, a line of JSON each.
package enum LaunchReport: Codable, Hashable, Sendable {
    /// It is up, and connects to the manager.
    case launched
    /// What it is at, for people who wait.
    case progress(String)
    /// Somebody has to type a password: this is to be run on their terminal.
    case needsTerminal([String])
    case connected(DaemonStatus)
    /// It ends.
    case failed(WorkstationError)
    /// Another daemon of this name was there first; this one ends.
    case alreadyRunning
}
