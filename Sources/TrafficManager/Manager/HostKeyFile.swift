import Glibc
import SSHProtocol

/// The server's private keys, as `ssh-keygen` leaves them.
enum HostKeyFile {
    static func read(_ path: String) throws(StartFailure) -> PrivateKey {
        let contents: FileContents
        do throws(FileContents.Failure) {
            contents = try FileContents(reading: path)
        } catch {
            throw .badInput("\(path): cannot be read: \(error); expected a host key, as ssh-keygen -t ed25519 makes")
        }
        // As ssh does (authfile.c, sshkey_perm_ok): files of others, such as mounted Secrets, are their business.
        var status = stat()
        if stat(path, &status) == 0, status.st_uid == getuid(), status.st_mode & 0o077 != 0 {
            throw .badInput(
                "\(path): its permissions \(octal(status.st_mode)) let others read the host key; expected 0600 (chmod 600)"
            )
        }
        do throws(KeyError) {
            return try PrivateKey(openSSH: String(decoding: contents.bytes, as: UTF8.self))
        } catch {
            throw .badInput("\(path): \(error); expected a host key, as ssh-keygen -t ed25519 makes")
        }
    }

    static func octal(_ mode: mode_t) -> String {
        let text = String(mode & 0o7777, radix: 8)
        return String(repeating: "0", count: max(0, 4 - text.count)) + text
    }
}
