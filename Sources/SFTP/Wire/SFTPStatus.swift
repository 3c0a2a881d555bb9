import Glibc

/// What became of a request (draft-ietf-secsh-filexfer-02 §7).
package struct SFTPStatus: Error, Hashable, Sendable {
    package enum Code: UInt32, Sendable {
        case ok = 0
        case endOfFile = 1
        case noSuchFile = 2
        case permissionDenied = 3
        case failure = 4
        case badMessage = 5
        case operationUnsupported = 8
    }

    package var code: Code
    /// For people.
    package var text: String

    package init(_ code: Code, _ text: String) {
        self.code = code
        self.text = text
    }

    package static let ok = SFTPStatus(.ok, "Success")
    package static let endOfFile = SFTPStatus(.endOfFile, "End of file")
    package static let badHandle = SFTPStatus(.failure, "no such handle")
    package static let unsupported = SFTPStatus(.operationUnsupported, "Operation unsupported")

    /// As OpenSSH's server has them (sftp-server.c, errno_to_portable).
    package init(errno code: CInt) {
        let text = String(cString: strerror(code))
        switch code {
        case 0: self = .ok
        case ENOENT, ENOTDIR, EBADF, ELOOP: self.init(.noSuchFile, text)
        case EPERM, EACCES, EFAULT, EROFS: self.init(.permissionDenied, text)
        case ENAMETOOLONG, EINVAL: self.init(.badMessage, text)
        case ENOSYS: self.init(.operationUnsupported, text)
        default: self.init(.failure, text)
        }
    }
}
