import Glibc
import NIOCore
import NIOPosix
import SSHProtocol

/// A connected pair of sockets.
enum SocketPair {
    static func make() -> (NIOBSDSocket.Handle, NIOBSDSocket.Handle)? {
        var pair: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { return nil }
        return (pair[0], pair[1])
    }
}

extension OpenFailure {
    static let noFiles = OpenFailure(.resourceShortage, "no more files can be opened")
}
