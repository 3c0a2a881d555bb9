import Glibc

/// One direction between a mount's program and the session: a pair of sockets of its own, since whoever takes from a socket
/// wakes the thread that waits to read from its other end. (A pipe does not either, but moves large requests page by page.)
final class MountSockets {
    private var reader: CInt
    private var writer: CInt

    /// `nil` with errno: no more files can be opened.
    init?() {
        var ends: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { return nil }
        (reader, writer) = (ends[0], ends[1])
    }

    deinit {
        if reader >= 0 { close(reader) }
        if writer >= 0 { close(writer) }
    }

    /// It is the caller's from now on.
    func takeReader() -> CInt {
        defer { reader = -1 }
        return reader
    }

    func takeWriter() -> CInt {
        defer { writer = -1 }
        return writer
    }
}
