import Glibc
import SSHProtocol
import Testing

@testable import TrafficManager

@Suite struct HostKeyFileTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func failure(_ file: String) -> String? {
        do throws(StartFailure) {
            _ = try HostKeyFile.read(file)
            return nil
        } catch {
            #expect(error.exitStatus == 2)
            return error.description
        }
    }

    @Test func readsWhatSSHKeygenWrites() throws {
        let key = PrivateKey.generateEd25519(comment: "host")
        let file = try directory.write("key", key.openSSH)
        #expect(try HostKeyFile.read(file).publicKey == key.publicKey)
    }

    @Test(arguments: [0o640, 0o604, 0o660, 0o622, 0o777] as [mode_t])
    func isNotReadableByOthers(mode: mode_t) throws {
        let file = try directory.write("key", PrivateKey.generateEd25519(comment: "host").openSSH, mode: mode)
        let text = try #require(failure(file))
        #expect(text.hasPrefix("\(file): its permissions 0\(String(mode, radix: 8)) "))
        #expect(text.contains("chmod 600"))
    }

    @Test(arguments: ["", "nonsense", "ssh-ed25519 AAAA host", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
    func otherFilesAreNamed(text: String) throws {
        let file = try directory.write("key", text)
        let line = try #require(failure(file))
        #expect(line.hasPrefix("\(file): "))
        #expect(line.contains("expected a host key"))
        #expect(!line.contains("\n"))
    }

    @Test func aSecretIsNotRepeated() throws {
        let key = PrivateKey.generateEd25519(comment: "host").openSSH
        let broken = try directory.write("key", key.replacing("END", with: "ENDE"))
        let line = try #require(failure(broken))
        for secret in key.split(separator: "\n").dropFirst().dropLast() { #expect(!line.contains(secret)) }
    }
}
