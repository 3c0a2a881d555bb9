package import ControlAPI

/// What the daemon and the command line say of themselves.
package enum ProgramVersion {
    package static let client = "0.5.0"
    /// Of the daemon's own API.
    package static let api = 3

    /// `v0.5.0 (api v3)`
    package static let text = "v\(client) (api v\(api))"

    package static var daemon: VersionInfo {
        VersionInfo(name: "telepresence-daemon", version: client, apiVersion: api)
    }
}
