import CLinux
import Glibc
import SFTP

/// A thread that serves files on one connection, and ends with it.
enum FileThread {
    /// Its work is shallow.
    private static let stackSize = 512 << 10

    private final class Work {
        let server: FileServer
        let descriptor: CInt

        init(_ server: FileServer, _ descriptor: CInt) {
            self.server = server
            self.descriptor = descriptor
        }
    }

    /// Takes the descriptor over. Throws an errno.
    static func start(tree: FileTree, number: UInt8, descriptor: CInt) throws(SFTPStatus) {
        let work = Unmanaged.passRetained(Work(FileServer(tree: tree, number: number), descriptor))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stackSize)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { pointer in
                guard let pointer else { return nil }
                let work = Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue()
                work.server.run(input: work.descriptor, output: work.descriptor)
                close(work.descriptor)
                return nil
            }, work.toOpaque())
        guard code == 0 else {
            work.release()
            throw SFTPStatus(errno: code)
        }
    }
}
