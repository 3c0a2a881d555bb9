import Glibc
import NIOPosix
import SSHClient
import SSHProtocol

/// Debian's sshd on a loopback port of its own, with keys of its own, until it is stopped.
final class SSHDaemon: Sendable {
    static let program = "/usr/sbin/sshd"
    static var isInstalled: Bool { access(program, X_OK) == 0 && getuid() == 0 }

    let directory: String
    let port: Int
    let hostKey: PrivateKey
    let userKey: PrivateKey
    private let process: pid_t

    /// Starts one; `options` are more lines for sshd_config.
    static func start(_ options: [String] = []) async throws -> SSHDaemon {
        try await NIOThreadPool.singleton.runIfActive {
            // sshd does not say which port it got for 0, and another test may take the one that was free.
            for _ in 1..<attempts {
                do {
                    return try SSHDaemon(options)
                } catch let problem as Problem where problem.text.contains("Address already in use") {}
            }
            return try SSHDaemon(options)
        }
    }

    /// How often a port that was free may be taken by another test meanwhile.
    private static let attempts = 5

    /// A new one in the place of one that was stopped: same port, same keys.
    func again() async throws -> SSHDaemon {
        try await NIOThreadPool.singleton.runIfActive {
            try SSHDaemon(directory: self.directory, port: self.port, hostKey: self.hostKey, userKey: self.userKey)
        }
    }

    private convenience init(_ options: [String]) throws {
        var template = Array("/tmp/telepresence-sshd-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Problem(text: "mkdtemp") }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let hostKey = PrivateKey.generateEd25519(comment: "")
        let userKey = PrivateKey.generateEd25519(comment: "test")
        let port = try Self.freePort()
        let lines =
            [
                "AddressFamily inet", "ListenAddress 127.0.0.1", "Port \(port)", "HostKey \(directory)/host",
                "AuthorizedKeysFile \(directory)/authorized_keys", "PidFile none", "StrictModes no", "UsePAM no",
                "PasswordAuthentication no", "PermitRootLogin yes", "MaxStartups 100", "MaxSessions 50",
                "GatewayPorts clientspecified", "UseDNS no", "LogLevel ERROR",
            ] + options
        try Self.write(directory + "/host", hostKey.openSSH)
        try Self.write(directory + "/authorized_keys", userKey.publicKey.openSSHLine + "\n")
        try Self.write(directory + "/config", lines.joined(separator: "\n") + "\n")
        try self.init(directory: directory, port: port, hostKey: hostKey, userKey: userKey)
    }

    private init(directory: String, port: Int, hostKey: PrivateKey, userKey: PrivateKey) throws {
        self.directory = directory
        self.port = port
        self.hostKey = hostKey
        self.userKey = userKey
        mkdir("/run/sshd", 0o755)
        // It says "Server listening" on its standard error, at the level that is set on the command line.
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Problem(text: "pipe") }
        defer { close(ends[0]) }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
        posix_spawn_file_actions_addclose(&actions, ends[1])
        let words = [Self.program, "-D", "-e", "-f", directory + "/config", "-o", "LogLevel=INFO"]
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var id: pid_t = 0
        let code = posix_spawn(&id, Self.program, &actions, nil, &pointers, environ)
        close(ends[1])
        guard code == 0 else { throw Problem(text: "sshd: \(String(cString: strerror(code)))") }
        process = id
        var said: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 512)
        while !String(decoding: said, as: UTF8.self).contains("Server listening") {
            let count = read(ends[0], &chunk, chunk.count)
            guard count > 0 else { throw Problem(text: "sshd: \(String(decoding: said, as: UTF8.self))") }
            said += chunk[..<count]
        }
    }

    /// Ends the listener, and the sessions it forked.
    func stop() {
        for child in Self.children(of: process) { kill(child, SIGKILL) }
        kill(process, SIGKILL)
        var status: CInt = 0
        waitpid(process, &status, 0)
    }

    func remove() {
        stop()
        for name in ["host", "authorized_keys", "config"] { unlink(directory + "/" + name) }
        rmdir(directory)
    }

    private static func children(of parent: pid_t) -> [pid_t] {
        guard let file = fopen("/proc/\(parent)/task/\(parent)/children", "r") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        let ids = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }
        return ids + ids.flatMap { children(of: $0) }
    }

    private static func write(_ path: String, _ text: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Problem(text: path) }
        _ = Array(text.utf8).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    /// A port nobody listens on at the moment.
    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        // Family, port, 127.0.0.1: as words, since the structure's module depends on who imports it first.
        var address: [UInt16] = [UInt16(AF_INET), 0, UInt16(bigEndian: 0x7f00), UInt16(bigEndian: 1), 0, 0, 0, 0]
        var length = socklen_t(address.count * 2)
        let code = address.withUnsafeMutableBytes { bytes in
            let pointer = bytes.bindMemory(to: sockaddr.self).baseAddress
            return bind(descriptor, pointer, length) | getsockname(descriptor, pointer, &length)
        }
        guard code == 0 else { throw Problem(text: "no free port") }
        return Int(UInt16(bigEndian: address[1]))
    }

    struct Problem: Error {
        var text: String
    }

    func configuration(
        _ engine: SSHClientConfiguration.Engine, key: PrivateKey? = nil, pin: HostKeyPin? = nil
    ) -> SSHClientConfiguration {
        var configuration = SSHClientConfiguration(
            host: "127.0.0.1", port: port, user: "root",
            identity: ClientIdentity(path: "key", key: key ?? userKey),
            hostKeys: pin ?? HostKeyPin(fingerprints: [hostKey.publicKey.fingerprint]))
        configuration.engine = engine
        return configuration
    }
}
