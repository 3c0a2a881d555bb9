import Glibc
package import SSHProtocol

/// A private key, kept in memory alone.
package struct ClientIdentity: Sendable, CustomStringConvertible {
    /// An Ed25519 key takes about 400 bytes and RSA-16384 under 16 KiB; anything larger is no key.
    static let maximumFileSize = 65_536

    /// Where it was read from; what an error names.
    package let path: String
    let key: PrivateKey
    package let publicKey: PublicKey
    package let comment: String

    /// Reads a key file, and refuses one that others may read, as ssh does.
    package init(path: String) throws(SSHClientError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else {
            throw SSHClientError(.badInput, "\(path): cannot read the identity: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SSHClientError(.badInput, "\(path): the identity is not a regular file")
        }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw SSHClientError(
                .badInput,
                "\(path): mode 0\(mode) lets others read this private key; expected 0600: run chmod 600 \(path)")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count <= Self.maximumFileSize {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        guard bytes.count <= Self.maximumFileSize, let text = String(validating: bytes, as: UTF8.self) else {
            throw SSHClientError(.badInput, "\(path): not a private key; expected a text file of at most 64 KiB")
        }
        do throws(KeyError) {
            let key = try PrivateKey(openSSH: text)
            // libssh2 1.10 signs with RSA in SHA-1 alone, which no server takes any more.
            guard key.publicKey.algorithmName != "ssh-rsa" else {
                throw KeyError("RSA keys cannot be used here; expected Ed25519 or ECDSA: telepresence keygen makes one")
            }
            self.init(path: path, key: key)
        } catch {
            throw SSHClientError(.badInput, "\(path): \(error.text)")
        }
    }

    /// A key that is no RSA key.
    package init(path: String, key: PrivateKey) {
        self.key = key
        publicKey = key.publicKey
        comment = key.comment
        self.path = path
    }

    package var description: String { path }
}
