/// Requests beyond version 3 that are served (OpenSSH's PROTOCOL §4), as they are announced.
package enum SFTPExtension: String, CaseIterable, Sendable {
    case posixRename = "posix-rename@openssh.com"
    case statvfs = "statvfs@openssh.com"
    case fstatvfs = "fstatvfs@openssh.com"
    case hardlink = "hardlink@openssh.com"
    case fsync = "fsync@openssh.com"
    case lsetstat = "lsetstat@openssh.com"
    case limits = "limits@openssh.com"
    /// A file's SHA-256, so that a copy of it can be checked: a path goes in, 32 bytes come out.
    case digest = "sha256@telepresence"

    /// Opens a file for reading and reads its beginning in one round trip: a path, the number of a second request, and a
    /// length go in. A handle is the answer to the request; what READ answers at offset 0, to the second, comes behind it.
    case openRead = "open-read@telepresence"

    /// The second is no answer to anything that a router has seen.
    package var hasTwoAnswers: Bool { self == .openRead }

    package var version: String {
        switch self {
        case .statvfs, .fstatvfs: "2"
        default: "1"
        }
    }

    /// Whether its first argument is a handle.
    package var hasHandle: Bool { self == .fstatvfs || self == .fsync }
}
