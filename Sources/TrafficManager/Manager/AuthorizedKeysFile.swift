import Glibc
package import Logging
import NIOPosix
import SSHProtocol
package import SSHServer
import ServiceLifecycle

/// The `authorized_keys` in force, read again whenever the file changes.
///
/// States: *current*, when the keys are what the file says; *closed*, when it cannot be read or others may write to it:
/// then no key is authorized, as with sshd. Each look at the file may lead from either to either.
package actor AuthorizedKeysFile: AuthorizedKeysProvider {
    package nonisolated let source: AuthorizedKeysSource

    private let file: String
    private let interval: Duration
    private let logger: Logger
    private var version: FileContents.Version?
    private var failure: String?

    /// A revoked key is refused within this; a stat each second costs nothing.
    package static let defaultInterval = Duration.seconds(1)

    /// Reads the file once. A manager does not start with a line it cannot read: its author is there to mend it.
    package init(
        file: String, interval: Duration = AuthorizedKeysFile.defaultInterval, logger: Logger
    ) throws(StartFailure) {
        let keys: AuthorizedKeys
        switch Self.read(file) {
        case .good(let read, let version):
            keys = read
            self.version = version
        case .bad(let text, _):
            throw .badInput(text)
        }
        if let diagnostic = keys.diagnostics.first { throw .badInput(diagnostic) }
        if keys.entries.isEmpty {
            logger.warning("no key is authorized: nobody can log in", metadata: ["file": "\(file)"])
        }
        logger.info("authorized keys loaded", metadata: ["file": "\(file)", "keys": "\(keys.entries.count)"])
        source = AuthorizedKeysSource(keys)
        self.file = file
        self.interval = interval
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while true {
                do {
                    try await Task.sleep(for: self.interval)
                } catch {
                    return
                }
                await self.reload()
            }
        }
    }

    /// Looks at the file, and reads it if it is not the version that was read last. Lines that cannot be read grant
    /// nothing; the others count.
    package func reload() async {
        let (file, version) = (file, version)
        // Disks may be slow.
        let reading: Reading? = try? await NIOThreadPool.singleton.runIfActive { () -> Reading? in
            // Permissions may change without the version.
            if let version, (try? FileContents.version(of: file)) == version, Self.exposure(of: file) == nil {
                return nil
            }
            return Self.read(file)
        }
        switch reading {
        case nil:
            return
        case .good(let keys, let version):
            self.version = version
            failure = nil
            source.current = keys
            for diagnostic in keys.diagnostics { logger.warning("\(diagnostic); the line grants nothing") }
            logger.info("authorized keys reloaded", metadata: ["file": "\(file)", "keys": "\(keys.entries.count)"])
        case .bad(let text, let version):
            self.version = version
            guard failure != text else { return }
            failure = text
            source.current = AuthorizedKeys(parsing: "", file: file)
            logger.error("\(text); until then nobody can log in")
        }
    }

    private enum Reading: Sendable {
        case good(AuthorizedKeys, FileContents.Version)
        /// Without a version it is looked at again.
        case bad(String, FileContents.Version?)
    }

    private static func read(_ file: String) -> Reading {
        let contents: FileContents
        do throws(FileContents.Failure) {
            contents = try FileContents(reading: file)
        } catch {
            return .bad("\(file): cannot be read: \(error); expected a file as in ~/.ssh/authorized_keys", nil)
        }
        if let exposure = exposure(of: file) { return .bad(exposure, nil) }
        let text = String(decoding: contents.bytes, as: UTF8.self)
        return .good(AuthorizedKeys(parsing: text, file: file), contents.version)
    }

    /// Why the file cannot be trusted: sshd's StrictModes, for the file alone, since the directories above a mounted
    /// Secret are open by design.
    private static func exposure(of file: String) -> String? {
        var status = stat()
        guard stat(file, &status) == 0 else { return "\(file): is gone; expected a file as in ~/.ssh/authorized_keys" }
        guard status.st_mode & 0o022 != 0 else { return nil }
        return "\(file): its permissions \(HostKeyFile.octal(status.st_mode)) let others change who may log in; "
            + "expected chmod go-w"
    }
}
