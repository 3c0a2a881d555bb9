import CLinux
import Glibc
import NIOPosix

/// Starts a network helper and connects to it. As root, or for a rootless network, that is a process of our own that is
/// handed a socket. Otherwise sudo starts it, which hands nothing on: then it connects to a socket that we listen on.
package struct NetworkHelperLauncher: Sendable {
    /// Ours, `telepresence`.
    package var executable: String
    package var isRootless: Bool
    /// Where to listen for one that sudo starts: in a directory that is the user's alone.
    package var socketPath: String

    package init(isRootless: Bool, socketPath: String, executable: String = Self.ownExecutable) {
        self.executable = executable
        self.isRootless = isRootless
        self.socketPath = socketPath
    }

    package static var ownExecutable: String { TextFile.link("/proc/self/exe") ?? "telepresence" }

    /// Whether sudo is needed at all.
    package var needsSudo: Bool { !isRootless && geteuid() != 0 }

    /// What is to be run on the user's terminal when `start` says that sudo asks for a password; it ends when the helper
    /// is connected.
    package var sudoCommand: [String] { sudo(["-p", "[sudo] password of %p, to change this machine's network: "]) }

    private func sudo(_ options: [String]) -> [String] {
        ["sudo"] + options + ["--", executable, "network-helper", "--socket", socketPath]
    }

    /// How long a helper may take to connect; a person may take longer to find the password.
    private static let patience: Int32 = 10_000
    package static let patienceWithPeople: Int32 = 120_000

    /// Starts one without asking anybody. Throws `notPermitted` when sudo wants a password: listen then (`listen`), and
    /// have `sudoCommand` run on a terminal.
    package func start() async throws -> NetworkHelperConnection {
        try await Self.onThread {
            guard needsSudo else {
                let (own, theirs) = try MessageSocket.pair()
                defer { theirs.close() }
                do {
                    var command = [executable, "network-helper", "--descriptor", "3"]
                    if isRootless { command.append("--rootless") }
                    try Spawn.run(command, descriptor: theirs.descriptor)
                } catch {
                    own.close()
                    throw error
                }
                return NetworkHelperConnection(own)
            }
            let listener = try Listener(socketPath)
            defer { listener.close() }
            do throws(HelperError) {
                try Spawn.run(sudo(["-n"]), descriptor: nil)
            } catch {
                throw HelperError(error.text, kind: .notPermitted)
            }
            return try listener.accept(milliseconds: Self.patience)
        }
    }

    /// Listens, says so by `whenReady`, and waits for the helper that `sudoCommand` starts elsewhere.
    package func listen(
        milliseconds: Int32 = patienceWithPeople, whenReady: @escaping @Sendable () -> Void
    ) async throws -> NetworkHelperConnection {
        try await Self.onThread {
            let listener = try Listener(socketPath)
            defer { listener.close() }
            whenReady()
            return try listener.accept(milliseconds: milliseconds)
        }
    }

    private static func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws
        -> Result
    {
        try await NIOThreadPool.singleton.runIfActive(body)
    }

    private struct Listener {
        let path: String
        let socket: MessageSocket

        init(_ path: String) throws(HelperError) {
            self.path = path
            unlink(path)
            socket = try MessageSocket.listen(at: path)
            chmod(path, 0o600)
        }

        func accept(milliseconds: Int32) throws(HelperError) -> NetworkHelperConnection {
            guard let accepted = try socket.accept(milliseconds: milliseconds) else {
                throw HelperError("the network helper did not start in time", kind: .failed)
            }
            do throws(HelperError) {
                guard try accepted.peer().user == 0 else {
                    throw HelperError("somebody else than root answers as the network helper", kind: .notPermitted)
                }
            } catch {
                accepted.close()
                throw error
            }
            return NetworkHelperConnection(accepted)
        }

        func close() {
            socket.close()
            unlink(path)
        }
    }
}
