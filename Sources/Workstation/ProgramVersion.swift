/// What the daemon and the command line say of themselves.
package enum ProgramVersion {
    package static let client = "0.5.0"
    /// Of the daemon's own API.
    package static let api = 3
}
