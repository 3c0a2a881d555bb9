import Glibc
import NIOCore
import SSHProtocol
import SSHServer

/// Which Unix sockets may be forwarded: those in one directory, and nothing a symbolic link leads to from there.
package struct StreamLocalPolicy: Hashable, Sendable {
    /// `nil` permits none.
    package var directory: String?

    package init(directory: String? = nil) {
        self.directory = directory
    }

    enum Purpose {
        case connect, listen
    }

    /// The socket's address, with every link in its directories followed.
    func address(of path: String, for purpose: Purpose) -> Result<SocketAddress, OpenFailure> {
        guard let directory else {
            return .failure(
                OpenFailure(
                    .administrativelyProhibited,
                    "Unix sockets are not forwarded (the manager runs without --stream-local-dir)"))
        }
        // sun_path of unix(7), with the NUL behind it.
        guard path.utf8.count < 108, !path.utf8.contains(0) else {
            return .failure(OpenFailure(.connectFailed, "the path of a Unix socket is at most 107 bytes"))
        }
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        guard path.hasPrefix("/"), !path.hasSuffix("/"), let last = parts.last, last != ".", !parts.contains("..")
        else {
            return .failure(outside(path, directory))
        }
        let parent = "/" + parts.dropLast().joined(separator: "/")
        guard let root = Self.resolve(directory) else {
            return .failure(OpenFailure(.connectFailed, "\(directory) is not there"))
        }
        guard let resolved = Self.resolve(parent) else {
            // Which directories there are is not told to those who ask for others.
            guard parent == directory || parent.hasPrefix(directory.hasSuffix("/") ? directory : directory + "/")
            else { return .failure(outside(path, directory)) }
            return .failure(OpenFailure(.connectFailed, "\(parent.shortened): no such directory"))
        }
        guard resolved == root || resolved.hasPrefix(root == "/" ? root : root + "/") else {
            return .failure(outside(path, directory))
        }
        let target = (resolved == "/" ? "" : resolved) + "/" + last
        if let failure = check(target, asked: path, for: purpose) { return .failure(failure) }
        guard let address = try? SocketAddress(unixDomainSocketPath: target) else {
            return .failure(OpenFailure(.connectFailed, "the path of a Unix socket is at most 107 bytes"))
        }
        return .success(address)
    }

    /// The last part must be a socket itself to connect to, and nothing yet, or a socket, to listen on.
    private func check(_ target: String, asked path: String, for purpose: Purpose) -> OpenFailure? {
        var status = stat()
        guard lstat(target, &status) == 0 else {
            return purpose == .listen
                ? nil : OpenFailure(.connectFailed, "\(path.shortened): no such socket")
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            return OpenFailure(.administrativelyProhibited, "\(path.shortened) is not a socket")
        }
        return nil
    }

    private func outside(_ path: String, _ directory: String) -> OpenFailure {
        OpenFailure(
            .administrativelyProhibited,
            "\(path.shortened) is not below \(directory) (the manager's --stream-local-dir)")
    }

    private static func resolve(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
