package import ControlAPI

/// What this manager says it is, over the API, in `traffic --version` and in the SSH identification string.
package enum ManagerVersion {
    package static let string = "0.5.0"

    package static let info = VersionInfo(name: "traffic-manager", version: string)

    /// The software version of RFC 4253 §4.2: no space and no minus sign.
    package static let sshSoftware = "TelepresenceTrafficManager_\(string)"
}
