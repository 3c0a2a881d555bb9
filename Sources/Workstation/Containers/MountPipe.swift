import CLinux
import Glibc

/// One direction between a mount's program and the session. Not a pair of sockets: whoever takes from one of those wakes the
/// thread at its other end that waits to read.
final class MountPipe {
    /// Some of the program's largest requests; the most that a user may have without asking.
    private static let capacity: CInt = 1 << 20

    private var reader: CInt
    private var writer: CInt

    /// `nil` with errno: no more files can be opened.
    init?() {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reader, writer) = (ends[0], ends[1])
        // It works with less, too.
        _ = fcntl(writer, CLINUX_F_SETPIPE_SZ, Self.capacity)
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
