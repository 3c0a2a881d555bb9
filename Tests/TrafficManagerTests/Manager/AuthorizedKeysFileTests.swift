import Glibc
import Logging
import SSHProtocol
import SSHServer
import Testing

@testable import TrafficManager

@Suite struct AuthorizedKeysFileTests {
    private let directory: TemporaryDirectory
    private let ada = PrivateKey.generateEd25519(comment: "ada").publicKey.openSSHLine
    private let bob = PrivateKey.generateEd25519(comment: "bob").publicKey.openSSHLine

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func open(_ file: String) throws -> AuthorizedKeysFile {
        try AuthorizedKeysFile(file: file, logger: APIHarness.logger)
    }

    private func failure(_ file: String) -> StartFailure? {
        do {
            _ = try open(file)
            return nil
        } catch {
            return error as? StartFailure
        }
    }

    @Test func changesCountAtOnce() async throws {
        let file = try directory.write("keys", "\(ada)\n")
        let keys = try open(file)
        #expect(keys.source.current.entries.count == 1)
        try directory.write("keys", "\(ada)\n\(bob)\n")
        await keys.reload()
        #expect(keys.source.current.entries.count == 2)
        try directory.write("keys", "\(bob)\n")
        await keys.reload()
        #expect(keys.source.current.entries.map(\.line) == [1])
    }

    @Test func aBadLineGrantsNothingAndCostsTheOthersNothing() async throws {
        let file = try directory.write("keys", "\(ada)\n")
        let keys = try open(file)
        try directory.write("keys", "nosuch-option \(ada)\n\(bob)\n")
        await keys.reload()
        #expect(keys.source.current.entries.map(\.line) == [2])
    }

    @Test func aFileThatIsGoneOrOpenToOthersGrantsNothing() async throws {
        let file = try directory.write("keys", "\(ada)\n")
        let keys = try open(file)
        chmod(file, 0o622)
        await keys.reload()
        #expect(keys.source.current.entries.isEmpty)
        chmod(file, 0o600)
        await keys.reload()
        #expect(keys.source.current.entries.count == 1)
        unlink(file)
        await keys.reload()
        #expect(keys.source.current.entries.isEmpty)
        try directory.write("keys", "\(ada)\n")
        await keys.reload()
        #expect(keys.source.current.entries.count == 1)
    }

    @Test func aManagerDoesNotStartWithWhatItCannotRead() throws {
        let missing = failure("\(directory.path)/nosuch")
        #expect(missing?.exitStatus == 2)
        #expect(missing?.description.contains("nosuch: cannot be read: No such file or directory") == true)
        let bad = try directory.write("bad", "# a comment\n\n\(ada)\nnonsense\n")
        #expect(failure(bad)?.description.hasPrefix("\(bad):4: ") == true)
        let exposed = try directory.write("exposed", "\(ada)\n", mode: 0o666)
        #expect(failure(exposed)?.description.contains("0666") == true)
        #expect(failure(try directory.write("empty", "# nobody yet\n")) == nil)
    }
}
