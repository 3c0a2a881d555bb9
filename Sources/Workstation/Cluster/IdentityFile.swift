import Glibc
import SSHClient
import SSHProtocol

/// The user's key, made where there is none.
struct IdentityFile {
    let identity: ClientIdentity
    let publicKey: PublicKey
    /// Of `authorized_keys`.
    let line: String
    /// For the Secret with everybody's keys.
    let userName: String

    static func read(orMake path: String) throws(WorkstationError) -> IdentityFile {
        if access(path, F_OK) != 0, errno == ENOENT { try make(path) }
        do throws(SSHClientError) {
            let identity = try ClientIdentity(path: path)
            let comment = identity.comment.isEmpty ? defaultComment : identity.comment
            let name = String(comment.map { UserKeys.isName(String($0)) || $0 == "." ? $0 : "." })
            return IdentityFile(
                identity: identity, publicKey: identity.publicKey, line: "\(identity.publicKey.openSSHLine) \(comment)",
                userName: UserKeys.isName(name) ? name : "user")
        } catch {
            throw WorkstationError(error)
        }
    }

    private static func make(_ path: String) throws(WorkstationError) {
        if let slash = path.lastIndex(of: "/") { try UserFiles.makeDirectories(String(path[..<slash])) }
        let key = PrivateKey.generateEd25519(comment: defaultComment)
        try write(path, key.openSSH, mode: 0o600)
        try write(path + ".pub", "\(key.publicKey.openSSHLine) \(defaultComment)\n", mode: 0o644)
    }

    private static func write(_ path: String, _ text: String, mode: mode_t) throws(WorkstationError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw WorkstationError("\(path): cannot write the key: \(SystemError.text())") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            let reason = SystemError.text()
            unlink(path)
            throw WorkstationError("\(path): cannot write the key: \(reason)")
        }
    }

    /// `alice@laptop`.
    private static var defaultComment: String {
        var name = [CChar](repeating: 0, count: 256)
        let host =
            gethostname(&name, name.count - 1) == 0
            ? String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "workstation"
        let user = getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "user\(getuid())"
        return "\(user)@\(host)"
    }
}
